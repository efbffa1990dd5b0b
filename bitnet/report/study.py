"""A study as the page draws it: its cells in order, their curves, and whom to compare them with."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd

from bitnet.config.question import Question
from bitnet.config.thresholds import Thresholds
from bitnet.report.chart import Line
from bitnet.report.series import BEFORE, lines, of_cell
from bitnet.verdict.cells import CELL
from bitnet.verdict.details import labels
from bitnet.verdict.recommendation import best
from bitnet.verdict.rule import POINT

GREY = {"colour": "muted", "dashed": True, "label": "", "low": (), "high": ()}
Values = Callable[[pd.DataFrame], pd.Series]


@dataclass(frozen=True)
class Study:
    """What the charts of a page are drawn from.

    rows: `figures.rows.prepared`. cells: the table of `judge`. A cell is named by its index there.
    """

    rows: pd.DataFrame
    cells: pd.DataFrame
    question: Question
    thresholds: Thresholds

    @cached_property
    def names(self) -> dict[int, str]:
        """Name of each cell, 'hidden 64 adam ternary'."""
        return {i: f"hidden {name}" for i, name in enumerate(labels(self.cells))}

    @cached_property
    def main(self) -> int:
        """The headline's cell; the first where there is none."""
        return int(self.cells["Headline"].argmax())

    @cached_property
    def order(self) -> list[int]:
        """The cells: the headline's, then those that differ from it in less."""
        differing = (self.cells[CELL] != self.cells.loc[self.main, CELL]).sum(axis=1)
        return list(differing.sort_values(kind="stable").index)

    @cached_property
    def healthier(self) -> int | None:
        """The cell of the recommended optimizer, where that is another than the headline's."""
        cell = self.cells.loc[self.main]
        chosen = best(self.cells, self.question, self.thresholds)["Optimizer"]
        here = (self.cells[[*POINT, "Weights"]] == cell[[*POINT, "Weights"]]).all(axis=1)
        found = self.cells.index[here & self.cells["Optimizer"].isin(chosen)]
        return None if self.main in found or not len(found) else int(found[0])

    @cached_property
    def last(self) -> int:
        """Last step of any run."""
        return int(self.rows["Step"].max())

    def switches(self, index: int) -> list[int]:
        """Steps at which stage 2 of a cell's runs begins."""
        return sorted(map(int, of_cell(self.rows, self.cells.loc[index])["SwitchStep"].unique()))

    def curves(self, index: int, values: Values, log: bool, runs: bool = False) -> list[Line]:
        """The curves of a cell. values: what to draw, from the cell's rows."""
        rows = of_cell(self.rows, self.cells.loc[index])
        return lines(rows.assign(Drawn=values(rows)), "Drawn", self.question, log, runs)

    def compared(self, values: Values, log: bool, runs: bool = False) -> list[Line]:
        """The curves of the headline's cell, before them those of the `healthier` one in grey."""
        own, beside = self.curves(self.main, values, log, runs), []
        if self.healthier is not None:
            name = str(self.cells.loc[self.healthier, "Optimizer"])
            wanted = (BEFORE, self.question.arm_name("treatment"))
            healthy = self.curves(self.healthier, values, log)
            beside = [
                replace(line, name=f"{name}, {line.name}", **GREY)
                for line in healthy
                if line.name in wanted
            ]
            beside[-1:] = [replace(line, label=name) for line in beside[-1:]]
        return [*beside, *own] if own else []
