"""Many drawn studies at once, as far as the verdict's rule reads them: states, differences, tests.

The numbers are those of `bitnet.evaluation.states` and `bitnet.verdict.statistics.effect`, for
arrays instead of one table a study, which would take hours. `DrawnCell.cell` and `.row` are what
`verdict.outcome` takes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.stats import t as student

from bitnet.config.thresholds import Thresholds
from bitnet.verdict.cells import DATA, EFFECTS, Cell
from bitnet.verdict.error_rates.generator import ARMS, SEGMENTS, FittedCell
from bitnet.verdict.statistics import TIE


@dataclass(frozen=True)
class DrawnCell:
    """One cell in every draw."""

    key: tuple
    data: Mapping
    """What its rows have in common, columns `DATA` of the verdict."""
    states: Mapping[str, np.ndarray]
    """(draws, seeds) a segment."""
    deltas: np.ndarray
    """(draws, seeds, 3): treatment - control at the end, `EFFECTS`."""
    tests: Mapping[str, np.ndarray]
    """(draws,): P, TostP, TostValLossP, as in the verdict's table."""

    @classmethod
    def of(cls, fitted: FittedCell, runs: Mapping[str, np.ndarray], thresholds: Thresholds):
        """runs: (draws, seeds, E, 3) a segment, as `generator.draw` gives them."""
        data = fitted.rows["control"].iloc[0][DATA].to_dict()
        switch = runs["trunk"].shape[2]
        states = {"trunk": run_states(runs["trunk"], fitted.trunk.copying, data, thresholds)}
        ends = {}
        for arm in ARMS:
            run = np.concatenate([runs["trunk"], runs[arm]], axis=2)
            copying = np.concatenate([fitted.trunk.copying, getattr(fitted, arm).copying])
            states[arm] = run_states(run, copying, data, thresholds, switch)
            ends[arm] = run[:, :, -thresholds.final_evaluations :].mean(axis=2)
            ends[arm][..., :2] = np.log(ends[arm][..., :2])
        deltas = ends["treatment"] - ends["control"]
        primary = deltas[..., EFFECTS.index("PDR" if data["Blind"] else "UniquePredictions")]
        p, tost = paired_tests(primary, math.log(thresholds.equivalence_ratio))
        _, tost_loss = paired_tests(deltas[..., 2], thresholds.equivalence_loss)
        tests = {"P": p, "TostP": tost, "TostValLossP": tost_loss}
        return cls(fitted.key, data, states, deltas, tests)

    def cell(self, i: int) -> Cell:
        """The cell of draw i."""
        trunk, *arms = (self.states[name][i] for name in SEGMENTS)
        tables = [pd.DataFrame({"State": states}) for states in arms]
        deltas = pd.DataFrame(self.deltas[i], columns=EFFECTS)
        return Cell(self.key, list(trunk), *tables, deltas, dict(self.data))

    def row(self, i: int) -> dict:
        """What an outcome needs of the row of draw i, but for HolmP."""
        means = dict(zip(EFFECTS, self.deltas[i].mean(axis=0), strict=True))
        row = {f"Delta{name}": mean for name, mean in means.items()}
        row |= {name: values[i] for name, values in self.tests.items()}
        return row | {"Seeds": self.deltas.shape[1]}


def run_states(
    runs: np.ndarray, copying: np.ndarray, data: Mapping, thresholds: Thresholds, switch: int = 0
) -> np.ndarray:
    """`bitnet.evaluation.states.state` of runs (..., E, 3) that are neither invalid nor diverged.

    switch: how many evaluations belong to the trunk; 0 where the runs are trunks themselves.
    """
    levels, low, high = runs[..., 0], thresholds.collapsed_below, thresholds.diverse_above
    if data["Blind"]:
        levels = runs[..., 1] / data["TrigramPDR"]
        low, high = thresholds.blind_collapsed_share, thresholds.blind_diverse_share
    last, unigram = slice(-thresholds.final_evaluations, None), data["UnigramLoss"]
    end, loss = levels[..., last].mean(axis=-1), runs[..., last, 2].mean(axis=-1)
    copies = copying[last].mean() > thresholds.copy_share
    recovered = (levels[..., switch:] > high).any(axis=-1) & (switch > 0)
    conditions = {
        "untrained": copies & (loss >= unigram),
        "temporary": recovered & (end < low),
        "collapsed": (end < low) | (loss >= unigram - thresholds.unigram_margin),
        "diverse": end > high,
    }
    return np.select(list(conditions.values()), list(conditions), "recovering")


def paired_tests(deltas: np.ndarray, bound: float) -> tuple[np.ndarray, np.ndarray]:
    """p of the t-test against 0 and of TOST within +- bound, of differences (draws, seeds)."""
    mean, freedom = deltas.mean(axis=1), deltas.shape[1] - 1
    flat = np.ptp(deltas, axis=1) <= TIE
    error = np.where(flat, 1, deltas.std(axis=1, ddof=1)) / math.sqrt(freedom + 1)
    p = 2 * student.sf(abs(mean) / error, freedom)
    tost = student.sf((bound - abs(mean)) / error, freedom)  # the nearer bound decides
    return np.where(flat, abs(mean) <= TIE, p), np.where(flat, abs(mean) >= bound, tost)
