"""State of a run (collapsed, diverse, ...) from its metrics, by a rule fixed before the runs.

Counts of distinct predictions alone mislead: a dozen predictions at the unigram's loss are no
recovery, and an untrained model with tied embeddings repeats its input and looks diverse. So the
rule uses counts, loss and copying together. The first match in the order of `STATES` wins.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

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
COLUMNS = ["Step", "SwitchStep", "UniquePredictions", "ValLoss", "Loss", "CopyShare", "PDR"]
COLUMNS += ["UnigramLoss", "TrigramPDR", "Blind", "N", "VocabSize"]
"""Columns of `bitnet.evaluation.metrics` that states are made of."""
Rows = Mapping[str, ArrayLike]
"""Columns by name, a value for each evaluation of one run: a DataFrame, or a dict of arrays."""


def ending(rows: Rows, thresholds: Thresholds) -> np.ndarray:
    """Positions of the evaluations 'at the end': a stage's last `final_evaluations` rows, by Step.

    Of a run only those after the switch; of a trunk, whose rows end at the switch, only those after
    step 0: neither a trunk's evaluations nor the untrained model's belong to the end of a stage.
    """
    steps, switches = (np.asarray(rows[name]) for name in ("Step", "SwitchStep"))
    order = np.argsort(steps, kind="stable")
    for stage in (steps > switches, steps > 0):
        if stage.any():
            order = order[stage[order]]
            break
    return order[-thresholds.final_evaluations :]


def final(rows: Rows, column: str, thresholds: Thresholds) -> float:
    """Value of a column 'at the end': its mean over the evaluations of `ending`."""
    return float(np.asarray(rows[column], dtype=float)[ending(rows, thresholds)].mean())


def effective(rows: Rows, thresholds: Thresholds) -> float:
    """Effective count of a run 'at the end': the mean of those of its evaluations.

    That of an evaluation is `collapsed_below` where the loss is not below the unigram's by the
    margin, and elsewhere the count, at least `collapsed_below`. Under that floor, and of a dead
    model, counts are noise. On a blind corpus the same holds for PDR as a share of the trigram's.
    """
    levels, low, _ = _levels(rows, thresholds)
    counted = np.where(_dead(rows, thresholds), low, np.maximum(levels, low))
    return float(counted[ending(rows, thresholds)].mean())


def state(rows: Rows, thresholds: Thresholds, rule: int = 2) -> str:
    """State of one run, one of STATES, from its rows in any order; ValueError without rows.

    rows: with COLUMNS. rule: 1 for what the first rule called temporary: over the count of
    diversity once, under that of collapse in the mean at the end, whatever the loss.
    """
    return _state({name: np.asarray(rows[name]) for name in COLUMNS}, thresholds, rule)


def trunk_state(rows: Rows, thresholds: Thresholds) -> str:
    """State at the switch, from the rows up to and including it; never 'temporary'.

    ValueError in one line if no row is that early.
    """
    early = np.asarray(rows["Step"]) <= np.asarray(rows["SwitchStep"])
    return _state({name: np.asarray(rows[name])[early] for name in COLUMNS}, thresholds)


def share(states: Sequence[str], name: str) -> float:
    """Share of runs in the state `name`, 0 if there are no runs."""
    return list(states).count(name) / max(len(states), 1)


def tally(states: Sequence[str]) -> str:
    """Counts of states as text, commonest first: 'collapsed 2/3, diverse 1/3'; '' without runs."""
    counts = sorted(Counter(states).items(), key=lambda kv: (-kv[1], STATES.index(kv[0])))
    return ", ".join(f"{name} {count}/{len(states)}" for name, count in counts)


def _state(rows: Rows, thresholds: Thresholds, rule: int | None = None) -> str:
    """rule: None for a trunk."""
    if not len(rows["Step"]):
        raise ValueError(f"no evaluation to judge{' at or before SwitchStep' * (rule is None)}")
    if _invalid(rows):
        return "invalid"
    if _diverged(rows):
        return "diverged"
    loss, unigram = final(rows, "ValLoss", thresholds), rows["UnigramLoss"][0]
    if final(rows, "CopyShare", thresholds) > thresholds.copy_share and loss >= unigram:
        return "untrained"
    levels, low, high = _levels(rows, thresholds)
    end = levels[ending(rows, thresholds)].mean()
    if rule is not None and _temporary(rows, thresholds, end, rule):
        return "temporary"
    if end < low or loss >= unigram - thresholds.unigram_margin:
        return "collapsed"
    return "diverse" if end > high else "recovering"


def _temporary(rows: Rows, thresholds: Thresholds, end: float, rule: int) -> bool:
    """Whether a run was diverse at an evaluation after the switch and is collapsed at the last."""
    levels, low, high = _levels(rows, thresholds)
    steps = np.asarray(rows["Step"])
    rose = (levels > high) & (steps > np.asarray(rows["SwitchStep"]))
    if rule == 1:
        return bool(rose.any() and end < low)
    dead, last = _dead(rows, thresholds), steps.argmax()
    return bool((rose & ~dead).any() and (levels[last] < low or dead[last]))


def _dead(rows: Rows, thresholds: Thresholds) -> np.ndarray:
    """Whether the loss of each evaluation is not below the unigram's by the margin."""
    unigram = np.asarray(rows["UnigramLoss"])
    return np.asarray(rows["ValLoss"]) >= unigram - thresholds.unigram_margin


def _invalid(rows: Rows) -> bool:
    """Whether any evaluation has a count that no model can produce: a bug, not a result."""
    counts = np.asarray(rows["UniquePredictions"])
    most = np.minimum(np.asarray(rows["VocabSize"]), np.asarray(rows["N"]))
    return not ((counts >= 1) & (counts <= most)).all()  # so that NaN is invalid too


def _diverged(rows: Rows) -> bool:
    losses, trained = np.asarray(rows["ValLoss"]), np.asarray(rows["Loss"])
    untrained = np.asarray(rows["Step"]) <= 0  # no training loss exists at step 0
    return not (np.isfinite(losses).all() and (np.isfinite(trained) | untrained).all())


def _levels(rows: Rows, thresholds: Thresholds) -> tuple[np.ndarray, float, float]:
    """The measure of diversity on this corpus, and its thresholds of collapsed and diverse."""
    if np.asarray(rows["Blind"])[0]:
        share = np.asarray(rows["PDR"]) / np.asarray(rows["TrigramPDR"])
        return share, thresholds.blind_collapsed_share, thresholds.blind_diverse_share
    counts = np.asarray(rows["UniquePredictions"])
    return counts, thresholds.collapsed_below, thresholds.diverse_above
