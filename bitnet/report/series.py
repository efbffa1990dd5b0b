"""Curves of a cell: the mean of its runs in each arm, within the band that they span.

As in the verdict, a run that diverged is left out of the mean. So a chart has a few curves
whatever the number of runs.
"""

from collections.abc import Mapping
from itertools import cycle

import numpy as np
import pandas as pd
from scipy.stats import gmean

from bitnet.config.question import Question
from bitnet.report.chart import Line
from bitnet.report.colours import OTHERS
from bitnet.verdict.cells import CELL

BEFORE = "before the switch"
MOST_POINTS = 60  # of a curve
MOST_RUNS = 12  # drawn one by one
MOST_LETTERS = 12  # of an arm's name at its curve
RANK = {"control": 1, "treatment": 2}


def of_cell(rows: pd.DataFrame, cell: Mapping) -> pd.DataFrame:
    """Rows of a cell. rows: `figures.rows.prepared`; cell: a row of the table of `judge`."""
    chosen = np.ones(len(rows), dtype=bool)
    for column in CELL:
        chosen &= (rows[column] == cell[column]).to_numpy()
    return rows[chosen]


def arms(rows: pd.DataFrame, question: Question) -> dict[str, tuple[str, str]]:
    """Name and colour of each arm by its value in the column Arm; last, on top, the treatment."""
    asked = {question.arm_name(arm): arm for arm in ("treatment", "control")}
    axis, others, found = question.arm_name("control").split(" ")[0], cycle(OTHERS), {}
    for arm in sorted(rows["Arm"].dropna().unique()):
        name = f"{axis} {arm.split(' ', 1)[1]}"  # 'WD 0' where the column has 'Stage2WD 0'
        found[arm] = (name, asked.get(name) or next(others))
    return dict(sorted(found.items(), key=lambda item: RANK.get(item[1][1], 0)))


def lines(
    rows: pd.DataFrame, column: str, question: Question, log: bool, runs: bool = False
) -> list[Line]:
    """The curves of a cell's rows: before the switch, if its arms share that, then each arm.

    log: the mean is geometric. runs: each run is drawn too, if there are few.
    """
    shared = (rows["Step"] <= rows["PartStep"]) & (rows["PartStep"] > 0)
    trunk = rows[shared].drop_duplicates(["Seed", "Step"])
    found = [_line(trunk, column, BEFORE, "ink", log, runs)]
    for arm, (name, colour) in arms(rows, question).items():
        branch = rows[(rows["Arm"] == arm) & (rows["Step"] >= rows["PartStep"])]
        found.append(_line(branch, column, name, colour, log, runs))
    return [line for line in found if line]


def _line(
    rows: pd.DataFrame, column: str, name: str, colour: str, log: bool, runs: bool
) -> Line | None:
    """The curve of the runs of a part, of those that diverged where all did; None for no curve."""
    seen = ~rows["Diverged"] & np.isfinite(rows[column]) & ((rows[column] > 0) | (not log))
    lost = rows.loc[rows["Diverged"], "Seed"].unique()
    label = short(name) * (colour != "ink")
    if len(lost) and len(lost) == rows["Seed"].nunique():
        name, lost = f"{name} (diverged)", []
        label = f"{label} (diverged)" * bool(label)
    table = rows[seen].pivot(index="Step", columns="Seed", values=column)
    if len(table) < 2:  # such as decay of 0, which has no place on a log axis
        return None
    single = []
    if runs and 1 < table.shape[1] <= MOST_RUNS:
        single = [(run.index, run.to_numpy()) for _, run in table.items()]
    table = _thinned(table.drop(columns=lost, errors="ignore").dropna(how="all"))
    values = table.to_numpy(float)
    mean = gmean(values, axis=1, nan_policy="omit") if log else np.nanmean(values, axis=1)
    several = table.shape[1] > 1
    low, high = (np.nanmin(values, 1), np.nanmax(values, 1)) if several else ((), ())
    return Line(name, colour, table.index.to_numpy(), mean, low, high, single, label)


def short(name: str) -> str:
    """An arm's name as a label: of a long one its value, since the question names the axis."""
    return name if len(name) <= MOST_LETTERS else name.split(" ", 1)[-1]


def _thinned(table: pd.DataFrame) -> pd.DataFrame:
    """At most MOST_POINTS rows, evenly chosen, the last among them."""
    every = -(-len(table) // MOST_POINTS)
    return table.iloc[::-1].iloc[::every].iloc[::-1]
