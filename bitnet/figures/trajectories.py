"""Trajectories: one quantity over the steps (distinct predictions, validation loss, PDR).

Where every point (HiddenSize, PeakLR, Stage1WD, Variant) was run with every optimizer, a point is a
column of panels and an optimizer a row. Otherwise a panel a point and optimizer, its title naming
what is special about it. Runs of two protocols are never in one panel.
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
HIGHEST_LOSS = 1.5  # times ln V: how far a diverging run may stretch the axis


@dataclass(frozen=True)
class Quantity:
    """What one figure shows: a column, its kind of axis, what to compare it with."""

    column: str
    log: bool
    digits: str  # format of a reference's value
    references: dict[str, str]  # their columns by label


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
    """The figure of one of `QUANTITIES`."""
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
    """Which cell stands where: row after row of `width` panels, and what is said above which."""

    keys: list[tuple]
    titles: dict[tuple, str]
    width: int
    crossed: bool  # a column a point and a row an optimizer


def cells_of(rows: pd.DataFrame) -> dict[tuple, pd.DataFrame]:
    """Rows by (HiddenSize, PeakLR, Stage1WD, Variant, Optimizer)."""
    return dict(list(rows.groupby([*POINT, "Optimizer"])))


def layout(cells: Iterable[tuple], usual: tuple[float, float], most: int = PANELS_A_ROW) -> Layout:
    """Panels for these cells, at most so many a row where they are no full cross."""
    points, optimizers = sorted({key[:-1] for key in cells}), sorted({key[-1] for key in cells})
    if len(list(cells)) == len(points) * len(optimizers):
        keys = [(*point, optimizer) for optimizer in optimizers for point in points]
        titles = dict(zip(keys, _columns(points), strict=False))  # above the first row alone
        return Layout(keys, titles, len(points), True)
    titles = _specials(cells, usual)
    return Layout(list(titles), titles, min(most, len(titles)), False)


def _columns(points: Sequence[tuple]) -> list[str]:
    """A title a point: its size, and what else is not the same everywhere."""
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
    """A title a panel, spelled as in a run's name; those with nothing special come first."""
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
    """Heights of horizontal lines by label, thresholds among them where this quantity decides."""
    values = {name: row[column] for name, column in quantity.references.items()}
    own = {"ValLoss": {"ln V": math.log(row["VocabSize"])}, "PDR": {"targets": 1.0}}
    values |= own.get(quantity.column, {}) | limits(row, quantity.column, thresholds)
    return labelled(values, quantity.digits)


def _scale(axes: Axes, rows: pd.DataFrame, quantity: Quantity, references: dict) -> None:
    """Axes of all panels: all references in sight, room for the word 'switch' at the top."""
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
    curves.step_axis(axes, rows["Step"].max())


def _panel(
    axes: Axes, rows: pd.DataFrame, quantity: Quantity, colours: dict, references: dict
) -> None:
    for value in references.values():
        axes.axhline(value, **REFERENCE)
    curves.panel(axes, rows, quantity.column, colours)
    curves.name_switch(axes, rows)
