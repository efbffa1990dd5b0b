"""Headline of a verdict: the answer in two sentences, from the table of `verdict.rule.judge`."""

import math
from collections.abc import Mapping

import pandas as pd

from bitnet.common.markdown import number
from bitnet.config.question import COUNT, RATIOS, Question
from bitnet.config.thresholds import Thresholds
from bitnet.verdict.cells import TERNARY

# Arms that share no trunk cannot be said to be fixed: the control shows what would have been.
PREVENTS = {
    "fixed": "prevented",
    "no effect (nothing to fix)": "no effect (nothing to prevent)",
}

MEANINGS = {
    "diverges": "most runs with {t} diverged, few with {c}",
    "control diverges": "most runs with {c} diverged, few with {t}",
    "no verdict": "too few seeds that can be compared",
    "stays collapsed": "trunks and both arms collapsed in most seeds",
    "temporary recovery": "most runs with {t} were diverse for a while and collapsed at the last",
    "harmful": "{t} less diverse than {c}, by more than the equivalence ratio, loss not better",
    "fixed": "most trunks collapsed, most runs diverse with {t}, few with {c}, {t} more diverse by "
    "more than the equivalence ratio, loss not worse",
    "recovers either way": "most trunks collapsed, most runs of both arms diverse",
    "no effect": "diversity and loss of the arms are equivalent (both TOSTs pass)",
    "no effect (nothing to fix)": "the same, where most trunks had not collapsed",
    "helps": "{t} more diverse by more than the equivalence ratio, loss not worse, but no fix",
    "trade-off": "more diverse at a worse loss, or less diverse at a better one",
    "lower loss": "diversity equivalent, loss with {t} better",
    "higher loss": "diversity equivalent, loss with {t} worse",
    "inconclusive": "none of these is shown",
}
MEANINGS_APART = {
    "stays collapsed": "both arms collapsed in most seeds",
    "prevented": "most runs with {c} ended collapsed, most with {t} diverse, {t} more diverse by "
    "more than the equivalence ratio, loss not worse",
    "no effect (nothing to prevent)": "the same, where most runs with {c} did not end collapsed",
}
MEANINGS_OF_METRIC = {
    "harmful": "{t} gives worse {metric} than {c}, by more than the margin",
    "no effect": "{metric} and loss of the arms are equivalent (both TOSTs pass)",
    "helps": "{t} gives better {metric}, by more than the margin, but collapse is as with {c}",
    "trade-off": "better {metric} at a worse loss, or the reverse",
    "lower loss": "{metric} equivalent, loss with {t} better",
    "higher loss": "{metric} equivalent, loss with {t} worse",
}

LEADS = {
    "diverges": "{change} made training diverge",
    "control diverges": "{change} kept training from diverging",
    "stays collapsed": "{change} did not fix degenerate decoding, models stayed collapsed",
    "temporary recovery": "{change} let models recover for a while, not to the end",
    "trade-off": "{change} traded diversity against loss",
    "lower loss": "{change} lowered the loss at equal diversity",
    "higher loss": "{change} raised the loss at equal diversity",
    "harmful": "{change} made decoding more degenerate",
    "fixed": "{change} fixed degenerate decoding",
    "recovers either way": "Decoding recovered with either weight decay, {change} was not needed",
    "no effect": "{change} did not fix degenerate decoding, the arms are equal",
    "no effect (nothing to fix)": "{change} had nothing to fix and changed nothing",
    "helps": "{change} made predictions more diverse, which is less than a fix",
    "inconclusive": "Undecided whether {change} fixes degenerate decoding",
    "no verdict": "No verdict on whether {change} fixes degenerate decoding",
}
LEADS_APART = {
    "prevented": "{change} prevented degenerate decoding",
    "no effect": "{change} did not prevent degenerate decoding, the arms are equal",
    "no effect (nothing to prevent)": "{change} had nothing to prevent and changed nothing",
    "helps": "{change} made predictions more diverse, without preventing a collapse",
    "inconclusive": "Undecided whether {change} prevents degenerate decoding",
    "no verdict": "No verdict on whether {change} prevents degenerate decoding",
}
LEADS_OF_METRIC = {
    "harmful": "{change} made {metric} worse",
    "no effect": "{change} did not change {metric}, the arms are equal",
    "helps": "{change} made {metric} better",
    "inconclusive": "Undecided whether {change} makes {metric} better",
    "no verdict": "No verdict on whether {change} makes {metric} better",
}

ASKED = "in small BitNet b1.58 models?"


def named(outcome: str, question: Question) -> str:
    """The name of an outcome of the rule, in a study of this question."""
    return outcome if question.shares_trunk else PREVENTS.get(outcome, outcome)


def meanings(question: Question) -> dict[str, str]:
    """What each outcome says, by name, in the order of the rule."""
    texts = _chosen(question, MEANINGS, MEANINGS_APART, MEANINGS_OF_METRIC)
    outcomes = [o for o in MEANINGS if question.shares_trunk or o != "recovers either way"]
    return {name: texts[name] for name in (named(outcome, question) for outcome in outcomes)}


