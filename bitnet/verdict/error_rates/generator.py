"""Synthetic runs: drawn around paths that are given, with the spread of a measured study.

A run is its trunk up to the switch and one arm after it. At an evaluation, its
y = (ln UniquePredictions, ValLoss above the unigram's) is

    y = path + level * own + step * noise

with standard normal or scaled t numbers: one `own` a segment of a run, one `noise` an evaluation.
`level` and `step` are fitted to a study, for each of KINDS. What both arms of a seed have in common
cancels in their difference and is not drawn.

    spread = fit(rows, question, thresholds)
    runs = draw(Truth(path(4), path(4), path(100)), spread, 1000, 3, rng)  # a fix, 3 seeds
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bitnet.config.question import COUNT, Question
from bitnet.config.thresholds import Thresholds
from bitnet.verdict.cells import CELL
from bitnet.verdict.rule import POINT, is_headline

SEGMENTS = ("trunk", "control", "treatment")
KINDS = COLLAPSED, RECOVERED, HEALTHY = range(3)
"""Evaluations of a collapsed model; others, after a collapsed trunk; others."""
EVALUATIONS = 5  # of a segment
VOCABULARY = 2048  # most distinct predictions
TAILS = 3  # degrees of freedom of heavy tails


@dataclass(frozen=True)
class Truth:
    """What a cell's runs stray around: a path (EVALUATIONS, 2) a segment, see `path`."""

    trunk: np.ndarray
    control: np.ndarray
    treatment: np.ndarray
    width: float = 1.0
    """Factor of the fitted spread."""
    heavy: bool = False
    """Whether tails are those of t with TAILS degrees of freedom, of the same variance."""
    diverging: tuple[float, float] = (0, 0)
    """Probability that a run of the control, of the treatment, diverges."""


def path(counts: float | Sequence[float], loss: float | None = None) -> np.ndarray:
    """Counts and losses of a segment, (EVALUATIONS, 2).

    counts: one for all evaluations, or one for each. loss: nats above the unigram's; None for one
    that falls with the counts as in measured runs, from 0.2 at 4 to -1.2 at 100.
    """
    counts = np.broadcast_to(np.asarray(counts, float), EVALUATIONS)
    losses = 0.2 - 0.45 * np.log(counts / 4) if loss is None else np.full(EVALUATIONS, loss)
    return np.column_stack([counts, losses])


def kind(before: float, counts: np.ndarray) -> np.ndarray:
    """One of KINDS for each count. before: the trunk's count at the switch."""
    low = Thresholds.collapsed_below
    return np.where(counts < low, COLLAPSED, RECOVERED if before < low else HEALTHY)


def fit(rows: pd.DataFrame, question: Question, thresholds: Thresholds) -> np.ndarray:
    """Standard deviations (2, KINDS, 2) of a study: level, step; ln count, nats.

    rows: as `rule.judge` accepts them. By analysis of variance over the last evaluations of the
    headline cell, its twin and the other optimizers: of both arms' difference over sqrt(2) where
    they are of one kind, else of each arm. A kind that a study lacks has the largest spread of the
    others. Seeds without two finite arms are left out. ValueError where no cell has two seeds.
    """
    keys = rows[CELL].drop_duplicates()
    runs = rows.merge(keys.loc[is_headline(keys, question), POINT])
    runs = runs[runs["Stage2WD"].isin([question.treatment, question.control])]
    squares = np.zeros((3, len(KINDS), 2))  # of levels, of steps; degrees of freedom
    for _, cell in runs.groupby(CELL):
        before = cell.loc[cell["Step"] == cell["SwitchStep"], COUNT].mean()
        after = cell[cell["Step"] > cell["SwitchStep"]].set_index(["Seed", "Stage2WD", "Step"])
        wide = after[[COUNT, "ValLoss"]].unstack(["Stage2WD", "Step"]).sort_index(axis=1)
        wide = wide[(np.isfinite(wide) & (wide > 0)).all(axis=1)]
        if len(wide) < 2:
            continue
        y = wide.to_numpy(copy=True).reshape(len(wide), 2, cell["Stage2WD"].nunique(), -1)
        y = y.transpose(2, 0, 3, 1)[:, :, -thresholds.final_evaluations :]  # (arms, n, E, 2)
        kinds = [kind(before, arm[..., 0].mean()) for arm in y]
        y[..., 0] = np.log(y[..., 0])
        if len(y) == 2 and kinds[0] == kinds[1]:
            y, kinds = (y[:1] - y[1:]) / math.sqrt(2), kinds[:1]
        stray = y - y.mean(axis=1, keepdims=True)
        steps = stray.var(axis=2, ddof=1)  # of each run
        levels = stray.mean(axis=2) ** 2 - steps / y.shape[2]
        freedom = np.full_like(steps, (len(wide) - 1) / len(wide))
        np.add.at(squares, (slice(None), kinds), np.stack([levels, steps, freedom]).sum(axis=2))
    known = squares[2, :, 0] > 0
    if not known.any():
        raise ValueError(f"no cell at the headline {dict(question.headline)} has two sound seeds")
    spread = np.sqrt(squares[:2, known].clip(min=0) / squares[2, known])
    filled = spread.max(axis=1, keepdims=True).repeat(len(KINDS), axis=1)
    filled[:, known] = spread
    return filled


def draw(
    truth: Truth, spread: np.ndarray, draws: int, seeds: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Runs of `draws` studies of one cell, (draws, seeds, EVALUATIONS, 2) a segment.

    The last axis: UniquePredictions, integers from 1 up, and ValLoss above the unigram's, NaN at
    the last evaluation of a run that diverged.
    """

    def stray(length: int) -> np.ndarray:
        size = (draws, seeds, length, 2)
        if truth.heavy:
            return rng.standard_t(TAILS, size) / math.sqrt(TAILS / (TAILS - 2))
        return rng.standard_normal(size)

    runs = {}
    for name, share in zip(SEGMENTS, (0, *truth.diverging), strict=True):
        y = getattr(truth, name).copy()
        kinds = kind(truth.trunk[-1, 0], y[:, 0])
        y[:, 0] = np.log(y[:, 0])
        level, step = truth.width * spread[:, kinds]  # (EVALUATIONS, 2) each
        y = y + level * stray(1) + step * stray(EVALUATIONS)
        y[..., 0] = np.exp(y[..., 0]).round().clip(1, VOCABULARY)
        y[rng.random((draws, seeds)) < share, -1, 1] = math.nan
        runs[name] = y
    return runs
