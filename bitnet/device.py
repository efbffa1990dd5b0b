"""Which device a training runs on, and what is set there once."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from bitnet.config import refuse

DEVICES = ("auto", "cpu", "cuda")


@contextmanager
def claim(name: str, threads: int) -> Iterator[torch.device]:
    """Give a training its device; with several GPUs, each training takes a free one by lock.

    On a CPU sums, and so bits, depend on `threads`; they are set here. ValueError for a device
    that is not there.
    """
    if name not in DEVICES:
        raise refuse("device", name, " or ".join(DEVICES))
    if name == "cuda" and not torch.cuda.is_available():
        raise refuse("device", name, "cpu: no CUDA device is to be seen here")
    torch.set_num_threads(threads)
    if name == "cpu" or not torch.cuda.is_available():
        yield torch.device("cpu")
        return
    lock, index = _free_gpu(torch.cuda.device_count())
    try:
        yield torch.device("cuda", index)
    finally:
        if lock is not None:
            lock.release()


def _free_gpu(count: int) -> tuple[FileLock | None, int]:
    """A locked free GPU; where all are taken (or there is one only) the first, shared."""
    for index in range(count if count > 1 else 0):
        lock = FileLock(Path(tempfile.gettempdir()) / f"bitnet-gpu{index}.lock")
        try:
            return lock.acquire(timeout=0).lock, index
        except Timeout:
            continue
    return None, 0


def describe(device: torch.device) -> str:
    """Name of a device for the record."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