def lead(outcome: str, question: Question) -> str:
    """What the headline opens with, of an outcome by its name."""
    return _chosen(question, LEADS, LEADS_APART, LEADS_OF_METRIC)[outcome]


def asked(question: Question) -> str:
    """The question in one sentence."""
    said, metric = (
        question.change.replace("Stage-2 WD", "Stage-2 weight decay"),
        question.metric,
    )
    if metric.column != COUNT:
        return f"Does {said} make {metric.column} {metric.better} {ASKED}"
    return (
        f"Does {said} {'fix' if question.shares_trunk else 'prevent'} degenerate decoding {ASKED}"
    )


def _chosen(question: Question, usual: Mapping, apart: Mapping, of_metric: Mapping) -> dict:
    metric = question.metric.column
    texts = dict(usual) if question.shares_trunk else {**usual, **apart}
    texts |= of_metric if metric != COUNT else {}
    arms = {arm[0]: question.arm_name(arm) for arm in ("treatment", "control")}
    words = {"change": question.change, "metric": metric, **arms}
    return {name: text.format(**words) for name, text in texts.items()}


TERNARY_LEADS = {
    "yes": "It is about ternary",
    "no": "It is not about ternary",
    "undecided": "Whether it is about ternary is undecided",
    "n.a.": "Nothing here tells whether it is about ternary",
    "none shown": "No effect is shown that could be about ternary",
}


def headline(
    cells: pd.DataFrame, question: Question, confidence: float = Thresholds.confidence
) -> str:
    """Two sentences: whether the treatment worked in the headline cell, and if it is about ternary.

    cells: the table of `judge`. If it has no headline cell, one sentence states that.
    """
    chosen = cells[cells["Headline"]]
    if chosen.empty:
        name = ", ".join(f"{key} {value}" for key, value in question.headline.items())
        return f"{lead('no verdict', question)}: no runs of the headline cell ({name})."
    row = chosen.iloc[0]
    name = f"hidden {row['HiddenSize']}, {row['Optimizer']}, {row['Weights']}"
    ends = [
        f"{row[f'{arm}States']} with {question.arm_name(arm.lower())}"
        f"{_level_words(row, arm, question.metric.column)}"
        for arm in ("Treatment", "Control")
        if row[f"{arm}States"]
    ]
    units = "seeds" if question.shares_trunk else "runs of both arms"
    first = (
        f"{lead(row['Outcome'], question)} ({name}; outcome: {row['Outcome']}): {units} were "
        f"{row['TrunkStates']} at the switch and ended {' and '.join(ends) or 'unseen'}"
        f"{_effect_words(row, confidence)}."
    )
    if question.axis.key == "weights":
        return first
    return f"{first} {_ternary_words(cells, row)}."


def _level_words(row: Mapping, arm: str, metric: str) -> str:
    """Mean final value of an arm, in parentheses."""
    if metric == COUNT:
        count = row[f"{arm}Unique"]
        return f" ({count:.1f} distinct predictions of {row['N']:,} on average)" * _known(count)
    value = row[f"{arm}{metric}"]
    return f" ({metric} {number(value, '.4g')} on average)" * _known(value)


def _known(value: float) -> bool:
    return math.isfinite(value)


def _effect_words(row: Mapping, confidence: float) -> str:
    mean, low, high = primary(row)
    if not _known(mean):
        return ""
    style = style_of(row["Primary"])
    interval = f", {confidence:.0%} interval {low:{style}} to {high:{style}}" * _known(low)
    return f"; {kind(row['Primary'])} {mean:{style}}{interval}, over {row['Seeds']} seeds"


def _ternary_words(cells: pd.DataFrame, row: Mapping) -> str:
    """The headline cell compared with its twin and with the other optimizers."""
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
    return "; ".join([TERNARY_LEADS[row["EffectTernary"]], *beside])


def _outcome_words(row: Mapping) -> str:
    mean, name = primary(row)[0], row["Primary"]
    word = "ratio" if name in RATIOS else kind(name)
    return row["Outcome"] + f", {word} {mean:{style_of(name)}}" * _known(mean)


def primary(row: Mapping) -> tuple[float, float, float]:
    """Mean and interval (mean, low, high) of the effect that decides a cell; see `difference`."""
    return difference(row, row["Primary"])


def difference(row: Mapping, effect: str) -> tuple[float, float, float]:
    """Mean, low and high of treatment against control: a ratio for counts and PDR.

    For other effects it is their difference, in the unit of the column.
    """
    values = [row[f"Delta{effect}{end}"] for end in ("", "Low", "High")]
    return tuple(map(math.exp, values) if effect in RATIOS else values)


def kind(effect: str) -> str:
    """Name of the result of `difference`: "ratio of counts", "ratio of PDR" or "Δ" + column."""
    ratios = {COUNT: "ratio of counts", "PDR": "ratio of PDR"}
    return ratios.get(effect, f"Δ{effect}")


def style_of(effect: str) -> str:
    """Format of the result of `difference`: ".2f" for a ratio, else "+.3g"."""
    return ".2f" if effect in RATIOS else "+.3g"
