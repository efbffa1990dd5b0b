"""Time one training step against its full-precision twin: ours, the textbook's, other packages'.

    python -m benchmarks.step                    # short: under three minutes
    python -m benchmarks.step --full --json docs/speed.json
    python -m benchmarks.step --hidden 768 --layers 8 --vocab 32000 --batch 1 --length 1024 --memory

Every layer runs in the same model, loss and optimizer, in turns with the twin in one process, so
that a ratio says what the layer costs and not what else the machine did. The twin is full
precision, eager, in float32 as torch ships it. In mixed precision our layers, the twin's among
them, run as a training's do, the others under torch's autocast. Times are of this process's CPU
(or the GPU's events). Peers: pip install -e '.[peers]'.
"""

import argparse
import itertools
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import torch

from benchmarks.correctness import gradient_error, layer_error
from benchmarks.layers import Kind, kinds, replace
from benchmarks.measure import machine, matmul_flops, peak_memory, ratios, seconds, summary
from bitnet.config.recipe import ModelConfig, Recipe, TrainConfig
from bitnet.config.speed import flops_per_token
from bitnet.model.products import onednn
from bitnet.model.transformer import Transformer
from bitnet.training.precision import has_bfloat16
from bitnet.training.step import Step

TWIN, OURS = "twin", "bitnet"
SHIPPED = "torch's"  # float32 by the library that torch takes by itself
ONEDNN = "onednn"  # float32 by oneDNN, whatever pays
BATCHES = {"short": [8], "full": [8, 32]}  # sequences of 128: 1,024 and 4,096 tokens


def recipe(args: argparse.Namespace, batch: int, weights: str = "ternary") -> Recipe:
    """The protocol that is timed: no warm-up, no clipping to speak of, AdamW."""
    model = ModelConfig(
        args.vocab, args.hidden, args.layers, weights=weights, tie_embeddings=not args.untied
    )
    rates = dict.fromkeys(("peak_lr", "switch_lr", "final_lr"), 1e-3)
    protocol = {"steps": 100, "batch_size": batch, "sequence_length": args.length, **rates}
    decay = {"stage1_weight_decay": 0.1, "stage2_weight_decay": 0.0, "warmup_steps": 0}
    return Recipe(model, TrainConfig(optimizer="adamw", **protocol, **decay))


def make(
    args: argparse.Namespace,
    batch: int,
    kind: Kind | None,
    compiled: bool,
    precision: str = SHIPPED,
) -> tuple[Callable[[], object], Recipe]:
    """A training step on random tokens, to be called again and again; kind None: the twin's."""
    r = recipe(args, batch, "ternary" if kind else "full_precision")
    torch.manual_seed(0)
    model = Transformer(r.model, args.length)
    if kind:
        replace(model, kind)
    ours = kind is None or kind.name == OURS
    step = Step(model.to(args.device), r.training, compiled, mixed=ours and precision == "mixed")
    if precision == "mixed" and not ours:
        step.products = partial(torch.autocast, args.device.type, dtype=torch.bfloat16)
    if precision == ONEDNN:
        step.float32 = lambda multiply_adds: onednn()
    elif precision == SHIPPED or not ours:
        step.float32 = nullcontext
    ids = np.random.default_rng(0).integers(0, args.vocab, (batch, args.length + 1))
    rows = torch.from_numpy(ids).to(args.device)
    return lambda: step(rows, 1e-3, 0.1), r


def timed(args: argparse.Namespace, batch: int, known: list[Kind], compiled: bool) -> list[dict]:
    """Every layer's ratio to the twin as torch ships it, both compiled or both not."""
    twin, r = make(args, batch, None, compiled)
    tokens, own = batch * args.length, []
    row = {
        "layer": TWIN,
        "precision": SHIPPED,
        "same": True,
        "median": 1.0,
        "low": 1.0,
        "high": 1.0,
    }
    table = [row | {"first_step_seconds": seconds(twin, args.device)}]
    for precision, kind in itertools.product(args.precision, [None, *known]):
        row = {"layer": kind.name if kind else TWIN, "precision": precision}
        try:
            work, _ = make(args, batch, kind, compiled, precision)
            began = time.perf_counter()
            work()
            row["first_step_seconds"] = time.perf_counter() - began
            work(), twin()
            found, times = ratios(twin, work, args.rounds, args.device)
            row |= {"same": not kind or kind.same, **summary(found), "rounds": found}
            own += times
        except Exception as error:  # a peer may fail in whatever way it likes
            row["failed"] = str(error).splitlines()[0][:100]
        table.append(row)
    seconds_of_twin = statistics.median(own)
    for row in table:
        if "failed" not in row:
            took = seconds_of_twin * row["median"]
            row["tokens_per_second"] = tokens / took
            row["flops"] = flops_per_token(r) * tokens / took
        row |= {"tokens": tokens, "compiled": compiled}
    return table


