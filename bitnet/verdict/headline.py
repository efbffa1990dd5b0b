"""Headline of a verdict: the answer in one sentence of at most 30 words, and three lines below.

For readers without the vocabulary: "stuck on a few words" is what the rule calls collapsed, and
other words are explained where they stand. All of it follows from the table of `rule.judge`.
"""

from collections.abc import Mapping

import pandas as pd

from bitnet.config.question import COUNT, STAGE2, Question, value_name
from bitnet.config.thresholds import Thresholds
from bitnet.verdict.cells import TERNARY
from bitnet.verdict.outcomes import chosen
from bitnet.verdict.recommendation import best
from bitnet.verdict.rule import NO_CLAIM, POINT, majority

OPTIMIZERS = {
    "adam": "Adam with coupled L2",
    "adam-matrices": "Adam with matrix L2",
    "adam-embedding": "Adam with embedding L2",
    "adam-gains": "Adam with gain L2",
    "adam-matrices-embedding": "Adam with matrix+embedding L2",
    "adam-matrices-gains": "Adam with matrix+gain L2",
    "adam-embedding-gains": "Adam with embedding+gain L2",
    "adamw": "AdamW",
    "adamw-all": "AdamW on everything",
    "adamw-unscaled": "AdamW with unscaled decay",
}
BROKE = "cannot be judged: most trainings broke down (infinite or undefined loss)"

RESULTS = {
    "diverges": "made most trainings break down (infinite or undefined loss)",
    "control diverges": "kept trainings alive, of which most break down with {control}",
    "no verdict": "cannot be judged: too few trainings can be compared",
    "stays collapsed": "did not help: models stayed stuck on a few words either way",
    "temporary recovery": "let models recover only for a while; they got stuck again",
    "temporary either way": "changed little: models recovered only for a while either way",
    "harmful": "made predictions less varied than {control} did",
    "fixed": "let models stuck on a few words recover; otherwise most did not",
    "recovers either way": "was not needed: models stuck on a few words recovered anyway",
    "no effect": "changed neither the variety of predictions nor the loss",
    "no effect (nothing to fix)": "changed nothing, and there was nothing to cure",
    "helps": "let models stuck on a few words begin to recover, without finishing",
    "helps the healthy": "made predictions more varied; most models were not stuck before",
    "trade-off": "made predictions more varied, at the price of a higher loss",
    "trade-off, less varied": "lowered the loss, at the price of less varied predictions",
    "lower loss": "lowered the loss; predictions stayed equally varied",
    "higher loss": "raised the loss; predictions stayed equally varied",
    "inconclusive": "had no clear effect; these trainings do not decide the question",
}
RESULTS_APART = {
    "prevented": "kept models from getting stuck on a few words",
    "no effect (nothing to prevent)": "changed nothing, and there was nothing to prevent",
    "helps": "made predictions more varied, but not enough to count as healthy",
    "helps the healthy": "made predictions more varied; most were not stuck with {control} either",
}
RESULTS_OF_METRIC = {
    "harmful": "made {metric} worse",
    "no effect": "changed neither {metric} nor the loss",
    "helps": "made {metric} better",
    "helps the healthy": "made {metric} better",
    "trade-off": "made {metric} better, at the price of a higher loss",
    "trade-off, less varied": "lowered the loss, at the price of a worse {metric}",
    "lower loss": "lowered the loss; {metric} stayed equal",
    "higher loss": "raised the loss; {metric} stayed equal",
}

ASKED = "in small BitNet b1.58 models?"
TWIN = "the same model without ternary weights"
ANSWERS = {"none shown": "no effect is shown", "no collapse": "none got stuck"}


def asked(question: Question) -> str:
    """The question in one sentence."""
    change = question.change.replace("Stage-2 WD", "Stage-2 weight decay")
    metric = question.metric
    if metric.column != COUNT:
        return f"Does {change} make {metric.column} {metric.better} {ASKED}"
    verb = "fix" if question.shares_trunk else "prevent"
    return f"Does {change} {verb} degenerate decoding {ASKED}"


def headline(cells: pd.DataFrame, question: Question) -> str:
    """The answer in one sentence: what the treatment did in the headline cell.

    cells: the table of `judge`. If it has no headline cell, the sentence states that.
    """
    own = cells[cells["Headline"]]
    if own.empty:
        name = ", ".join(f"{key} {value}" for key, value in question.headline.items())
        return f"No answer: the runs it needs were not made ({name})."
    row = own.iloc[0]
    where = _where(row, question.axis.key)
    return f"{where}, {_treatment(question)} {result(row, question)}."


