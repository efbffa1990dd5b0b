"""One optimizer step: loss, gradients, norms, clipping, update; on a GPU as one CUDA graph."""

import logging
import os
import shutil
from contextlib import nullcontext

import torch
from torch import nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm

from bitnet.config.recipe import Recipe, TrainConfig
from bitnet.config.speed import step_seconds
from bitnet.model.bitlinear import quantised_once
from bitnet.model.transformer import parameter_groups
from bitnet.training.cuda_graph import CudaGraph
from bitnet.training.distributed import Exchange, Ranks
from bitnet.training.loss import head_loss
from bitnet.training.optim import DECAYS, Adam

# What a step returns; norms are before clipping, those of parts in the order of `optim.parts`.
MEANS = ("loss", "grad_norm", "embed_grad_norm", "linear_grad_norm", "gain_grad_norm")
ALONE = Ranks()
# A compiler takes 17 to 32 seconds of a CPU the first time and 3 to 9 from its cache, and makes a
# step there a tenth to a quarter shorter: a run (all its steps, whatever remains of them) of this
# many seconds earns that back. On a GPU, where no step has been measured, that number is a guess.
WORTH_SECONDS = 600
COMPILERS = ("c++", "g++", "clang++")  # what torch needs to compile for a CPU

log = logging.getLogger(__name__)


class Step:
    """The training step of a model and its optimizer.

    Nothing in it waits for the device. `compiled`: the layers run as torch.compile makes them.
    `ranks`: the processes that make this step together, each on its share of the rows.
    """

    def __init__(
        self, model: nn.Module, config: TrainConfig, compiled: bool = False, ranks: Ranks = ALONE
    ):
        config.micro_batch(ranks.count)
        self.model, self.config, self.ranks = model, config, ranks
        model.checkpoint_activations = config.checkpoint_activations
        self.exchange = Exchange(model, ranks)
        self.optimizer = Adam(model, config)
        self.parts = list(parameter_groups(model).values())
        self.hidden = torch.compile(model.hidden, dynamic=False) if compiled else model.hidden
        # One forward pass quantises a weight once by itself, unless it is made again for gradients.
        several = config.accumulate > 1 or config.checkpoint_activations
        self.quantised = quantised_once if several and not compiled else nullcontext
        self.device = model.embed_tokens.weight.device
        # A decay that is divided by each step's rate is another constant each step.
        captured = self.device.type == "cuda" and DECAYS[config.optimizer].times_lr
        if captured and ranks.count > 1:
            captured = False
            log.warning("no CUDA graph of a step that %d processes share", ranks.count)
        graph = CudaGraph(self.compute, self.forget) if captured else None
        self.run = graph or (lambda rows, key: self.compute(rows))

    def __call__(self, rows: torch.Tensor, lr: float, weight_decay: float) -> torch.Tensor:
        """Train on token ids (B, T + 1); returns the values of `MEANS` (5,)."""
        self.optimizer.set_step(lr, weight_decay)
        own = self.ranks.share(rows)
        return self.run(own.to(self.device, non_blocking=True), weight_decay)

    def compute(self, rows: torch.Tensor) -> torch.Tensor:
        """The step itself on this process's rows, with the rate and decay that are set."""
        c, losses = self.config, []
        with self.quantised():
            for part, piece in enumerate(rows.chunk(c.accumulate), 1):
                losses.append(self.gradients(piece, last=part == c.accumulate))
        loss = self.exchange.total(torch.stack(losses).sum())
        norms = torch.stack([get_total_norm([p.grad for p in part]) for part in self.parts])
        norm = torch.linalg.vector_norm(norms)
        clip_grads_with_norm_(self.model.parameters(), c.gradient_clip, norm)
        self.optimizer.step()
        return torch.stack([loss, norm, *norms])

    def forget(self) -> None:
        """Drop the gradients of all parameters."""
        for parameter in self.model.parameters():
            parameter.grad = None

    def gradients(self, rows: torch.Tensor, last: bool) -> torch.Tensor:
        """Add the gradients of a micro-batch; returns its part of the batch's loss."""
        c = self.config
        with autocast(self.device):
            hidden = self.hidden(rows[:, :-1]).flatten(0, 1)
            targets = rows[:, 1:].flatten()
            loss = head_loss(hidden, self.model.lm_head.weight, targets, c.label_smoothing)
            part = loss / (c.accumulate * self.ranks.count)
        self.exchange.backward(part, last)
        return part.detach()


def autocast(device: torch.device) -> torch.autocast:
    """bf16 matrix products on a GPU; full precision on a CPU, where bf16 would be slower."""
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=device.type == "cuda")


def compiles(recipe: Recipe, device: torch.device) -> bool:
    """Whether a run on a device is compiled: as its recipe says, or by its length."""
    c = recipe.training
    if c.compile is not None:
        return c.compile
    gpu = device.type == "cuda"
    if not gpu and not any(map(shutil.which, (os.environ.get("CXX", ""), *COMPILERS))):
        return False
    return c.steps * step_seconds(recipe, gpu) >= WORTH_SECONDS