def memory(args: argparse.Namespace, name: str, batch: int) -> float:
    """MiB that two steps take beside what Python and torch hold before them, in a child process."""
    shape = [f"--{key}={getattr(args, key)}" for key in ("hidden", "layers", "length", "vocab")]
    command = [sys.executable, "-m", "benchmarks.step", *shape, f"--batch={batch}"]
    command += [f"--device={args.device}", "--child", name]
    return float(subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout)


def child(args: argparse.Namespace) -> None:
    """Print the peak memory of making a model and of two steps of one layer."""
    known = {kind.name: kind for kind in kinds()[0]}

    def work() -> None:
        step, _ = make(args, args.batch, known.get(args.child), compiled=False)
        step(), step()

    mib = peak_memory(work)
    if args.device.type == "cuda":
        mib = torch.cuda.max_memory_allocated(args.device) / 2**20
    print(mib)


def show(report: dict) -> str:
    """The report as a text table."""
    head = f"{'layer':<28}{'precision':<10}{'tokens':>6}{'compiled':>9}{'ratio to twin':>24}"
    head += f"{'tokens/s':>11}"
    lines = [f"{head}{'GFLOP/s':>9}{'first s':>9}"]
    for row in report["steps"]:
        start = f"{row['layer']:<28}{row['precision']:<10}{row['tokens']:>6}"
        start += f"{'yes' if row['compiled'] else 'no':>9}"
        if "failed" in row:
            lines.append(f"{start}  failed: {row['failed']}")
            continue
        ratio = f"{row['median']:.3f} [{row['low']:.3f}, {row['high']:.3f}]"
        ratio += " " if row["same"] else "*"
        speed = f"{row['tokens_per_second']:>11,.0f}{row['flops'] / 1e9:>9.1f}"
        lines.append(f"{start}{ratio:>24}{speed}{row['first_step_seconds']:>9.1f}")
    lines.append("* computes something else: timed, but no rival")
    for name, mib in report["memory_mib"].items():
        lines.append(f"peak memory of a step, {name}: {mib:,.0f} MiB")
    for name, ceiling in report["matmul_flops"].items():
        lines.append(f"ceiling (one 1,024-square product), {name}: {ceiling / 1e9:.0f} GFLOP/s")
    for name, error in report["correctness"].items():
        lines.append(f"{name}: {error:.1e}")
    return "\n".join([*lines, *(f"left out: {line}" for line in report["missing"])])


def main(argv: list[str] | None = None) -> None:
    """Measure, print a table and write JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="and 4,096 tokens, and compiled")
    parser.add_argument("--memory", action="store_true", help="peak memory only, of --batch")
    for key, default in (("hidden", 256), ("layers", 4), ("length", 128), ("vocab", 2048)):
        parser.add_argument(f"--{key}", type=int, default=default)
    parser.add_argument("--batch", type=int, help="sequences a step; default 8, full: 8 and 32")
    parser.add_argument("--rounds", type=int, help="of twin, layer, layer, twin; default 7 or 11")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", nargs="+", default=None, help="float32, mixed, onednn")
    parser.add_argument("--untied", action="store_true", help="a head of its own")
    parser.add_argument("--ours", action="store_true", help="no layer of others")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--json", type=Path, help="where to write the report")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    if args.child:
        return child(args)
    fast = has_bfloat16(args.device)
    args.precision = args.precision or ["float32", *["mixed"] * fast]
    args.rounds = args.rounds or (11 if args.full else 7)
    batches = [args.batch] if args.batch else BATCHES["full" if args.full else "short"]
    known, missing = kinds()
    if args.ours:
        known = [kind for kind in known if kind.name in (OURS, "textbook")]
    report = {"machine": machine(args.device), "shape": vars(args) | {"device": str(args.device)}}
    report |= {"missing": missing, "steps": [], "matmul_flops": matmul_flops(args.device)}
    if not args.memory:
        for batch in batches:
            report["steps"] += timed(args, batch, known, compiled=False)
    if args.full and not args.memory:
        ours = [kind for kind in known if kind.name in (OURS, "textbook")]
        report["steps"] += timed(args, batches[0], ours, compiled=True)
    report["memory_mib"] = {
        name: memory(args, name, batches[0]) for name in (TWIN, "bitnet", "textbook")
    }
    report["correctness"] = {
        "gradients of a whole model in float64, ours against the textbook's": gradient_error(),
        **{f"output of one layer, {k.name} against ours": layer_error(k) for k in known[1:]},
    }
    report["shape"].pop("json")
    print(show(report))
    if args.json:
        args.json.parent.mkdir(parents=True, exist_ok=True)
        args.json.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
