"""Figures of one quantity over the steps: distinct predictions, validation loss, or PDR.

If every point (HiddenSize, PeakLR, Stage1WD, Variant) was run with every optimizer, a point is a
column of panels and an optimizer a row. Otherwise each pair of both has a panel, whose title names
its differences from the usual protocol. Runs of two protocols are never in one panel.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bitnet.config.run_names import BASE, spell_number
from bitnet.config.thresholds import Thresholds
from bitnet.figures import curves
from bitnet.figures.rows import COUNT_MODELS, POINT, labelled, limits, usual
from bitnet.figures.style import LINE, REFERENCE, Page, arm_colours, few_ticks, label

PANELS_A_ROW = 5
WRAPPED = Page(gap=(0.25, 0.2 + LINE))  # with a title above every panel
HIGHEST_LOSS = 1.5  # times ln V: upper end of the axis if a run diverges


@dataclass(frozen=True)
class Quantity:
    """A column to draw, its kind of axis, and its references."""

    column: str
    log: bool
    digits: str  # format of a reference's value
    references: dict[str, str]  # columns of reference values by label


LOSSES = {name: f"{name.title()}Loss" for name in ("unigram", "bigram", "trigram")}
LOSSES["best possible"] = "BestPossibleLoss"
QUANTITIES = {
    "unique_predictions": Quantity(
        "UniquePredictions", True, ",g", {**COUNT_MODELS, "UniqueTargets": "UniqueTargets"}
    ),
    "loss": Quantity("ValLoss", False, ".2f", LOSSES),
    "pdr": Quantity("PDR", True, ".2g", {"trigram": "TrigramPDR"}),
}


def draw(name: str, rows: pd.DataFrame, thresholds: Thresholds, title: str) -> Figure:
    """The figure of one of `QUANTITIES`. rows must be `prepared`."""
    quantity, colours = QUANTITIES[name], arm_colours(rows)
    heights = references(quantity, rows.iloc[0], thresholds)
    cells = cells_of(rows)
    grid = layout(cells, usual(rows))
    keys, titles, width = grid.keys, grid.titles, grid.width
    page = Page() if grid.crossed else WRAPPED
    lines = 1 + max(text.count("\n") for text in titles.values())
    shape, handles = (math.ceil(len(keys) / width), width), curves.legend(rows)
    figure, panels = page.frame(shape, rows, title, handles, lines, sharex=True, sharey=True)
    used, unused = np.split(panels.ravel(), [len(keys)])
    _scale(used[0], rows, quantity, heights)
    for key, axes in zip(keys, used, strict=True):
        _panel(axes, cells[key], quantity, colours, heights)
        axes.set_title(titles.get(key, ""))
    for axes in unused:
        axes.remove()
    for start in range(0, len(keys), width):
        optimizer = f"Optimizer {keys[start][-1]}\n" if grid.crossed else ""
        used[start].set_ylabel(optimizer + quantity.column)
        label(used[start : start + width][-1], heights)
    for axes in used[-width:]:  # the lowest of each column
        axes.tick_params(labelbottom=True)
        axes.set_xlabel(curves.STEP_LABEL)
    return figure


@dataclass(frozen=True)
class Layout:
    """Order of cells in rows of `width` panels, and titles of panels."""

    keys: list[tuple]
    titles: dict[tuple, str]
    width: int
    crossed: bool  # whether columns are points and rows are optimizers


def cells_of(rows: pd.DataFrame) -> dict[tuple, pd.DataFrame]:
    """Rows by (HiddenSize, PeakLR, Stage1WD, Variant, Optimizer)."""
    return dict(list(rows.groupby([*POINT, "Optimizer"])))


def layout(cells: Iterable[tuple], usual: tuple[float, float], most: int = PANELS_A_ROW) -> Layout:
    """Layout of the panels of cells (keys of `cells_of`).

    usual: PeakLR and Stage1WD of the study's own protocol. most: panels per row, unless points and
    optimizers are fully crossed.
    """
    points, optimizers = sorted({key[:-1] for key in cells}), sorted({key[-1] for key in cells})
    if len(list(cells)) == len(points) * len(optimizers):
        keys = [(*point, optimizer) for optimizer in optimizers for point in points]
        titles = dict(zip(keys, _columns(points), strict=False))  # above the first row alone
        return Layout(keys, titles, len(points), True)
    titles = _specials(cells, usual)
    return Layout(list(titles), titles, min(most, len(titles)), False)


def _columns(points: Sequence[tuple]) -> list[str]:
    """Title of each point: its size, and every other value that differs between points."""
    varied = [
        name
        for name, values in zip(POINT, zip(*points, strict=True), strict=True)
        if name == "HiddenSize" or len(set(values)) > 1
    ]
    return [
        "\n".join(
            f"{name} {value}" if name == "Variant" else f"{name} {value:g}"
            for name, value in zip(POINT, point, strict=True)
            if name in varied
        )
        for point in points
    ]


def _specials(cells: Iterable[tuple], usual: tuple[float, float]) -> dict[tuple, str]:
    """Titles of panels, spelled as in a run's name; panels of the usual protocol come first."""
    found = {}
    for key in cells:
        _, peak_lr, decay, variant, optimizer = key
        found[key] = [optimizer]
        if peak_lr != usual[0]:
            found[key].append(f"lr{spell_number(peak_lr)}")
        if decay != usual[1]:
            found[key].append(f"stage1wd{spell_number(decay)}")
        if variant != BASE:
            found[key] += variant.split("_")
    several = len({key[0] for key in found}) > 1
    ordered = sorted(found, key=lambda key: (key[0], len(found[key]) > 1, found[key]))
    return {key: ", ".join([f"h{key[0]}"] * several + found[key]) for key in ordered}


def references(quantity: Quantity, row: pd.Series, thresholds: Thresholds) -> dict[str, float]:
    """Finite reference values by label, with the thresholds if states depend on the quantity.

    row: any row of the table.
    """
    values = {name: row[column] for name, column in quantity.references.items()}
    own = {"ValLoss": {"ln V": math.log(row["VocabSize"])}, "PDR": {"targets": 1.0}}
    values |= own.get(quantity.column, {}) | limits(row, quantity.column, thresholds)
    return labelled(values, quantity.digits)


def _scale(axes: Axes, rows: pd.DataFrame, quantity: Quantity, references: dict) -> None:
    """Set the axes of all panels: all references visible, room for "switch" at the top."""
    most = math.inf if quantity.log else HIGHEST_LOSS * math.log(rows["VocabSize"].iloc[0])
    seen = rows.loc[~rows["Diverged"], quantity.column].clip(upper=most)
    ends = np.array([*seen, *references.values()])
    ends = np.log(ends) if quantity.log else ends
    low, high = ends.min(), ends.max()
    span = np.array([1.05 * low - 0.05 * high, 1.14 * high - 0.14 * low])
    if quantity.log:
        axes.set_yscale("log")
    axes.set_ylim(*(np.exp(span) if quantity.log else span))
    if quantity.log:
        few_ticks(axes)
    curves.step_axis(axes, curves.last_step(rows))


def _panel(
    axes: Axes, rows: pd.DataFrame, quantity: Quantity, colours: dict, references: dict
) -> None:
    for value in references.values():
        axes.axhline(value, **REFERENCE)
    curves.panel(axes, rows, quantity.column, colours)
    curves.name_switch(axes, rows)
