"""Loss of the head, ours and torch's own ways: time, memory and error.

    python -m benchmarks.head --json docs/head.json

times forward and backward of `bitnet.training.loss.head_loss`, F.linear_cross_entropy (from torch
2.13 on; as it is and in chunks) and of F.cross_entropy on the logits of F.linear: in turns, one
thread, float32. It prints the table that docs/speed.md has; a test holds page and file together.
"""

import argparse
import multiprocessing
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
import torch.nn.functional as F

from benchmarks.measure import machine, peak_memory, ratios, summary
from bitnet.common.files import write_json
from bitnet.common.markdown import number, table
from bitnet.training.loss import head_loss

SHAPES = ((1024, 256, 2048), (128, 256, 32_000), (1024, 256, 32_000))  # tokens, width, vocabulary
CPU = torch.device("cpu")
BASE = "F.cross_entropy"
Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


def ways() -> dict[str, Loss]:
    """Each way to compute the loss from hidden states, the head's weight and targets."""
    found: dict[str, Loss] = {BASE: lambda h, w, t: F.cross_entropy(F.linear(h, w), t)}
    if hasattr(F, "linear_cross_entropy"):
        chunks = torch.nn.LinearCrossEntropyOptions()
        found["F.linear_cross_entropy"] = F.linear_cross_entropy
        found["the same, in chunks"] = lambda h, w, t: F.linear_cross_entropy(
            h, w, t, options=chunks
        )
    return {**found, "ours": head_loss}


def problem(shape: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Hidden states (N, C) and weight (V, C) that want gradients, and targets (N,)."""
    torch.manual_seed(0)
    tokens, width, vocabulary = shape
    hidden = torch.randn(tokens, width, requires_grad=True)
    weight = (torch.randn(vocabulary, width) * 0.02).requires_grad_()
    return hidden, weight, torch.randint(vocabulary, (tokens,))


def step(loss: Loss, shape: tuple[int, int, int]) -> Callable[[], None]:
    """Forward and backward of a way, gradients thrown away."""
    hidden, weight, targets = problem(shape)

    def work() -> None:
        hidden.grad = weight.grad = None
        loss(hidden, weight, targets).backward()

    return work


def error(loss: Loss, shape: tuple[int, int, int]) -> float:
    """Largest relative error of both gradients, each against its norm in float64."""
    hidden, weight, targets = problem(shape)
    exact = [x.detach().double().requires_grad_() for x in (hidden, weight)]
    F.cross_entropy(F.linear(*exact), targets).backward()
    loss(hidden, weight, targets).backward()
    pairs = zip((hidden, weight), exact, strict=True)
    return max(((x.grad - y.grad).norm() / y.grad.norm()).item() for x, y in pairs)


def peak(name: str, shape: tuple[int, int, int]) -> float:
    """MiB that a step of a way takes at most; in a process of its own nothing freed is taken up."""
    torch.set_num_threads(1)
    return peak_memory(step(ways()[name], shape))


def measured(rounds: int) -> list[dict]:
    """A row for each shape and way: its time over BASE's, its peak in MiB, its error."""
    rows, spawn = [], multiprocessing.get_context("spawn")
    for shape in SHAPES:
        first = step(ways()[BASE], shape)
        for name, loss in ways().items():
            work = step(loss, shape)
            for warm in (first, work, first, work):
                warm()
            ratio = summary(ratios(first, work, rounds, CPU)[0])
            with spawn.Pool(1) as pool:
                mib = pool.apply(peak, (name, shape))
            shown = {"tokens": shape[0], "width": shape[1], "vocabulary": shape[2], "way": name}
            rows.append({**shown, "ratio": ratio, "mib": mib, "error": error(loss, shape)})
    return rows


def markdown(rows: list[Mapping]) -> str:
    """The table of `measured` in Markdown."""
    lines = []
    for row in rows:
        shape = f"{row['tokens']:,} x {row['width']} x {row['vocabulary']:,}"
        low, median, high = (row["ratio"][key] for key in ("low", "median", "high"))
        time = f"{median:.2f} [{low:.2f}, {high:.2f}]"
        lines.append([shape, row["way"], time, f"{row['mib']:.0f}", number(row["error"], ".0e")])
    header = [
        "tokens x width x vocabulary",
        "loss of the head",
        "time",
        "MiB",
        "error of gradients",
    ]
    return table(header, lines)


def main() -> None:
    """Measure, print the table and write the numbers as JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=7, help="of four steps in turns")
    parser.add_argument("--json", type=Path, help="file to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = measured(args.rounds)
    print(markdown(rows))
    if args.json:
        write_json(args.json, {"machine": machine(CPU), "rows": rows})


if __name__ == "__main__":
    main()
