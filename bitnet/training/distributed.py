"""Data parallel training in several processes: rows are shared out, gradients summed.

Not DistributedDataParallel: that sends parameters in groups which it forms anew after its first
step, and where a number stands in a group decides in which order more than two are added. A
training that was resumed would go on to other bits.
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
    """Which of how many processes this one is; the first alone evaluates and writes files."""

    rank: int = 0
    count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that evaluates and writes."""
        return self.rank == 0

    def share(self, rows: torch.Tensor) -> torch.Tensor:
        """This process's part of a batch (B, ...): (B / count, ...)."""
        return rows.chunk(self.count)[self.rank]


def launched() -> Ranks:
    """What torchrun says; alone without it."""
    if not dist.is_torchelastic_launched():
        return Ranks()
    return Ranks(int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"]))


@contextmanager
def joined(ranks: Ranks, device: torch.device) -> Iterator[None]:
    """Wait for all processes, and be one of them."""
    if ranks.count == 1:
        yield
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=WAIT)
    try:
        yield
    finally:
        dist.destroy_process_group()


class Exchange:
    """Adds up gradients over the processes, each as soon as a backward pass has finished it."""

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
        """Add a part's gradients to those that are there; after the `last` part add up over all."""
        self.sending = last
        loss.backward()
        for work in self.sent:
            work.wait()
        self.sent.clear()

    def total(self, value: torch.Tensor) -> torch.Tensor:
        """Sum of a value over the processes."""
        if self.ranks.count > 1:
            dist.all_reduce(value)
        return value
