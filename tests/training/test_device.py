"""Which device a training gets, and what counts as out of memory, on pretended GPUs."""

import contextlib
import subprocess
import sys
from collections import Counter
from types import SimpleNamespace

import pytest
import torch

from bitnet.training.device import claim, is_out_of_memory
from bitnet.training.distributed import Ranks
from tests.helpers.project import ROOT


@pytest.fixture
def gpus(monkeypatch, tmp_path):
    """A function that pretends so many GPUs; locks lie in a folder of the test's own."""
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))

    def pretend(count: int, set_device=lambda device: None) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
        monkeypatch.setattr(torch.cuda, "set_device", set_device)
        named = lambda device: SimpleNamespace(uuid=f"GPU-{device.index}")  # noqa: E731
        monkeypatch.setattr(torch.cuda, "get_device_properties", named)

    return pretend


@pytest.mark.parametrize(("devices", "trainings"), [(2, 8), (4, 8), (8, 8), (4, 6)])
def test_trainings_at_once_are_spread_evenly_over_the_gpus(gpus, devices, trainings):
    gpus(devices)
    with contextlib.ExitStack() as running:
        taken = [running.enter_context(claim("auto", 1)).index for _ in range(trainings)]
    counts = Counter(taken).values()
    assert len(counts) == devices and max(counts) - min(counts) <= 1


def test_a_gpu_that_is_free_again_is_taken_first(gpus):
    gpus(2)
    with claim("auto", 1) as first:
        with claim("auto", 1) as second:
            assert {first.index, second.index} == {0, 1}
        with claim("auto", 1) as third:
            assert third.index == second.index


def test_a_gpu_without_a_number_is_the_first_one(gpus):
    def set_device(device):  # as torch does
        if device.index is None:
            raise ValueError("Expected a torch.device with a specified index")

    gpus(2, set_device)
    with claim("cuda", 1) as device:
        assert device == torch.device("cuda", 0)


@pytest.mark.parametrize(
    ("error", "memory"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (
            RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 B"),
            True,
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate`"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (RuntimeError("view size is not compatible with input tensor's memory format"), False),
    ],
)
def test_out_of_memory_is_said_of_memory_alone(error, memory):
    assert is_out_of_memory(error) is memory


def test_each_process_of_a_training_takes_a_gpu_of_its_own_on_its_machine(gpus):
    gpus(2)
    taken = []
    for rank in range(4):  # on two machines, which share no locks
        with claim("auto", 1, ranks=Ranks(rank, 4, rank % 2, 2)) as device:
            taken.append(device.index)
    assert set(taken[:2]) == set(taken[2:]) == {0, 1}
    with (
        pytest.raises(ValueError, match="processes is 3; allowed: at most 2 on one machine"),
        claim("auto", 1, ranks=Ranks(0, 6, 0, 3)),
    ):
        pass


FAULTS = """
import platform, resource
import torch
from bitnet.training.device import keep_memory

def faults() -> int:
    def step():
        a, b = torch.ones(8_000_000), torch.ones(4_000_000)
    step()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        step()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

given_back = faults()
keep_memory()
print(platform.libc_ver()[0], given_back, faults())
"""


def test_memory_that_a_step_has_freed_is_kept_for_the_next_one():
    child = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, cwd=ROOT)
    libc, given_back, kept = child.stdout.rsplit(maxsplit=2)
    if libc != "glibc":
        pytest.skip("this C library has no mallopt")
    assert int(kept) < 0.1 * int(given_back)