def result(row: Mapping, question: Question) -> str:
    """What the treatment did in a cell, as the rest of a sentence. row: of the table of `judge`."""
    texts = chosen(question, RESULTS, RESULTS_APART, RESULTS_OF_METRIC)
    said = row["Outcome"]
    before = row["TrunkStates" if question.shares_trunk else "ControlStates"]
    tallies = (before, row["ControlStates"], row["TreatmentStates"])
    if said == "no verdict" and "diverged" in map(majority, tallies):
        return BROKE
    if said == "helps" and majority(before) != "collapsed":
        said = "helps the healthy"
    if said == "temporary recovery" and majority(row["ControlStates"]) == "temporary":
        said = "temporary either way"
    if said == "trade-off" and question.metric.sign * row[f"Delta{row['Primary']}"] < 0:
        said = "trade-off, less varied"
    return texts[said]


def below(cells: pd.DataFrame, question: Question, thresholds: Thresholds) -> list[str]:
    """At most three lines: what the twin did, what is recommended, how sure the answer is.

    cells: the table of `judge`. Without a headline cell only what is recommended.
    """
    lines = [_recommended(cells, question, thresholds)]
    for _, row in cells[cells["Headline"]].iterrows():
        twin = [_twin(cells, row, question)] if question.axis.key != "weights" else []
        lines = [*twin, *lines, _sure(row, thresholds)]
    return lines


def _where(row: Mapping, axis: str) -> str:
    """The headline cell in words, but for the axis that the arms differ in."""
    parts = {
        "hidden_size": f"at hidden size {row['HiddenSize']}",
        "weights": "in full precision" if row["Weights"] != TERNARY else "",
        "optimizer": f"under {OPTIMIZERS.get(row['Optimizer'], row['Optimizer'])}",
    }
    text = " ".join(part for key, part in parts.items() if part and key != axis)
    return text[0].upper() + text[1:]


def _treatment(question: Question) -> str:
    """The treatment as the subject of a sentence."""
    key, value = question.axis.key, question.treatment
    if key == "optimizer":
        return OPTIMIZERS.get(value, value)
    if key == "weights":
        return f"{value.replace('_', '-')} weights"
    name = {STAGE2: "Stage-2 weight decay", "hidden_size": "hidden size"}.get(key, key)
    return f"setting {name} to {value_name(value)}"


def _twin(cells: pd.DataFrame, row: Mapping, question: Question) -> str:
    """What the full-precision twin of a ternary cell did, and what ternary has to do with it."""
    here = (cells[[*POINT, "Optimizer"]] == row[[*POINT, "Optimizer"]]).all(axis=1)
    twins = cells[here & (cells["Weights"] != row["Weights"])]
    if twins.empty or row["Weights"] != TERNARY:
        return f"No full-precision twin ({TWIN}) beside it: ternary's part in this is open."
    answers = [ANSWERS.get(row[name], row[name]) for name in ("CollapseTernary", "EffectTernary")]
    twin = twins.iloc[0]
    same = twin["Outcome"] == row["Outcome"] not in NO_CLAIM
    did = "did the same" if same else result(twin, question)
    return (
        f"In the full-precision twin ({TWIN}) the same change {did}. "
        f"Is getting stuck due to ternary weights: {answers[0]}. Is the effect: {answers[1]}."
    )


def _recommended(cells: pd.DataFrame, question: Question, thresholds: Thresholds) -> str:
    """The optimizer of the lowest loss at the headline's point, its arms, and what they did."""
    arms = best(cells, question, thresholds)
    if (cells["Outcome"] == "no verdict").all():
        return "Recommended: nothing yet; too few trainings can be compared."
    if arms.empty:
        return "Recommended: nothing that was tried; in no setting did most trainings end well."
    names = "; ".join(
        f"{optimizer} with {' or '.join(group['Name'].unique())}"
        for optimizer, group in arms.groupby("Optimizer", sort=False)
    )
    return (
        f"Recommended: {names}, which ended at a loss of {arms['Loss'].iloc[0]:.2f} nats with "
        f"{arms['Count'].iloc[0]:.0f} distinct predictions."
    )


def _sure(row: Mapping, thresholds: Thresholds) -> str:
    few = f"; fewer than {thresholds.few_seeds} are few"
    return (
        f"How sure: {row['Confidence'].lower() or 'nothing is claimed'}. Seeds (trainings from "
        f"different random starts) compared: {row['Seeds']}"
        f"{few * (row['Seeds'] < thresholds.few_seeds)}."
    )
