"""A study's table prepared for plotting: checked, sorted, with thresholds and final values."""

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd
from scipy.stats import gmean

from bitnet.config.question import ORIGINAL, Question, value_name
from bitnet.config.run_names import BASE, VARIANT
from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.metrics import check_one_study
from bitnet.evaluation.states import STATES, final, state, trunk_state
from bitnet.figures.style import DASHES
from bitnet.verdict.cells import armed

# Columns that have one value in a panel, like the optimizer.
POINT = ["HiddenSize", "PeakLR", "Stage1WD", "Variant"]
RUN = [*POINT, "Optimizer", "Weights", "Seed", "Arm"]
SWITCH = "at the switch"
COUNT_MODELS = {name: f"{name.title()}UniquePredictions" for name in ("trigram", "bigram")}


def prepared(rows: pd.DataFrame, question: Question = ORIGINAL) -> pd.DataFrame:
    """Table for plotting: rows (all CSVs of a study, concatenated) sorted by run and step.

    It has four more columns. Diverged: true from the step where a run diverged to its end. Arm:
    name and value of the question's axis ('Stage2WD 0'). PartStep: the step at which the arms of a
    seed separate, the switch if they share a trunk, else 0. BestPossibleLoss: NaN if rows lack it.

    ValueError in one line where columns are missing or rows do not belong to one study.
    """
    check_one_study(rows)
    if unknown := sorted(set(rows["Weights"]) - set(DASHES)):
        raise ValueError(f"unknown Weights {unknown[0]!r}, allowed are {', '.join(DASHES)}")
    axis, rows = question.axis, armed(rows, question)
    name = axis.key if axis.column == VARIANT else axis.column
    arms = [f"{name} {value_name(arm)}" if pd.notna(arm) else np.nan for arm in rows["Arm"]]
    part = rows["SwitchStep"] * question.shares_trunk
    best = rows.get("BestPossibleLoss", np.nan)
    rows = rows.assign(Arm=np.array(arms, dtype=object), PartStep=part, BestPossibleLoss=best)
    rows = rows.sort_values([*RUN, "Step"], na_position="first", ignore_index=True)
    broken = ~np.isfinite(rows["ValLoss"]) | (~np.isfinite(rows["Loss"]) & (rows["Step"] > 0))
    broken |= ~(rows["UniquePredictions"] > 0)  # a bug, and it has no logarithm
    diverged = broken.groupby([rows[column] for column in RUN], dropna=False).cummax()
    return rows.assign(Diverged=diverged)


def usual(rows: pd.DataFrame) -> tuple[float, float]:
    """PeakLR and Stage1WD of a study's own protocol, which are those of most rows."""
    return rows.groupby(["PeakLR", "Stage1WD"]).size().idxmax()


def own_protocol(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows of the runs in the study's own protocol, with any optimizer and size."""
    peak_lr, decay = usual(rows)
    return rows[
        (rows["PeakLR"] == peak_lr) & (rows["Stage1WD"] == decay) & (rows["Variant"] == BASE)
    ]


def limits(row: pd.Series, column: str, thresholds: Thresholds) -> dict[str, float]:
    """Thresholds of collapsed and diverse by label; empty if states do not depend on `column`."""
    values = np.array([thresholds.collapsed_below, thresholds.diverse_above])
    if row["Blind"]:
        shares = [thresholds.blind_collapsed_share, thresholds.blind_diverse_share]
        values = np.array(shares) * row["TrigramPDR"]
    judged = column == ("PDR" if row["Blind"] else "UniquePredictions")
    return dict(zip(("collapsed <", "diverse >"), values, strict=True)) if judged else {}


def labelled(values: dict[str, float], digits: str) -> dict[str, float]:
    """The finite values, with each value appended to its label in the format `digits`."""
    return {f"{name} {v:{digits}}": v for name, v in values.items() if math.isfinite(v)}


def ends(rows: pd.DataFrame, thresholds: Thresholds) -> pd.DataFrame:
    """Table of State and UniquePredictions (mean of the last evaluations) per run and When.

    When is the end with an arm (see `end_with`) and, if arms share a trunk, the switch, with one
    row per trunk. rows must be `prepared`.
    """
    found = []
    for key, run in rows.groupby(RUN):
        values = dict(zip(RUN, key, strict=True))
        trunk = run[run["Step"] <= run["SwitchStep"]]
        early = {"When": SWITCH, "State": trunk_state(run, thresholds)}
        late = {"When": end_with(values["Arm"]), "State": state(run, thresholds)}
        shared = [(trunk, early)] if run["PartStep"].iloc[0] else []
        for part, own in (*shared, (run, late)):
            count = final(part, "UniquePredictions", thresholds)
            found.append({**values, **own, "UniquePredictions": count})
    runs = pd.DataFrame(found).drop(columns="Arm")
    return runs.drop_duplicates([*RUN[:-1], "When"], ignore_index=True)


def end_with(arm: str) -> str:
    """Value of the column When for the end of an arm."""
    return f"end, {arm}"


def commonest(states: Iterable[str]) -> str:
    """The commonest state; the first in the order of `STATES` where several are."""
    return max(STATES, key=list(states).count)


def middle(runs: pd.DataFrame) -> float:
    """Geometric mean of UniquePredictions over runs of `ends` that did not diverge (else all)."""
    sound = runs[runs["State"] != "diverged"]
    return float(gmean((runs if sound.empty else sound)["UniquePredictions"]))
