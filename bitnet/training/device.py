"""Device of a training: chosen by lock among several, with threads and determinism set once."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from bitnet.common.errors import refuse
from bitnet.training.distributed import Ranks

ALLOWED = "auto, or devices with commas between them: cpu, cuda, cuda:1, ..."


@contextmanager
def claim(
    names: str, threads: int, deterministic: bool = False, ranks: Ranks | None = None
) -> Iterator[torch.device]:
    """Context that gives a training one of several devices: a free one, found by file locks.

    names: "auto" (every visible CUDA device, else the CPU) or a list like "cuda:0,cuda:1".
    threads: CPU threads of torch; floating-point sums on a CPU depend on them.
    deterministic: only kernels that give the same bits each time.
    ranks: the processes of one training; each takes a GPU of its own.

    ValueError in one line for an unknown or absent device, and for more processes than GPUs.
    """
    devices = _devices(names)
    ranks = ranks or Ranks()
    if 1 <= sum(device.type == "cuda" for device in devices) < ranks.count:
        raise refuse("processes", ranks.count, f"at most {len(devices)}, the devices {names} has")
    torch.set_num_threads(threads)
    # Weights and moments of a collapsed model shrink below 1e-38, where a CPU is ten times slower.
    torch.set_flush_denormal(True)
    if deterministic:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"  # cuBLAS reads it at its first call
        torch.use_deterministic_algorithms(True)
    lock, device = _free(list(enumerate(devices)), ranks)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        yield device
    finally:
        if lock is not None:
            lock.release()


def _devices(names: str) -> list[torch.device]:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if names == "auto":
        return [torch.device("cuda", i) for i in range(count)] or [torch.device("cpu")]
    devices = []
    for name in names.split(","):
        if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
            raise refuse("device", name, ALLOWED)
        device = torch.device(name)
        if device.type == "cuda" and (device.index or 0) >= count:
            raise refuse("device", name, f"cpu: {count} CUDA devices are to be seen here")
        devices.append(device)
    return devices


def _free(
    places: list[tuple[int, torch.device]], ranks: Ranks
) -> tuple[FileLock | None, torch.device]:
    """A device that no other training has locked; the first one, unlocked, where all are."""
    own = places[ranks.rank :: ranks.count] or places  # no two processes try the same GPU
    for place, device in own if len(places) > 1 else []:
        name = f"bitnet-{os.getuid()}-{place}-{str(device).replace(':', '')}.lock"
        lock = FileLock(Path(tempfile.gettempdir()) / name)
        try:
            return lock.acquire(timeout=0).lock, device
        except Timeout:
            continue
    return None, own[0][1]


def peak_memory(device: torch.device) -> int:
    """Peak memory of this process so far, in bytes: of a GPU, or resident in main memory."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    import resource  # does not exist on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def describe(device: torch.device) -> str:
    """Name of a device for a log or a table: the GPU's model, or "cpu"."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
