"""Charts of counts and losses: the one that shows the answer, and a panel for each cell."""

from collections.abc import Mapping
from dataclasses import replace
from operator import itemgetter

import pandas as pd

from bitnet.config.question import COUNT, RATIOS, STAGE2, Question
from bitnet.figures.trajectories import QUANTITIES, references
from bitnet.report.chart import Chart, Line
from bitnet.report.scale import written
from bitnet.report.study import Study

MOST_PANELS = 24  # cells that have panels of their own
UNITS = {
    COUNT: "distinct predictions",
    "PDR": "PDR: diversity of predictions beside the text's",
    "ValLoss": "validation loss (nats)",
    "BitsPerByte": "bits per byte",
}
UNNEEDED = ("trigram", "bigram")  # references of counts


def answer(study: Study) -> Chart:
    """The chart that shows the answer: the headline's cell, and what healthy models do."""
    column, cell = decisive(study), study.cells.loc[study.main]
    log = column in RATIOS
    drawn = study.compared(itemgetter(column), log, runs=True)
    return Chart(
        title=study.names[study.main],
        unit=UNITS.get(column, column),
        lines=[_with_value(line, cell, study.question) for line in drawn],
        last=study.last,
        log=log,
        references=levels(study, column),
        switches=study.switches(study.main),
        switch=f"switch: {happens(study.question)}",
        before="stage 1, shared" if study.question.shares_trunk else "",
        size="large",
    )


def curves(study: Study) -> list[tuple[str, list[Chart]]]:
    """A heading and a panel for each cell, for what decides and for the loss."""
    found = []
    for column in dict.fromkeys([decisive(study), "ValLoss"]):
        panels = [_panel(study, index, column) for index in study.order[:MOST_PANELS]]
        shared = [value for panel in panels for line in panel.lines for value in line.extent]
        found.append(
            (UNITS.get(column, column), [replace(panel, among=shared) for panel in panels])
        )
    return found


def decisive(study: Study) -> str:
    """The column that decides the question on this corpus."""
    return study.cells["Primary"].iloc[0]


def happens(question: Question) -> str:
    """What happens at the switch, in a few words."""
    return "weight decay changes" if question.axis.key == STAGE2 else "stage 2 begins"


def levels(study: Study, column: str) -> dict[str, float]:
    """Values to compare a column with, by label."""
    found = {}
    for quantity in QUANTITIES.values():
        if quantity.column == column:
            found = references(quantity, study.rows.iloc[0], study.thresholds)
    if column == COUNT:
        found = {name: value for name, value in found.items() if name.split()[0] not in UNNEEDED}
    return {name.replace("UniqueTargets", "the text"): value for name, value in found.items()}


def _panel(study: Study, index: int, column: str) -> Chart:
    log = column in RATIOS
    return Chart(
        title=study.names[index],
        unit=UNITS.get(column, column),
        lines=study.curves(index, itemgetter(column), log),
        last=study.last,
        log=log,
        references=levels(study, column),
        switches=study.switches(index),
    )


def _with_value(line: Line, cell: Mapping, question: Question) -> Line:
    """The curve of an arm with the verdict's value, a mean of the last evaluations, at its end."""
    shown = "Unique" if cell["Primary"] == COUNT else cell["Primary"]
    for arm in ("treatment", "control"):
        value = cell.get(f"{arm.title()}{shown}")  # of PDR there is none
        if line.name == question.arm_name(arm) and pd.notna(value):
            return replace(line, label=f"{line.label}: {written(value)}")
    return line
