"""Data-parallel training: each process takes its share of a batch, gradients are summed.

DistributedDataParallel is not used, because it rebuilds its gradient buckets after the first step.
The position of a value in its bucket decides in which order more than two processes add it, so a
resumed training would get other bits.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import nn

WAIT = timedelta(days=7)  # the first process may wait for another training before it joins


@dataclass(frozen=True)
class Ranks:
    """Rank of this process and number of processes; rank 0 alone evaluates and writes files."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which evaluates and writes files."""
        return self.rank == 0

    def share(self, rows: torch.Tensor) -> torch.Tensor:
        """This process's part (B / count, ...) of a batch (B, ...)."""
        return rows.chunk(self.count)[self.rank]


def launched() -> Ranks:
    """Rank and count as torchrun set them; one process without torchrun."""
    if not dist.is_torchelastic_launched():
        return Ranks()
    return Ranks(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))


@contextmanager
def joined(ranks: Ranks, device: torch.device) -> Iterator[None]:
    """Context inside which all processes form one group (NCCL on GPUs, gloo on CPUs)."""
    if ranks.count == 1:
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=WAIT)
    try:
        yield
    finally:
        dist.destroy_process_group()


class Exchange:
    """Sum of gradients over the processes, each sent as soon as the backward pass has made it."""

    def __init__(self, model: nn.Module, ranks: Ranks):
        self.ranks, self.sending = ranks, False
        self.sent: list[dist.Work] = []
        if ranks.count > 1:
            for parameter in model.parameters():
                parameter.register_post_accumulate_grad_hook(self._send)

    def _send(self, parameter: nn.Parameter) -> None:
        if self.sending:
            self.sent.append(dist.all_reduce(parameter.grad, async_op=True))

    def backward(self, loss: torch.Tensor, last: bool) -> None:
        """Accumulate the gradients of a micro-batch's loss; after the `last` one sum over ranks."""
        self.sending = last
        loss.backward()
        for work in self.sent:
            work.wait()
        self.sent.clear()

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """Sum of a tensor over the processes, in place."""
        if self.ranks.count > 1:
            dist.all_reduce(value)
        return value
