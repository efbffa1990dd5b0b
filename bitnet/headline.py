"""The answer in two sentences, from the table that `bitnet.verdict.judge` made."""

import math
from collections.abc import Mapping

import pandas as pd

from bitnet.cells import TERNARY
from bitnet.states import Thresholds

# By primary effect: what its ratio is called, and the one beside it.
KINDS = {"UniquePredictions": ("counts", "PDR"), "PDR": ("PDR", "counts")}

# What the headline opens with; {wd} is 'Stage-2 WD 0 instead of 0.05'.
LEADS = {
    "harmful": "{wd} made decoding more degenerate",
    "fixed": "{wd} fixed degenerate decoding",
    "recovers either way": "Decoding recovered with either weight decay, {wd} was not needed",
    "no effect": "{wd} did not fix degenerate decoding, the arms are equal",
    "no effect (nothing to fix)": "{wd} had nothing to fix and changed nothing",
    "helps": "{wd} made predictions more diverse, which is less than a fix",
    "inconclusive": "Undecided whether {wd} fixes degenerate decoding",
    "no verdict": "No verdict on whether {wd} fixes degenerate decoding",
}
TERNARY_LEADS = {
    "yes": "It is about ternary",
    "no": "It is not about ternary",
    "undecided": "Whether it is about ternary is undecided",
    "n.a.": "Nothing here tells whether it is about ternary",
}


def headline(
    cells: pd.DataFrame, question: Mapping, confidence: float = Thresholds.confidence
) -> str:
    """Two sentences: did the treatment fix degenerate decoding here, and is it about ternary?"""
    treatment, control = f"{question['treatment']:g}", f"{question['control']:g}"
    wd = f"Stage-2 WD {treatment} instead of {control}"
    chosen = cells[cells["Headline"]]
    if chosen.empty:
        name = ", ".join(f"{key} {value}" for key, value in question["headline"].items())
        return f"{LEADS['no verdict'].format(wd=wd)}: no runs of the headline cell ({name})."
    row = chosen.iloc[0]
    name = f"hidden {row['HiddenSize']}, {row['Optimizer']}, {row['Weights']}"
    ends = [
        f"{row[f'{arm}States']} with WD {weight_decay}{_count_words(row, f'{arm}Unique')}"
        for arm, weight_decay in (("Treatment", treatment), ("Control", control))
        if row[f"{arm}States"]
    ]
    first = (
        f"{LEADS[row['Outcome']].format(wd=wd)} ({name}; outcome: {row['Outcome']}): seeds were "
        f"{row['TrunkStates']} at the switch and ended {' and '.join(ends) or 'unseen'}"
        f"{_ratio_words(row, confidence)}."
    )
    return f"{first} {_ternary_words(cells, row)}."


def _count_words(row: Mapping, column: str) -> str:
    if not math.isfinite(row[column]):
        return ""
    return f" ({row[column]:.1f} distinct predictions of {row['N']:,} on average)"


def _ratio_words(row: Mapping, confidence: float) -> str:
    mean, low, high = primary(row)
    if not math.isfinite(mean):
        return ""
    kind = KINDS[row["Primary"]][0]
    interval = f", {confidence:.0%} interval {low:.2f} to {high:.2f}" if math.isfinite(low) else ""
    return f"; ratio of {kind} {mean:.2f}{interval}, over {row['Seeds']} seeds"


def _ternary_words(cells: pd.DataFrame, row: Mapping) -> str:
    """The headline cell beside its twin and beside the other optimizers."""
    point = ["HiddenSize", "PeakLR", "Stage1WD", "Variant"]
    same = (cells[point] == row[point]).all(axis=1)
    weights, optimizer = cells["Weights"] == row["Weights"], cells["Optimizer"] == row["Optimizer"]
    beside = [
        f"the twin ({other['Optimizer']}, {other['Weights']}): {_outcome_words(other)}"
        for _, other in cells[same & optimizer & ~weights].iterrows()
        if TERNARY in (row["Weights"], other["Weights"])
    ] + [
        f"with {other['Optimizer']}: {_outcome_words(other)}"
        for _, other in cells[same & weights & ~optimizer].iterrows()
    ]
    return "; ".join([TERNARY_LEADS[row["TernarySpecific"]], *beside])


def _outcome_words(row: Mapping) -> str:
    mean = primary(row)[0]
    return row["Outcome"] + (f", ratio {mean:.2f}" if math.isfinite(mean) else "")


def primary(row: Mapping) -> tuple[float, float, float]:
    """Ratio of the arms in the effect that decides, with its interval."""
    return ratio(row, row["Primary"])


def ratio(row: Mapping, effect: str) -> tuple[float, float, float]:
    """Ratio of the arms with its interval, from the mean difference of logarithms."""
    name = f"Delta{effect}"
    return tuple(math.exp(row[name + end]) for end in ("", "Low", "High"))
