"""CUDA devices that torch sees here, or why it sees none; free of torch until it looks.

python -m workflow.helpers.cuda     # as JSON: devices, and the refusal of a training without one
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ON_CPU = "--config device=cpu trains on the CPU all the same"


def ask() -> tuple[list[str], str]:
    """`devices` and `refusal`, found by a process of its own: the caller need not import torch."""
    command = [sys.executable, "-m", "workflow.helpers.cuda"]
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, encoding="utf-8", errors="replace"
    )
    try:
        found = json.loads(done.stdout)
    except ValueError:
        last = done.stderr.strip().split("\n")[-1]
        return [], f"a GPU is asked for and torch cannot be used ({last}); {ON_CPU}"
    return found["devices"], found["refusal"]


def devices() -> list[str]:
    """Names of the CUDA devices that torch sees."""
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    return [torch.cuda.get_device_name(i) for i in range(count)]


def refusal() -> str:
    """One line for a training that asks for a GPU where torch sees none.

    It has what torch says, what to install, and the switch that trains on the CPU.
    """
    import torch

    if torch.version.cuda is None:
        said = "is a build for CPUs alone; install one with CUDA (pytorch.org, Get Started)"
    else:
        try:
            torch.cuda.init()
            error = "it counts 0 devices"
        except (AssertionError, RuntimeError) as raised:
            error = " ".join(str(raised).split()).rstrip(".")
        hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
        seen = "" if hidden is None else f" (CUDA_VISIBLE_DEVICES is {hidden!r})"
        said = (
            f"says: {error}{seen}; install a driver for CUDA {torch.version.cuda} or newer, or the "
            "torch that pytorch.org, Get Started, has for this driver"
        )
    return f"a GPU is asked for and torch sees none: torch {torch.__version__} {said}; {ON_CPU}"


if __name__ == "__main__":
    found = devices()
    print(json.dumps({"devices": found, "refusal": "" if found else refusal()}))
