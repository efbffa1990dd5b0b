"""What the metrics say of one run: the rule written down before the runs.

Counts of distinct predictions alone mislead (a dozen predictions at the unigram's loss are no
recovery, an untrained model with tied embeddings repeats its input and looks diverse), so a state
is read from counts, loss and copying together. First match wins, in the order of `STATES`.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

STATES = (
    "invalid",
    "diverged",
    "untrained",
    "temporary",
    "collapsed",
    "diverse",
    "recovering",
)


@dataclass(frozen=True)
class Thresholds:
    """Numbers that states and verdict are judged by, fixed before the runs."""

    collapsed_below: float = 10
    """Distinct predictions at the probe under which a run is collapsed."""
    diverse_above: float = 50
    """Distinct predictions at the probe above which a run is diverse."""
    unigram_margin: float = 0.02
    """Nats by which ValLoss must beat the unigram, or the run is collapsed whatever it counts."""
    copy_share: float = 0.5
    """Share of predictions that repeat the input above which a run may be untrained."""
    final_evaluations: int = 3
    """Evaluations averaged into the value 'at the end'."""
    blind_collapsed_share: float = 0.1
    """On blind corpora: PDR as a share of the trigram's under which a run is collapsed."""
    blind_diverse_share: float = 0.5
    """On blind corpora: PDR as a share of the trigram's above which a run is diverse."""
    equivalence_ratio: float = 1.25
    """Ratio of distinct predictions (or PDR) between arms that still counts as equal."""
    equivalence_loss: float = 0.02
    """Difference of ValLoss between arms that still counts as equal, nats."""
    confidence: float = 0.95
    """Level of intervals; tests are judged at one minus it."""
    few_seeds: int = 5
    """Seeds under which an outcome is marked 'few seeds'."""
    no_verdict_under: int = 3
    """Seeds under which there is no verdict."""


def final(rows: pd.DataFrame, column: str, thresholds: Thresholds) -> float:
    """Value 'at the end': mean of a column over the last evaluations (all, if there are fewer)."""
    return float(rows.sort_values("Step")[column].tail(thresholds.final_evaluations).mean())


def state(rows: pd.DataFrame, thresholds: Thresholds) -> str:
    """State of one run from its rows (the columns of `bitnet.metrics`, in any order)."""
    return _state(rows, thresholds, trunk=False)


def trunk_state(rows: pd.DataFrame, thresholds: Thresholds) -> str:
    """State at the switch, from the rows up to and including it; never 'temporary'.

    Raises ValueError if no row is that early.
    """
    return _state(rows[rows["Step"] <= rows["SwitchStep"]], thresholds, trunk=True)


def share(states: Sequence[str], name: str) -> float:
    """Share of runs in a state, 0 where there are no runs."""
    return list(states).count(name) / max(len(states), 1)


def tally(states: Sequence[str]) -> str:
    """'collapsed 2/3, diverse 1/3': commonest first; empty without runs."""
    counts = sorted(Counter(states).items(), key=lambda kv: (-kv[1], STATES.index(kv[0])))
    return ", ".join(f"{name} {count}/{len(states)}" for name, count in counts)


def _state(rows: pd.DataFrame, thresholds: Thresholds, trunk: bool) -> str:
    if rows.empty:
        raise ValueError(f"no evaluation to judge{' at or before SwitchStep' * trunk}")
    rows = rows.sort_values("Step")
    if _invalid(rows):
        return "invalid"
    if _diverged(rows):
        return "diverged"
    loss, unigram = final(rows, "ValLoss", thresholds), rows["UnigramLoss"].iloc[-1]
    if final(rows, "CopyShare", thresholds) > thresholds.copy_share and loss >= unigram:
        return "untrained"
    levels, low, high = _levels(rows, thresholds)
    end = float(levels.tail(thresholds.final_evaluations).mean())
    after = levels[rows["Step"] > rows["SwitchStep"]]
    if not trunk and (after > high).any() and end < low:
        return "temporary"
    if end < low or loss >= unigram - thresholds.unigram_margin:
        return "collapsed"
    return "diverse" if end > high else "recovering"


def _invalid(rows: pd.DataFrame) -> bool:
    """A count that no model can produce, at any evaluation: a bug, not a result."""
    counts, most = rows["UniquePredictions"], rows[["VocabSize", "N"]].min(axis=1)
    return not ((counts >= 1) & (counts <= most)).all()  # so that NaN is invalid too


def _diverged(rows: pd.DataFrame) -> bool:
    trained = rows.loc[rows["Step"] > 0, "Loss"]  # no training loss exists at step 0
    return not (np.isfinite(rows["ValLoss"]).all() and np.isfinite(trained).all())


def _levels(rows: pd.DataFrame, thresholds: Thresholds) -> tuple[pd.Series, float, float]:
    """The measure of diversity that this corpus allows, and its two thresholds."""
    if rows["Blind"].iloc[-1]:
        share = rows["PDR"] / rows["TrigramPDR"]
        return share, thresholds.blind_collapsed_share, thresholds.blind_diverse_share
    return rows["UniquePredictions"], thresholds.collapsed_below, thresholds.diverse_above
