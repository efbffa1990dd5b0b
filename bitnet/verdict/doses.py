"""Further values of the question's axis, each compared with the control as the treatment is.

A grid may hold more values than the two arms, such as a series of doses of weight decay. The
verdict's cells compare two; this table has them all.
"""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from bitnet.common.markdown import interval, number, table
from bitnet.config.question import Question, value_name
from bitnet.config.thresholds import Thresholds
from bitnet.verdict.cells import armed
from bitnet.verdict.details import difference, labels, primary, style_of
from bitnet.verdict.rule import judge


def doses(rows: pd.DataFrame, thresholds: Thresholds, question: Question) -> pd.DataFrame:
    """Rows like those of `judge` for every value but the control's, with its `Dose`.

    Empty where the rows hold no value beside the two arms. Each value is a question of its own:
    p is corrected within the cells of a value, not over the values.
    """
    values = armed(rows, question)["Arm"].dropna().unique()
    wanted = sorted(value for value in values if value != question.control)
    if set(wanted) <= {question.treatment}:
        return pd.DataFrame()
    found = [
        judge(rows, thresholds, replace(question, treatment=value)).assign(Dose=value)
        for value in wanted
    ]
    return pd.concat([cells[cells["TreatmentStates"] != ""] for cells in found])


def section(found: pd.DataFrame, question: Question) -> str:
    """The table of `doses` in Markdown, cell by cell, with its heading."""
    found = found.assign(Name=labels(found)).sort_values(["Name", "Dose"], kind="stable")
    lines = []
    for name, cells in found.groupby("Name", sort=False):
        lines += [[name, *_line(row)] for row in cells.to_dict("records")]
        control = cells.iloc[0]
        lines.append([name, *_level(control, "Control", value_name(question.control))])
    key = question.arm_name("control").rsplit(" ", 1)[0]
    beside = f"beside {value_name(question.control)}"
    header = ["cell", key, "states", "count", "loss", beside, "Δloss", "outcome"]
    return f"## Every value of {key}\n\n{table(header, lines)}"


def _level(row: Mapping, arm: str, value: str) -> list[str]:
    levels = [number(row[f"{arm}Unique"], ".1f"), number(row[f"{arm}ValLoss"], ".3f")]
    return [value, row[f"{arm}States"], *levels] + ["-"] * 3 * (arm == "Control")


def _line(row: Mapping) -> list[str]:
    return [
        *_level(row, "Treatment", value_name(row["Dose"])),
        interval(primary(row), style_of(row["Primary"])),
        interval(difference(row, "ValLoss"), "+.3f"),
        row["Outcome"],
    ]
