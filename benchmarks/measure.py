"""Ratios of two things timed in turns, as both see the same machine at the same time."""

import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from bitnet.model.products import onednn


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Of one call: this process's CPU time on a CPU (others do not count), else the GPU's."""
    if device.type == "cuda":
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        end.synchronize()
        return start.elapsed_time(end) / 1000
    began = time.process_time()
    work()
    return time.process_time() - began


def ratios(a: Callable, b: Callable, rounds: int, device: torch.device) -> tuple[list, list]:
    """b's time over a's in `rounds` rounds of a b b a, and a's own seconds."""
    found, own = [], []
    for _ in range(rounds):
        first, *pair, last = (seconds(work, device) for work in (a, b, b, a))
        found.append(sum(pair) / (first + last))
        own.append((first + last) / 2)
    return found, own


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "low": low, "high": high}


def matmul_flops(device: torch.device, size: int = 1024) -> dict[str, float]:
    """Operations a second of one square product, by type: the ceilings of what is measured."""
    a, b = (torch.randn(size, size, device=device) for _ in range(2))
    c, d = (x.bfloat16() for x in (a, b))
    e, f = (x.to(torch.int8) for x in (a, b))
    ways = {
        "float32": lambda: a @ b,
        "bfloat16": lambda: c @ d,
        "int8": lambda: torch._int_mm(e, f),
    }
    if device.type == "cpu":
        ways["float32 by oneDNN"] = lambda: _by_onednn(lambda: a @ b)
    return {
        name: 2 * size**3 / statistics.median([seconds(way, device) for _ in range(20)])
        for name, way in ways.items()
    }


def _by_onednn(work: Callable) -> torch.Tensor:
    with onednn():
        return work()


def peak_memory(work: Callable[[], object]) -> float:
    """MiB of memory that a call takes at most beside what this process holds before it."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():  # not Linux: what the process has held so far hides a smaller peak
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        work()
        return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
    reset.write_text("5", encoding="utf-8")  # proc(5): the peak starts again from what is held now
    before = _kib(status, "VmRSS")
    work()
    return (_kib(status, "VmHWM") - before) / 1024


def _kib(status: Path, key: str) -> int:
    [line] = [
        line for line in status.read_text(encoding="utf-8").splitlines() if line.startswith(key)
    ]
    return int(line.split()[1])


def machine(device: torch.device) -> dict[str, object]:
    """What the figures were taken on."""
    cpu = platform.processor() or platform.machine()
    cpuinfo = "/proc/cpuinfo"
    if os.path.exists(cpuinfo):
        with open(cpuinfo, encoding="utf-8") as lines:
            names = (line.split(":")[1].strip() for line in lines if line.startswith("model name"))
            cpu = next(names, cpu)
    found = {"cpu": cpu, "cores": os.cpu_count(), "load": os.getloadavg()[0]}
    if device.type == "cuda":
        found |= {"gpu": torch.cuda.get_device_name(device), "cuda": torch.version.cuda}
    return found | {"torch": torch.__version__, "python": platform.python_version()}
