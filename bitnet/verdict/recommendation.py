"""Recommendations by rule from the cells of a verdict: optimizer, arm, learning rate, size.

Among the arms that most seeds survive, that of the lowest validation loss is recommended, within
0.02 nats all. Every line says this of its own part of the arms, so none contradicts another; and an
arm that its own cell's outcome speaks against is not among them.
"""

import pandas as pd

from bitnet.config.question import LONG, Question, value_name
from bitnet.config.run_names import BASE, VARIANT
from bitnet.config.thresholds import Thresholds
from bitnet.verdict.cells import TERNARY
from bitnet.verdict.rule import scaling, survived

RANKS = ("", "Low", "Medium", "High")
BOTH = ("Treatment", "Control")
AGAINST = {
    "no verdict": BOTH,
    "diverges": ("Treatment",),
    "control diverges": ("Control",),
    "temporary recovery": ("Treatment",),
    "harmful": ("Treatment",),
    "fixed": ("Control",),
    "prevented": ("Control",),
    "helps": ("Control",),
}
"""Arms that an outcome speaks against."""


def recommend(
    cells: pd.DataFrame, question: Question, thresholds: Thresholds | None = None
) -> pd.DataFrame:
    """Table with the columns Topic, Advice, Why and Confidence.

    cells: the table of `judge`. thresholds: losses within `equivalence_loss` nats count as equal.
    Only ternary cells at the headline's size and Stage-1 WD in the study's own protocol count. A
    topic that the study did not vary gets "not varied here".
    """
    limits = thresholds or Thresholds()
    wanted, axis = question.headline, question.axis.key
    own, at_lr = _own(cells, question), _at_headline(cells, question)
    rates = own[own["Optimizer"] == wanted["optimizer"]] if "optimizer" in wanted else own
    lines = []
    if axis != "optimizer":
        lines.append(_best("optimizer", at_lr, "Optimizer", question, limits))
    for optimizer, group in at_lr.groupby("Optimizer"):
        name = LONG.get(axis, axis)
        topic = name if axis == "optimizer" else f"{name} with {optimizer}"
        lines.append(_best(topic, group, "Value", question, limits))
    if axis != "peak_lr":
        lines.append(_best("learning rate", rates, "PeakLR", question, limits))
    if axis != "hidden_size":
        lines += _size(cells, question, limits)
    return pd.DataFrame(lines, columns=["Topic", "Advice", "Why", "Confidence"])


def best(cells: pd.DataFrame, question: Question, thresholds: Thresholds) -> pd.DataFrame:
    """The recommended arms at the headline's point: Optimizer, Name, Value, Loss, Count, ..."""
    return _lowest(_arms(_at_headline(cells, question), question), thresholds)


def _own(cells: pd.DataFrame, question: Question) -> pd.DataFrame:
    """Ternary cells in the study's own protocol at the headline's size and Stage-1 WD."""
    own = cells[(cells["Weights"] == TERNARY) & (cells[VARIANT] == BASE)]
    for key, column in (("stage1_weight_decay", "Stage1WD"), ("hidden_size", "HiddenSize")):
        own = own[own[column] == question.headline[key]] if key in question.headline else own
    return own


def _at_headline(cells: pd.DataFrame, question: Question) -> pd.DataFrame:
    """Those of `_own` at the headline's learning rate."""
    own, wanted = _own(cells, question), question.headline
    return own[own["PeakLR"] == wanted["peak_lr"]] if "peak_lr" in wanted else own


def _arms(cells: pd.DataFrame, question: Question) -> pd.DataFrame:
    """One row an arm that most seeds survive and that its cell's outcome does not speak against."""
    found = [
        {
            **{name: row[name] for name in ("Optimizer", "PeakLR", "Confidence")},
            "Name": question.arm_name(arm.lower()),
            "Value": value_name(question.value(arm.lower())),
            "Loss": row[f"{arm}ValLoss"],
            "Count": row[f"{arm}Unique"],
        }
        for row in cells.to_dict("records")
        for arm in BOTH
        if survived(row[f"{arm}States"]) and arm not in AGAINST.get(row["Outcome"], ())
    ]
    columns = ["Optimizer", "PeakLR", "Confidence", "Name", "Value", "Loss", "Count"]
    return pd.DataFrame(found, columns=columns).sort_values("Loss", kind="stable")


def _lowest(arms: pd.DataFrame, thresholds: Thresholds) -> pd.DataFrame:
    """Arms within `equivalence_loss` of the lowest loss among them."""
    return arms[arms["Loss"] <= arms["Loss"].min() + thresholds.equivalence_loss]


def _best(
    topic: str, cells: pd.DataFrame, column: str, question: Question, limits: Thresholds
) -> tuple[str, str, str, str]:
    """Values of `column` whose arms are of the lowest loss."""
    if column != "Value" and cells[column].nunique() < 2:
        return topic, "not varied here", "", ""
    arms = _arms(cells, question)
    if arms.empty:
        return topic, "none of those tried", "no arm with a verdict that most seeds survive", ""
    chosen = _lowest(arms, limits)
    each = arms.drop_duplicates(column)  # the lowest loss of every value
    beside = [""] * len(each) if column == "Value" else [f" ({name})" for name in each["Name"]]
    losses = ", ".join(
        f"{_say(value)} {loss:.3f}{name}"
        for value, loss, name in zip(each[column], each["Loss"], beside, strict=True)
    )
    sure = min(chosen["Confidence"], key=RANKS.index)
    return topic, " or ".join(map(_say, chosen[column].unique())), f"ValLoss {losses}", sure


def _size(cells: pd.DataFrame, question: Question, limits: Thresholds) -> list[tuple]:
    """Whether a larger model avoids collapse in the arm recommended, for each optimizer."""
    wanted, at_lr = question.headline, _at_headline(cells, question)
    found = scaling(cells)
    found = found[(found["Weights"] == TERNARY) & (found[VARIANT] == BASE)]
    if "peak_lr" in wanted:
        found = found[found["PeakLR"] == wanted["peak_lr"]]
    if "stage1_weight_decay" in wanted:
        found = found[found["Stage1WD"] == wanted["stage1_weight_decay"]]
    if found.empty:
        return [("size", "not varied here", "", "")]
    lines = []
    for row in found.to_dict("records"):
        own = at_lr[at_lr["Optimizer"] == row["Optimizer"]]
        names = set(_lowest(_arms(own, question), limits)["Name"])
        treated = names and question.arm_name("control") not in names
        arm = "treatment" if treated else "control"
        if row["Part"] != arm:
            continue
        same = (cells["Optimizer"] == row["Optimizer"]) & (cells["Weights"] == row["Weights"])
        sure = min(cells.loc[same, "Confidence"], key=RANKS.index)
        advice = {
            "A": f"hidden {row['MinimumSize']} or more",
            "B": f"does not matter: all {row['States'][0]}",
        }.get(row["Scaling"], "undecided")
        states = ", ".join(f"{n} {s}" for n, s in zip(row["Sizes"], row["States"], strict=True))
        why = f"{row['Scaling']} with {question.arm_name(arm)} ({states})"
        lines.append((f"size with {row['Optimizer']}", advice, why, sure))
    return lines


def _say(value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
