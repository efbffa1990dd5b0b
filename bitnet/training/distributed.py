"""Data-parallel training: each process takes its share of a batch, gradients are summed.

The sum is one all-reduce of all gradients in a row, once a step. Its order of addition depends on
nothing but the model, so a resumed training gets the same bits. DistributedDataParallel is not
used: it rebuilds its gradient buckets after the first step, and the place of a value in its bucket
decides in which order more than two processes add it.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol

import torch
import torch.distributed as dist
from torch import nn

TIMEOUT = timedelta(minutes=30)  # of a collective: rank 0 may evaluate or write meanwhile
WAIT = timedelta(days=7)  # for rank 0, which may wait for another training before it joins


@dataclass(frozen=True)
class Ranks:
    """Place of this process among those of a training: in all, and on its machine (local)."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0
    local_count: int = 1

    @property
    def first(self) -> bool:
        """Whether this is rank 0, which reads the state, evaluates and writes files."""
        return self.rank == 0

    def share(self, rows: torch.Tensor) -> torch.Tensor:
        """This process's part (B / count, ...) of a batch (B, ...)."""
        return rows.chunk(self.count)[self.rank]


def launched() -> Ranks:
    """Ranks as torchrun set them; one process without torchrun."""
    if not dist.is_torchelastic_launched():
        return Ranks()
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    return Ranks(*(int(os.environ[name]) for name in names))


@contextmanager
def joined(ranks: Ranks, device: torch.device) -> Iterator[None]:
    """Context inside which all processes form one group (NCCL on GPUs, gloo on CPUs).

    The others wait for rank 0 for days, since it may wait for another training; a collective waits
    for 30 minutes. After an error the group is left as it is: to destroy one of NCCL waits for
    processes that no longer answer. So the process has to end (bitnet/monitoring/together.py).
    """
    if ranks.count == 1:
        yield
        return
    store, _, _ = next(dist.rendezvous("env://", timeout=WAIT))
    if ranks.first:
        store.set("rank 0 is here", "")
    store.wait(["rank 0 is here"], WAIT)
    store.set_timeout(TIMEOUT)
    backend = "nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(
        backend, store=store, rank=ranks.rank, world_size=ranks.count, timeout=TIMEOUT
    )
    yield
    dist.destroy_process_group()


class Stateful(Protocol):
    """What `spread` needs of a trainer."""

    def state_dict(self) -> dict[str, torch.Tensor]: ...
    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None: ...


def spread(trainer: Stateful, ranks: Ranks, device: torch.device) -> None:
    """Give all processes the state of rank 0, but for the rows that it alone records.

    Only rank 0 reads a state from disk: on a network's file system another machine may still see
    an older version of the file.
    """
    if ranks.count == 1:
        return
    state = trainer.state_dict() if ranks.first else {}
    state = {name: t.detach() for name, t in state.items() if not name.startswith("rows.")}
    kinds = [{name: (t.shape, t.dtype) for name, t in state.items()}]
    dist.broadcast_object_list(kinds, device=device)
    for name, (shape, dtype) in kinds[0].items():
        sent = state[name] if ranks.first else torch.empty(shape, dtype=dtype)
        state[name] = sent.to(device).contiguous()
        dist.broadcast(state[name], 0)
    if not ranks.first:
        trainer.load_state_dict(state)


class Exchange:
    """Sum over the processes of a step's loss and gradients, in one buffer that is kept."""

    def __init__(self, model: nn.Module, ranks: Ranks):
        self.parameters, self.ranks = list(model.parameters()), ranks
        self.buffer: torch.Tensor | None = None

    def total(self, loss: torch.Tensor) -> torch.Tensor:
        """Sum of a loss (); each parameter's gradient becomes its sum, too."""
        if self.ranks.count == 1:
            return loss
        # The loss stands last, so that gradients begin at multiples of 16 bytes.
        parts = [*(p.grad for p in self.parameters), loss]
        sizes = [part.numel() for part in parts]
        if self.buffer is None:
            self.buffer = loss.new_empty(sum(sizes))
        torch.cat([part.flatten() for part in parts], out=self.buffer)
        dist.all_reduce(self.buffer)
        *gradients, total = self.buffer.split(sizes)
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient.view_as(parameter)
        return total[0]
