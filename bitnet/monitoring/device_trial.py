"""Trial of the training step on a device: a small model there, eager and captured, and on the CPU.

Bits are compared under deterministic algorithms, where an eager step, a captured one and a training
that was interrupted must agree exactly. The precision is what `auto` is there: float32 on the CPU,
and mixed on a GPU that computes bfloat16. So these two agree within LOSS and NORM: the same model
in bfloat16 on a CPU differs by 0.001, in its losses and in the norms of the first step's gradients.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch

from bitnet.config.recipe import WEIGHTS, ModelConfig, Recipe, TrainConfig
from bitnet.training.precision import resolved
from bitnet.training.trainer import Trainer

LOSS, NORM = 0.01, 0.01  # largest relative differences from the CPU
CPU = torch.device("cpu")
VOCAB = 512
TOKENS = (np.arange(20_000) * 7 % VOCAB).astype(np.uint16)  # a text that is learnt in a few steps
PROTOCOL = TrainConfig(
    steps=16,
    wd_switch=8,
    batch_size=8,
    sequence_length=32,
    optimizer="adamw",
    peak_lr=5e-3,
    switch_lr=5e-3,
    final_lr=1e-3,
    warmup_steps=4,
    stage1_weight_decay=0.1,
    stage2_weight_decay=0.0,
    deterministic=True,
)
BROKEN_OFF = 6  # steps after which a training is resumed
WARM, TIMED = 8, 20  # steps before the clock starts, and under it


@dataclass(frozen=True)
class Trial:
    """What came of the trial of one kind of weights on a device."""

    loss: float
    """Largest relative difference of a step's loss from the CPU's."""
    norm: float
    """Largest relative difference of a gradient norm from the CPU's, at the first step."""
    refused: str | None
    """Why no step was captured."""
    captured: bool
    """Whether captured steps gave the bits of eager ones."""
    resumed: bool
    """Whether an interrupted training gave the bits of one in a piece."""
    milliseconds: dict[str, float]
    """Time of a step: cpu, eager, captured."""

    @property
    def agrees(self) -> bool:
        """Whether the device's steps are the CPU's, within LOSS and NORM; NaN is not."""
        return self.loss <= LOSS and self.norm <= NORM


def trial(weights: str, device: torch.device) -> Trial:
    """Train a small model (160,000 parameters) of such weights for 16 steps in each way.

    Some seconds. The device was claimed as deterministic (`training.device.claim`), which cuBLAS
    has to know before its first call; deterministic algorithms are off while steps are timed.
    """
    if weights not in WEIGHTS:
        raise ValueError(f"weights is {weights!r}; allowed: {', '.join(WEIGHTS)}")
    model = ModelConfig(VOCAB, 64, 2, weights=weights)
    recipe = Recipe(model, PROTOCOL)
    with _deterministic():
        cpu, eager = (_trained(begin(recipe, place, False)) for place in (CPU, device))
        captured = _trained(begin(recipe, device, True))
        part = _trained(begin(recipe, device, True), BROKEN_OFF)
        resumed = begin(recipe, device, True)
        resumed.load_state_dict(part.state_dict())
        _trained(resumed)
    theirs, ours = (torch.stack(t.recent).cpu() for t in (cpu, eager))
    off = ((ours - theirs) / theirs).abs()
    timed = Recipe(model, replace(PROTOCOL, steps=1000, wd_switch=999, deterministic=False))
    ways = {"cpu": (CPU, False), "eager": (device, False), "captured": (device, True)}
    return Trial(
        loss=off[:, 0].max().item(),
        norm=off[0, 1:].max().item(),
        refused=captured.advance.graph.refused,
        captured=_same_bits(captured, eager),
        resumed=_same_bits(resumed, captured),
        milliseconds={name: _milliseconds(begin(timed, *way)) for name, way in ways.items()},
    )


@contextmanager
def _deterministic() -> Iterator[None]:
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def begin(recipe: Recipe, device: torch.device, captured: bool) -> Trainer:
    """A training at its first step, whose steps are captured or not."""
    trainer = Trainer(recipe, device, mixed=resolved("auto", device) == "mixed")
    if captured:
        trainer.advance.capture()
    else:
        trainer.advance.run = trainer.advance.eager
        # As a captured step has it: a rate in float32 gives other bits than one in float64.
        trainer.advance.optimizer.lr = torch.zeros((), device=device)
    return trainer


def _trained(trainer: Trainer, last: int = PROTOCOL.steps) -> Trainer:
    while trainer.step < last:
        trainer.update(TOKENS)
    return trainer


def _same_bits(one: Trainer, other: Trainer) -> bool:
    theirs = other.state_dict()
    return all(torch.equal(value, theirs[name]) for name, value in one.state_dict().items())


def _milliseconds(trainer: Trainer) -> float:
    _trained(trainer, WARM)
    began = _now(trainer.device)
    _trained(trainer, WARM + TIMED)
    return 1000 * (_now(trainer.device) - began) / TIMED


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
