"""State of a run (collapsed, diverse, ...) from its metrics, by a rule fixed before the runs.

Counts of distinct predictions alone mislead: a dozen predictions at the unigram's loss are no
recovery, and an untrained model with tied embeddings repeats its input and looks diverse. So the
rule uses counts, loss and copying together. The first match in the order of `STATES` wins.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd

from bitnet.config.thresholds import Thresholds

STATES = (
    "invalid",
    "diverged",
    "untrained",
    "temporary",
    "collapsed",
    "diverse",
    "recovering",
)


def ending(rows: pd.DataFrame, thresholds: Thresholds) -> pd.DataFrame:
    """The evaluations 'at the end': the last `final_evaluations` rows, by Step, of a stage.

    Of a run only those after the switch; of a trunk, whose rows end at the switch, only those after
    step 0: neither a trunk's evaluations nor the untrained model's belong to the end of a stage.
    """
    rows = rows.sort_values("Step")
    for stage in (rows["Step"] > rows["SwitchStep"], rows["Step"] > 0):
        if stage.any():
            rows = rows[stage]
            break
    return rows.tail(thresholds.final_evaluations)


def final(rows: pd.DataFrame, column: str, thresholds: Thresholds) -> float:
    """Value of a column 'at the end': its mean over the evaluations of `ending`."""
    return float(ending(rows, thresholds)[column].mean())


def effective(rows: pd.DataFrame, thresholds: Thresholds) -> float:
    """Effective count of a run 'at the end': the mean of those of its evaluations.

    That of an evaluation is `collapsed_below` where the loss is not below the unigram's by the
    margin, and elsewhere the count, at least `collapsed_below`. Under that floor, and of a dead
    model, counts are noise. On a blind corpus the same holds for PDR as a share of the trigram's.
    """
    rows = ending(rows, thresholds)
    levels, low, _ = _levels(rows, thresholds)
    return float(levels.clip(lower=low).mask(_dead(rows, thresholds), low).mean())


def state(rows: pd.DataFrame, thresholds: Thresholds, rule: int = 2) -> str:
    """State of one run, one of STATES, from its rows in any order; ValueError without rows.

    rows: a table with the columns of `bitnet.evaluation.metrics`. rule: 1 for what the first rule
    called temporary: over the count of diversity once, under that of collapse in the mean at the
    end, whatever the loss.
    """
    return _state(rows, thresholds, rule)


def trunk_state(rows: pd.DataFrame, thresholds: Thresholds) -> str:
    """State at the switch, from the rows up to and including it; never 'temporary'.

    ValueError in one line if no row is that early.
    """
    return _state(rows[rows["Step"] <= rows["SwitchStep"]], thresholds)


def share(states: Sequence[str], name: str) -> float:
    """Share of runs in the state `name`, 0 if there are no runs."""
    return list(states).count(name) / max(len(states), 1)


def tally(states: Sequence[str]) -> str:
    """Counts of states as text, commonest first: 'collapsed 2/3, diverse 1/3'; '' without runs."""
    counts = sorted(Counter(states).items(), key=lambda kv: (-kv[1], STATES.index(kv[0])))
    return ", ".join(f"{name} {count}/{len(states)}" for name, count in counts)


def _state(rows: pd.DataFrame, thresholds: Thresholds, rule: int | None = None) -> str:
    """rule: None for a trunk."""
    if rows.empty:
        raise ValueError(f"no evaluation to judge{' at or before SwitchStep' * (rule is None)}")
    rows = rows.sort_values("Step")
    if _invalid(rows):
        return "invalid"
    if _diverged(rows):
        return "diverged"
    loss, unigram = final(rows, "ValLoss", thresholds), rows["UnigramLoss"].iloc[-1]
    if final(rows, "CopyShare", thresholds) > thresholds.copy_share and loss >= unigram:
        return "untrained"
    levels, low, high = _levels(ending(rows, thresholds), thresholds)
    end = float(levels.mean())
    if rule is not None and _temporary(rows, thresholds, end, rule):
        return "temporary"
    if end < low or loss >= unigram - thresholds.unigram_margin:
        return "collapsed"
    return "diverse" if end > high else "recovering"


def _temporary(rows: pd.DataFrame, thresholds: Thresholds, end: float, rule: int) -> bool:
    """Whether a run was diverse at an evaluation after the switch and is collapsed at the last."""
    levels, low, high = _levels(rows, thresholds)
    rose = (levels > high) & (rows["Step"] > rows["SwitchStep"])
    if rule == 1:
        return bool(rose.any() and end < low)
    dead = _dead(rows, thresholds)
    return bool((rose & ~dead).any() and (levels.iloc[-1] < low or dead.iloc[-1]))


def _dead(rows: pd.DataFrame, thresholds: Thresholds) -> pd.Series:
    """Evaluations whose loss is not below the unigram's by the margin."""
    return rows["ValLoss"] >= rows["UnigramLoss"] - thresholds.unigram_margin


def _invalid(rows: pd.DataFrame) -> bool:
    """Whether any evaluation has a count that no model can produce: a bug, not a result."""
    counts, most = rows["UniquePredictions"], rows[["VocabSize", "N"]].min(axis=1)
    return not ((counts >= 1) & (counts <= most)).all()  # so that NaN is invalid too


def _diverged(rows: pd.DataFrame) -> bool:
    trained = rows.loc[rows["Step"] > 0, "Loss"]  # no training loss exists at step 0
    return not (np.isfinite(rows["ValLoss"]).all() and np.isfinite(trained).all())


def _levels(rows: pd.DataFrame, thresholds: Thresholds) -> tuple[pd.Series, float, float]:
    """The measure of diversity on this corpus, and its thresholds of collapsed and diverse."""
    if rows["Blind"].iloc[-1]:
        share = rows["PDR"] / rows["TrigramPDR"]
        return share, thresholds.blind_collapsed_share, thresholds.blind_diverse_share
    return rows["UniquePredictions"], thresholds.collapsed_below, thresholds.diverse_above
