"""Optimizer step: loss, gradients, norms, clipping, update; on a GPU as one CUDA graph."""

import logging
import os
import shutil
import sysconfig
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import torch
from torch import nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from bitnet.config.recipe import Recipe, TrainConfig
from bitnet.config.speed import step_seconds
from bitnet.model.bitlinear import quantised_once
from bitnet.model.products import fastest_float32, mixed_products
from bitnet.model.transformer import parameter_groups
from bitnet.training.cuda_graph import CudaGraph
from bitnet.training.distributed import Exchange, Ranks
from bitnet.training.loss import head_loss
from bitnet.training.optim import DECAYS, Adam

# What a step returns. Norms are before clipping, in the order of `parameter_groups`.
MEANS = ("loss", "grad_norm", "embed_grad_norm", "linear_grad_norm", "gain_grad_norm")
ALONE = Ranks()
# torch.compile takes 17 to 32 seconds on a CPU the first time, 3 to 9 from its cache, and makes a
# step there a tenth to a quarter shorter. A run whose steps take at least this many seconds in all
# earns that back. For a GPU this number is a guess: no compiled step has been measured there.
WORTH_SECONDS = 600
COMPILERS = ("c++", "g++", "clang++")  # what torch needs to compile for a CPU
C_COMPILERS = ("gcc", "clang", "cc")  # for a GPU it needs triton, which builds its launchers in C

log = logging.getLogger(__name__)


class Step:
    """The training step of a model and its optimizer.

    It never waits for the device, but for the first replays of a CUDA graph, which are checked.

    compiled: the layers run through torch.compile.
    ranks: the processes that share this step, each on its part of the batch.
    mixed: products have bfloat16 factors (see `bitnet.training.precision`).

    ValueError in one line where the batch does not divide into processes x micro-batches.
    """

    def __init__(
        self,
        model: nn.Module,
        config: TrainConfig,
        compiled: bool = False,
        ranks: Ranks = ALONE,
        mixed: bool = False,
    ):
        config.micro_batch(ranks.count)
        self.model, self.config, self.ranks = model, config, ranks
        model.checkpoint_activations = config.checkpoint_activations
        self.exchange = Exchange(model, ranks)
        self.optimizer = Adam(model, config)
        self.parts = list(parameter_groups(model).values())
        self.hidden = torch.compile(model.hidden, dynamic=False) if compiled else model.hidden
        # A single forward pass uses each weight once; only repeated passes gain from a cache.
        several = config.accumulate > 1 or config.checkpoint_activations
        self.quantised = quantised_once if several and not compiled else nullcontext
        self.device = model.embed_tokens.weight.device
        self.products = partial(mixed_products, self.device, mixed)
        self.float32 = fastest_float32 if self.device.type == "cpu" and not mixed else nullcontext
        # An unscaled decay is divided by the LR: a new constant each step, which no graph holds.
        captured = self.device.type == "cuda" and DECAYS[config.optimizer].times_lr
        if captured and ranks.count > 1:
            captured = False
            log.warning("no CUDA graph of a step that %d processes share", ranks.count)
        self.graph: CudaGraph | None = None
        self.run = self.eager
        if captured:
            self.capture()

    def __call__(self, rows: torch.Tensor, lr: float, weight_decay: float) -> torch.Tensor:
        """Train on token ids (B, T + 1) int64; returns the values of `MEANS` (5,)."""
        self.optimizer.set_step(lr, weight_decay)
        own = self.ranks.share(rows)
        return self.run(own.to(self.device, non_blocking=True), weight_decay)

    def compute(self, rows: torch.Tensor) -> torch.Tensor:
        """The step on this process's rows (B / processes, T + 1), at the LR and decay already set.

        Returns the values of `MEANS` (5,), equal on all processes.
        """
        c, losses = self.config, []
        with self.quantised():
            for piece in rows.chunk(c.accumulate):
                losses.append(self.gradients(piece))
        loss = self.exchange.total(torch.stack(losses).sum())
        norms = torch.stack([get_total_norm([p.grad for p in part]) for part in self.parts])
        norm = torch.linalg.vector_norm(norms)
        # A CPU's norm can be read without waiting: a pass over all gradients that changes none.
        if self.graph or self.device.type != "cpu" or not norm <= c.gradient_clip:
            clip_grads_with_norm_(self.model.parameters(), c.gradient_clip, norm)
        self.optimizer.step()
        return torch.stack([loss, norm, *norms])

    def eager(self, rows: torch.Tensor, key: object) -> torch.Tensor:
        """What `run` is without a CUDA graph."""
        return self.compute(rows)

    def capture(self) -> None:
        """Run the steps to come as a CUDA graph, which holds the learning rate as a tensor."""
        self.optimizer.lr = torch.zeros((), device=self.device)
        self.graph = self.run = CudaGraph(self.compute, self.forget, self.state())

    def state(self) -> dict[str, torch.Tensor]:
        """The tensors that a step changes, by name: parameters and moments."""
        return dict(self.model.named_parameters()) | self.optimizer.state_dict()

    def forget(self) -> None:
        """Drop the gradients of all parameters."""
        for parameter in self.model.parameters():
            parameter.grad = None

    def gradients(self, rows: torch.Tensor) -> torch.Tensor:
        """Accumulate the gradients of a micro-batch of token ids (b, T + 1).

        Returns its share () of the batch's mean loss, in nats, without gradients.
        """
        c, head = self.config, self.model.lm_head.weight
        inputs, targets = rows[:, :-1], rows[:, 1:].flatten()
        # Multiply-adds of a product of the layers, and of one of the head.
        small, large = (len(targets) * n for n in (head.shape[1] ** 2, head.numel()))
        with self.products():
            with self.float32(small):
                hidden = self.hidden(inputs).flatten(0, 1)
            with self.float32(large):
                loss = head_loss(hidden, head, targets, c.label_smoothing)
            part = loss / (c.accumulate * self.ranks.count)
        with self.float32(small):
            part.backward()
        return part.detach()


def compiles(recipe: Recipe, device: torch.device) -> bool:
    """Whether to compile a run: as its recipe states, else if the run is long enough.

    A run on a machine that lacks what torch needs to compile for the device is compiled only if
    its recipe demands it.
    """
    c = recipe.training
    if c.compile is not None:
        return c.compile
    gpu = device.type == "cuda"
    return c.steps * step_seconds(recipe, gpu) >= WORTH_SECONDS and can_compile(gpu)


def can_compile(gpu: bool) -> bool:
    """Whether this machine has what torch needs to compile for a GPU, or for its CPU."""
    if not gpu:
        return any(map(shutil.which, (os.environ.get("CXX", ""), *COMPILERS)))
    try:
        import triton  # noqa: F401
    except ImportError:
        return False
    compiler = any(map(shutil.which, (os.environ.get("CC", ""), *C_COMPILERS)))
    return compiler and Path(sysconfig.get_path("include"), "Python.h").is_file()
