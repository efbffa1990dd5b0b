"""Check this machine: one page, a line a check, what to do where something is missing.

    python -m workflow.scripts.doctor            (or: snakemake doctor)

Packages, CPU, GPUs, compiler, disk, write access and the hub are looked at. Where there is a CUDA
device, a small model is trained on it for a minute: its step must agree with the CPU's, a captured
step with an eager one to the bit, and an interrupted training with one in a piece. Exit code 1 if a
check fails; a warning is no failure.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import torch

from bitnet.config.recipe import WEIGHTS
from bitnet.monitoring.device_trial import LOSS, NORM, trial
from bitnet.training.device import claim
from workflow.helpers import machine
from workflow.helpers.cli import ROOT, flags, log, parsed, run
from workflow.helpers.machine import FAIL, OK, WARN, Check, checked


def main(argv: list[str] | None = None) -> None:
    """Print the checks as they end."""
    parser = flags(__doc__)
    parser.add_argument("--directory", default=".", help="folder of data, models, results, logs")
    args = parsed(parser, argv)
    outcomes = []
    for check in checks(Path(args.directory)):
        print(check, flush=True)
        log.info("%s", check)
        outcomes.append(check.outcome)
    counts = ", ".join(f"{outcomes.count(kind)} {kind}" for kind in (OK, WARN, FAIL))
    print(counts, flush=True)
    if FAIL in outcomes:
        sys.exit(1)


def checks(folder: Path) -> Iterator[Check]:
    """All checks of this machine, for the pipeline at work in `folder`."""
    yield from machine.packages(ROOT)
    yield machine.processor()
    yield from machine.gpus()
    yield machine.compiler()
    yield machine.disk(folder)
    yield machine.writable(folder)
    yield machine.hub()
    if torch.cuda.is_available():
        with claim("auto", torch.get_num_threads(), deterministic=True) as device:
            for weights in WEIGHTS:
                yield from steps(weights, device)


def steps(weights: str, device: torch.device) -> Iterator[Check]:
    """Checks of the training step of such weights on a device."""
    try:
        found = trial(weights, device)
    except RuntimeError as error:
        line = str(error).strip().splitlines()[0]
        remedy = f"CUDA_LAUNCH_BLOCKING=1 shows where; --device cpu trains without {device}"
        yield Check(f"step, {weights}", FAIL, line, remedy)
        return
    yield checked(
        f"step, {weights}",
        found.agrees,
        f"on {device}: loss within {found.loss:.2%} of the CPU's (at most {LOSS:.0%}), norms of "
        f"gradients within {found.norm:.2%} (at most {NORM:.0%})",
        "do not train on this device: try another driver or another version of torch",
    )
    if found.refused:
        remedy = "nothing to do: trainings go on with eager steps and say so in log and record"
        yield Check(f"graph, {weights}", WARN, f"no CUDA graph: {found.refused}", remedy)
    else:
        yield checked(
            f"graph, {weights}",
            found.captured,
            f"captured steps {_bits(found.captured)} eager ones",
            "its results may differ from those of eager steps: try another version of torch",
        )
    yield checked(
        f"resume, {weights}",
        found.resumed,
        f"an interrupted training {_bits(found.resumed)} one in a piece, if `deterministic: true`",
        "results of interrupted trainings are reproducible within rounding alone",
    )
    times = ", ".join(f"{ms:.2f} ms {way}" for way, ms in found.milliseconds.items())
    yield Check(f"time, {weights}", OK, f"a step of 160,000 parameters: {times}")


def _bits(same: bool) -> str:
    return "gives the bits of" if same else "differ from"


if __name__ == "__main__":
    run(main)
