"""Recommendations by rule from the cells of a verdict: optimizer, arm, learning rate, size.

Among the settings under which most seeds end diverse, the one with the lowest validation loss is
recommended. Each line has the verdict's confidence in the cell that decided it.
"""

from collections.abc import Mapping

import pandas as pd

from bitnet.config.question import LONG, Question, value_name
from bitnet.config.run_names import BASE, VARIANT
from bitnet.config.thresholds import Thresholds
from bitnet.verdict.cells import TERNARY
from bitnet.verdict.rule import majority, scaling

ARMS = {"Control": "control", "Treatment": "treatment"}
RANKS = ("", "Low", "Medium", "High")


def recommend(
    cells: pd.DataFrame, question: Question, thresholds: Thresholds | None = None
) -> pd.DataFrame:
    """Table with the columns Topic, Advice, Why and Confidence.

    cells: the table of `judge`. thresholds: losses within `equivalence_loss` nats count as equal.
    Only ternary cells at the headline's size and Stage-1 WD in the study's own protocol count. A
    topic that the study did not vary gets "not varied here".
    """
    wanted = question.headline
    own = cells[(cells["Weights"] == TERNARY) & (cells[VARIANT] == BASE)]
    if "stage1_weight_decay" in wanted:
        own = own[own["Stage1WD"] == wanted["stage1_weight_decay"]]
    here = own[own["HiddenSize"] == wanted["hidden_size"]]
    at_lr = here[here["PeakLR"] == wanted["peak_lr"]] if "peak_lr" in wanted else here
    margin = (thresholds or Thresholds()).equivalence_loss
    rates = here[here["Optimizer"] == wanted["optimizer"]]
    lines = [
        _best("optimizer", at_lr, "Optimizer", question, margin),
        *_arms(at_lr, question),
        _best("learning rate", rates, "PeakLR", question, margin),
        *_size(cells, wanted, question),
    ]
    return pd.DataFrame(lines, columns=["Topic", "Advice", "Why", "Confidence"])


def _best(
    topic: str, cells: pd.DataFrame, column: str, question: Question, margin: float
) -> tuple[str, str, str, str]:
    """Values of `column` whose diverse models are within `margin` (nats) of the lowest loss."""
    if cells[column].nunique() < 2:
        return topic, "not varied here", "", ""
    best: dict = {}  # value: loss, arm, confidence of its better arm
    for row in cells.to_dict("records"):
        for name, arm in ARMS.items():
            if majority(row[f"{name}States"]) == "diverse":
                found = (row[f"{name}ValLoss"], question.arm_name(arm), row["Confidence"])
                best[row[column]] = min(found, best.get(row[column], found))
    if not best:
        return topic, "none of those tried", "no cell ends diverse in most seeds", "Low"
    ranked = sorted(best, key=lambda value: best[value][0])
    least = best[ranked[0]][0]
    alike = [value for value in ranked if best[value][0] <= least + margin]
    losses = ", ".join(f"{_say(value)} {best[value][0]:.3f} ({best[value][1]})" for value in ranked)
    sure = min((best[value][2] for value in alike), key=RANKS.index)
    return topic, " or ".join(map(_say, alike)), f"diverse at ValLoss {losses}", sure


def _arms(cells: pd.DataFrame, question: Question) -> list[tuple]:
    """The recommended arm for each optimizer, from the outcome of its cell."""
    treatment, control = (value_name(question.value(arm)) for arm in ("treatment", "control"))
    axis = LONG.get(question.axis.key, question.axis.key)
    advice = {
        "fixed": treatment,
        "prevented": treatment,
        "helps": treatment,
        "harmful": control,
        "recovers either way": f"{treatment} or {control}",
        "no effect": f"{treatment} or {control}",
        "no effect (nothing to fix)": f"{treatment} or {control}",
        "no effect (nothing to prevent)": f"{treatment} or {control}",
    }
    return [
        (
            axis if axis == "optimizer" else f"{axis} with {row['Optimizer']}",
            advice.get(row["Outcome"], "undecided"),
            f"outcome: {row['Outcome']}",
            row["Confidence"],
        )
        for row in cells.to_dict("records")
    ]


def _size(cells: pd.DataFrame, wanted: Mapping, question: Question) -> list[tuple]:
    """Whether a larger model avoids collapse, for each optimizer's ternary series."""
    found = scaling(cells)
    found = found[(found["Weights"] == TERNARY) & (found[VARIANT] == BASE)]
    if "peak_lr" in wanted:
        found = found[found["PeakLR"] == wanted["peak_lr"]]
    if "stage1_weight_decay" in wanted:
        found = found[found["Stage1WD"] == wanted["stage1_weight_decay"]]
    if found.empty:
        return [("size", "not varied here", "", "")]
    lines = []
    for row in found[found["Part"] == "control"].to_dict("records"):
        same = (cells["Optimizer"] == row["Optimizer"]) & (cells["Weights"] == row["Weights"])
        sure = min(cells.loc[same, "Confidence"], key=RANKS.index)
        advice = {
            "A": f"hidden {row['MinimumSize']} or more",
            "B": f"does not matter: all {row['States'][0]}",
        }.get(row["Scaling"], "undecided")
        states = ", ".join(f"{n} {s}" for n, s in zip(row["Sizes"], row["States"], strict=True))
        why = f"{row['Scaling']} with {question.arm_name('control')} ({states})"
        lines.append((f"size with {row['Optimizer']}", advice, why, sure))
    return lines


def _say(value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
