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


def ending(rows: pd.DataFrame, thresholds: Thresholds) -> np.ndarray:
    """Positions of the evaluations 'at the end': a stage's last `final_evaluations` rows, by Step.

    Of a run only those after the switch; of a trunk, whose rows end at the switch, only those after
    step 0: neither a trunk's evaluations nor the untrained model's belong to the end of a stage.
    """
    steps, switches = (rows[name].to_numpy() for name in ("Step", "SwitchStep"))
    order = np.argsort(steps, kind="stable")
    for stage in (steps > switches, steps > 0):
        if stage.any():
            order = order[stage[order]]
            break
    return order[-thresholds.final_evaluations :]


def final(rows: pd.DataFrame, column: str, thresholds: Thresholds) -> float:
    """Value of a column 'at the end': its mean over the evaluations of `ending`."""
    return float(rows[column].to_numpy(dtype=float)[ending(rows, thresholds)].mean())


def effective(rows: pd.DataFrame, thresholds: Thresholds) -> float:
    """Effective count of a run 'at the end': the mean of those of its evaluations.

    That of an evaluation is `collapsed_below` where the loss is not below the unigram's by the
    margin, and elsewhere the count, at least `collapsed_below`. Under that floor, and of a dead
    model, counts are noise. On a blind corpus the same holds for PDR as a share of the trigram's.
    """
    levels, low, _ = _levels(rows, thresholds)
    counted = np.where(_dead(rows, thresholds), low, np.maximum(levels, low))
    return float(counted[ending(rows, thresholds)].mean())


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
    if _invalid(rows):
        return "invalid"
    if _diverged(rows):
        return "diverged"
    loss, unigram = final(rows, "ValLoss", thresholds), rows["UnigramLoss"].iloc[0]
    if final(rows, "CopyShare", thresholds) > thresholds.copy_share and loss >= unigram:
        return "untrained"
    levels, low, high = _levels(rows, thresholds)
    end = levels[ending(rows, thresholds)].mean()
    if rule is not None and _temporary(rows, thresholds, end, rule):
        return "temporary"
    if end < low or loss >= unigram - thresholds.unigram_margin:
        return "collapsed"
    return "diverse" if end > high else "recovering"


def _temporary(rows: pd.DataFrame, thresholds: Thresholds, end: float, rule: int) -> bool:
    """Whether a run was diverse at an evaluation after the switch and is collapsed at the last."""
    levels, low, high = _levels(rows, thresholds)
    steps = rows["Step"].to_numpy()
    rose = (levels > high) & (steps > rows["SwitchStep"].to_numpy())
    if rule == 1:
        return bool(rose.any() and end < low)
    dead, last = _dead(rows, thresholds), steps.argmax()
    return bool((rose & ~dead).any() and (levels[last] < low or dead[last]))


def _dead(rows: pd.DataFrame, thresholds: Thresholds) -> np.ndarray:
    """Whether the loss of each evaluation is not below the unigram's by the margin."""
    unigram = rows["UnigramLoss"].to_numpy()
    return rows["ValLoss"].to_numpy() >= unigram - thresholds.unigram_margin


def _invalid(rows: pd.DataFrame) -> bool:
    """Whether any evaluation has a count that no model can produce: a bug, not a result."""
    counts = rows["UniquePredictions"].to_numpy()
    most = np.minimum(rows["VocabSize"].to_numpy(), rows["N"].to_numpy())
    return not ((counts >= 1) & (counts <= most)).all()  # so that NaN is invalid too


def _diverged(rows: pd.DataFrame) -> bool:
    losses, trained = rows["ValLoss"].to_numpy(), rows["Loss"].to_numpy()
    untrained = rows["Step"].to_numpy() <= 0  # no training loss exists at step 0
    return not (np.isfinite(losses).all() and (np.isfinite(trained) | untrained).all())


def _levels(rows: pd.DataFrame, thresholds: Thresholds) -> tuple[np.ndarray, float, float]:
    """The measure of diversity on this corpus, and its thresholds of collapsed and diverse."""
    if rows["Blind"].iloc[0]:
        share = rows["PDR"].to_numpy() / rows["TrigramPDR"].to_numpy()
        return share, thresholds.blind_collapsed_share, thresholds.blind_diverse_share
    counts = rows["UniquePredictions"].to_numpy()
    return counts, thresholds.collapsed_below, thresholds.diverse_above
