"""The device of a training: which one it takes, by lock, and what is set there once."""

import contextlib
import ctypes
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

SLOTS = 64  # trainings that are counted on one device; more than fit its memory
# What cuBLAS, cuDNN and torch's CPU allocator say; "illegal memory access" is another fault.
NO_MEMORY = r"out of memory|can't allocate memory|ALLOC_FAILED"
ALLOWED = "auto, or devices with commas between them: cpu, cuda, cuda:1, ..."


@contextmanager
def claim(
    names: str, threads: int, deterministic: bool = False, ranks: Ranks | None = None
) -> Iterator[torch.device]:
    """Give a training one of some devices: of several it takes a free one, by lock.

    names: "auto" (every CUDA device that is to be seen, else the CPU) or a list like
    "cuda:0,cuda:1". Where there are more trainings than devices, each gets equally many. Each of
    several processes on a machine takes a GPU of its own. On a CPU sums, and so bits, depend on
    `threads`; they are set here, and so is what makes a GPU repeat its bits. ValueError for a
    device that is not there.
    """
    devices = _devices(names)
    ranks = ranks or Ranks()
    if 1 <= sum(device.type == "cuda" for device in devices) < ranks.local_count:
        allowed = f"at most {len(devices)} on one machine, the devices {names} has"
        raise refuse("processes", ranks.local_count, allowed)
    torch.set_num_threads(threads)
    # Weights and moments of a collapsed model shrink below 1e-38, where a CPU is ten times slower.
    torch.set_flush_denormal(True)
    keep_memory()
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


def keep_memory() -> None:
    """Let this process keep the memory it frees, where its C library is glibc.

    Each step asks for the arrays again that the step before freed. Given back to the system they
    come back page by page, which takes long where the vocabulary is large.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt  # constants of malloc.h
        mallopt(-3, 2**30)  # M_MMAP_THRESHOLD: smaller arrays come from the heap
        mallopt(-1, 2**31 - 1)  # M_TRIM_THRESHOLD: what is free at its end stays


def _devices(names: str) -> list[torch.device]:
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if names == "auto":
        return [torch.device("cuda", i) for i in range(count)] or [torch.device("cpu")]
    devices = []
    for name in names.split(","):
        if not re.fullmatch(r"cpu|cuda(:\d+)?", name):
            raise refuse("device", name, ALLOWED)
        device = torch.device(name)
        if device.type == "cuda":  # which means the first one, where it has no number
            device = torch.device("cuda", device.index or 0)
            if device.index >= count:
                raise refuse("device", name, f"cpu: {count} CUDA devices are to be seen here")
        devices.append(device)
    return devices


def _free(
    places: list[tuple[int, torch.device]], ranks: Ranks
) -> tuple[FileLock | None, torch.device]:
    """The device that fewest other trainings have locked; the first where all slots are taken.

    A device has SLOTS locks, one for each training on it: the first slot of every device is tried
    before any second one.
    """
    own = (
        places[ranks.local_rank :: ranks.local_count] or places
    )  # no two processes look at the same GPU
    for slot in range(SLOTS if len(places) > 1 else 0):
        for place, device in own:
            name = f"bitnet-{os.getuid()}-{place}-{_identity(device)}-{slot}.lock"
            lock = FileLock(Path(tempfile.gettempdir()) / name)
            try:
                return lock.acquire(timeout=0).lock, device
            except Timeout:
                continue
    return None, own[0][1]


def _identity(device: torch.device) -> str:
    """What a device is locked by: a GPU by its UUID, since its number may be another elsewhere."""
    if device.type != "cuda":
        return device.type
    return str(torch.cuda.get_device_properties(device).uuid)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, of a GPU or of the machine."""
    known = isinstance(error, torch.OutOfMemoryError | MemoryError)
    return known or re.search(NO_MEMORY, str(error), re.IGNORECASE) is not None


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
