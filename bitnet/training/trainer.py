"""Training loop of one stretch of a run: a trunk (to the switch) or a branch (from it to the end).

Training records raw observations at the probe and interprets none of them. It can be stopped at
any step and resumed from a state that was saved, with the same bits on the same CPU.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch

from bitnet.config.recipe import Recipe
from bitnet.data.dataloader import batch
from bitnet.model.transformer import Transformer
from bitnet.training.distributed import Ranks
from bitnet.training.observations import codes, continuations, health, observe
from bitnet.training.schedule import schedules
from bitnet.training.step import ALONE, MEANS, Step

RECENT = 100  # steps over which Loss and GradNorm are averaged and FlipRate is counted
CHECK_EVERY = 10  # steps between checks that the loss is finite: a check waits for a GPU

Report = Callable[[int, float, float], None]  # step, loss in nats, tokens per second


@dataclass
class Trainer:
    """State of a training between two steps: model, optimizer, schedules and recorded rows."""

    recipe: Recipe
    device: torch.device
    compiled: bool = False
    ranks: Ranks = ALONE
    mixed: bool = False
    step: int = 0
    diverged: bool = False
    spike: float = 0.0  # largest loss above the mean of RECENT steps since the last row, nats
    rows: list[dict] = field(default_factory=list)
    recent: list[torch.Tensor] = field(default_factory=list)  # (5,) of each step: MEANS
    codes: dict[int, torch.Tensor] = field(default_factory=dict)  # ternary values at past steps

    def __post_init__(self):
        torch.manual_seed(self.recipe.training.seed)
        model = Transformer(self.recipe.model, self.recipe.training.sequence_length)
        self.model = model.to(self.device)
        self.advance = Step(self.model, self.recipe.training, self.compiled, self.ranks, self.mixed)
        self.lr, self.wd = schedules(self.recipe.training)

    def state_dict(self) -> dict[str, torch.Tensor]:
        """All state as a flat mapping of tensors; `load_state_dict` restores it to the bit."""
        state = {
            "step": torch.tensor(self.step),
            "diverged": torch.tensor(self.diverged),
            "spike": torch.tensor(self.spike, dtype=torch.float64),
            **{f"model.{name}": p for name, p in self.model.named_parameters()},
            **{f"codes.{step}": values for step, values in self.codes.items()},
        }
        for name, value in self.advance.optimizer.state_dict().items():
            state[f"optimizer.{name}"] = value
        if self.recent:
            state["recent"] = torch.stack(self.recent)
        if self.rows:
            state |= {f"rows.{k}": torch.from_numpy(v) for k, v in self.observations().items()}
        return state

    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Restore a `state_dict`; ValueError in one line where it is of another model."""
        parts: dict[str, dict[str, torch.Tensor]] = {}
        for key, value in state.items():
            part, _, name = key.partition(".")
            parts.setdefault(part, {})[name] = value
        try:
            self.step, self.diverged = int(state["step"]), bool(state["diverged"])
            self.spike = float(state["spike"])
            parameters = dict(self.model.named_parameters())
            if parts["model"].keys() != parameters.keys():
                raise ValueError("its parameters are others")
            with torch.no_grad():
                for name, value in parts["model"].items():
                    parameters[name].copy_(value)
            self.advance.optimizer.load_state_dict(parts["optimizer"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise ValueError(f"a state of another model: {error}") from None
        rows = {name: value.numpy() for name, value in parts.get("rows", {}).items()}
        evaluations = len(rows["step"]) if rows else 0
        self.rows = [{k: v[i] for k, v in rows.items()} for i in range(evaluations)]
        self.recent = [*parts["recent"][""].to(self.device)] if "recent" in parts else []
        self.codes = {int(s): c.to(self.device) for s, c in parts.get("codes", {}).items()}

    def update(self, tokens: np.ndarray) -> None:
        """One optimizer step on the batch of (seed, step), drawn from token ids (tokens,)."""
        c, step = self.recipe.training, self.step + 1
        size = (c.batch_size, c.sequence_length)
        rows = torch.from_numpy(batch(tokens, c.seed, step, *size, c.windows, c.shuffled))
        values = self.advance(rows, self.lr(step), self.wd(step))
        self.step = step
        self.recent = [*self.recent[-RECENT + 1 :], values]

    def finite(self) -> bool:
        """Whether the last CHECK_EVERY losses and gradient norms are finite; updates `spike`."""
        recent = torch.stack(self.recent)
        last, mean = recent[-CHECK_EVERY:], recent[:, 0].mean()
        high, finite = torch.stack([last[:, 0].max() - mean, last.isfinite().all()]).tolist()
        self.spike = max(self.spike, high)
        return bool(finite)

    def snapshot(self) -> None:
        """Keep the ternary codes, to count RECENT steps later how many have changed."""
        if self.recipe.model.weights == "ternary":
            self.codes[self.step] = codes(self.model)

    def record(self, windows: torch.Tensor, positions: int) -> None:
        """Append a row: observations at the probe, weight statistics, LR and decay of the step.

        windows (count, length + 1) int64 and positions are the probe's.
        """
        with self.advance.products():
            row = observe(self.model, windows, positions)
        flip_rate = float("nan")
        means = dict.fromkeys(MEANS, float("nan"))
        before = self.codes.get(max(0, self.step - RECENT))
        if before is not None and self.step:
            flip_rate = (codes(self.model) != before).double().mean().item()
            self.codes = {s: c for s, c in self.codes.items() if s > self.step - RECENT}
        if self.recent:
            recent = torch.stack(self.recent).double().mean(0).tolist()
            means = dict(zip(MEANS, recent, strict=True))
        c = self.recipe.training
        if c.samples:
            row["samples"] = continuations(self.model, windows, c.samples, c.seed)
        row |= health(self.model) | means
        row |= {
            "step": self.step,
            "lr": self.lr(self.step),
            "wd": self.wd(self.step),
            "flip_rate": flip_rate,
            "loss_spike": self.spike,
        }
        self.spike = 0.0
        self.rows.append({key: np.asarray(value) for key, value in row.items()})

    def observations(self) -> dict[str, np.ndarray]:
        """All recorded rows as arrays (evaluations, ...) by name."""
        return {key: np.stack([row[key] for row in self.rows]) for key in self.rows[0]}


def train(
    trainer: Trainer,
    tokens: np.ndarray,
    windows: np.ndarray,
    positions: int,
    last: int,
    save: Callable[[Trainer], None] | None = None,
    report: Report | None = None,
    watch: Callable[[Trainer], None] | None = None,
) -> None:
    """Train up to and including step `last`, recording at the recipe's evaluation steps.

    tokens: ids of the training shard (tokens,).
    windows, positions: the probe (count, length + 1) int64, and how many of its positions count.
    save: called with the trainer after each step but the last, to save its state where it is time.
    report: called every CHECK_EVERY steps with step, loss in nats and tokens per second.
    watch: called with the trainer after each evaluation.

    A loss or gradient norm that is not finite ends the training: the step is recorded and
    `diverged` is set. Of several processes only rank 0 records and saves.
    """
    c, first = trainer.recipe.training, trainer.ranks.first
    probe = torch.from_numpy(windows).to(trainer.device)
    due = set(c.evaluation_steps(0, last))
    snapshots = {step - RECENT for step in c.evaluation_steps(0, c.steps)}
    began, start = time.perf_counter(), trainer.step
    if first and trainer.step == 0 and not trainer.rows:
        trainer.snapshot()
        trainer.record(probe, positions)
    while trainer.step < last and not trainer.diverged:
        trainer.update(tokens)
        step = trainer.step
        if (step % CHECK_EVERY == 0 or step in due) and not trainer.finite():
            trainer.diverged = True
        if first and (step in due or trainer.diverged):
            trainer.record(probe, positions)
            if watch:
                watch(trainer)
        if first and step in snapshots:
            trainer.snapshot()
        if report and step % CHECK_EVERY == 0:
            seconds = time.perf_counter() - began
            rate = (step - start) * c.batch_size * c.sequence_length / seconds
            report(step, trainer.recent[-1][0].item(), rate)
        if save and step < last:
            save(trainer)
