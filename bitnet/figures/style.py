"""Style of all figures: fonts, colours, page layout, and files with reproducible bytes.

Colours are those of Okabe & Ito (2008), which colour-blind readers can distinguish. An arm has the
same colour in every figure of every study.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

STYLE: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": "medium",
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "bitnet",  # ids that are the same in every drawing
}
METADATA = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}  # by format

BLUE, VERMILION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, YELLOW = "#E69F00", "#56B4E9", "#F0E442"
ARM_COLOURS = {"Stage2WD 0": BLUE, "Stage2WD 0.05": VERMILION}  # the two arms under test
MORE_COLOURS = (GREEN, PURPLE, ORANGE, SKY, YELLOW)
TRUNK_COLOUR = "#222222"
DASHES = {"ternary": "-", "full_precision": (0, (3, 1.2))}
REFERENCE = {"color": "#999999", "linewidth": 0.6, "linestyle": (0, (1, 1.5)), "zorder": 1}
LEADER = {"arrowstyle": "-", "color": REFERENCE["color"], "linewidth": 0.5}
BESIDE = {"xycoords": "axes fraction", "va": "center", "arrowprops": LEADER}
NOTE = {"fontsize": 7.5, "color": "#555555"}

LINE = 0.17  # inches of a line of text
MOST_TICKS = 4
LABEL_GAP = 0.13  # inches between the labels of two references


@dataclass(frozen=True)
class Page:
    """Inches of a panel, of the gaps between panels, and of the margins for labels."""

    panel: tuple[float, float] = (1.4, 1.35)
    gap: tuple[float, float] = (0.25, 0.2)
    left: float = 0.78
    right: float = 1.2
    bottom: float = 0.65

    def frame(
        self,
        shape: tuple[int, int],
        rows: pd.DataFrame,
        title: str,
        handles: list,
        lines: int = 1,
        **shared: Any,
    ) -> tuple[Figure, np.ndarray]:
        """Figure and its empty panels (rows, columns), with title, legend and footer.

        rows: the table, whose N and data hash are in the footer. handles: of the legend. lines:
        lines of text in the title of a panel. shared: sharex and sharey of `Figure.subplots`.
        """
        height, width = shape
        across = self.left + width * self.panel[0] + (width - 1) * self.gap[0] + self.right
        ncols = max(2, int(across / 1.5))
        head = LINE * (1.4 + lines + bool(title) * 1.4 + math.ceil(len(handles) / ncols))
        down = self.bottom + height * self.panel[1] + (height - 1) * self.gap[1] + head
        figure = Figure(figsize=(across, down))
        grid = {"left": self.left / across, "right": 1 - self.right / across}
        grid |= {"bottom": self.bottom / down, "top": 1 - head / down}
        grid |= {f"{a}space": g / p for a, g, p in zip("wh", self.gap, self.panel, strict=True)}
        panels = figure.subplots(height, width, gridspec_kw=grid, squeeze=False, **shared)
        figure.suptitle(title, y=1 - 0.4 * LINE / down, va="top")
        top = 1 - bool(title) * 1.4 * LINE / down
        figure.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, top), ncols=ncols)
        footer = "N = {N:,} held-out positions, data {DataHash:.8}".format(**rows.iloc[0])
        figure.text(1 - 0.06 / across, 0.06 / down, footer, ha="right", va="bottom", **NOTE)
        return figure, panels


def arm_colours(rows: pd.DataFrame) -> dict[str, Any]:
    """Colour of each Arm of a table, in the order of the arms' values."""
    arms = sorted(rows["Arm"].dropna().unique(), key=_value)
    others = [arm for arm in arms if arm not in ARM_COLOURS]
    more = [*MORE_COLOURS, *matplotlib.colormaps["viridis"](np.linspace(0, 1, len(others)))]
    colours = ARM_COLOURS | dict(zip(others, more, strict=False))
    return {arm: colours[arm] for arm in arms}


def _value(arm: str) -> tuple[float, str]:
    """Sort key of an arm: numbers before words."""
    word = arm.split(" ", 1)[1]
    try:
        return float(word), word
    except ValueError:
        return math.inf, word


def few_ticks(axes: Axes) -> None:
    """Set at most MOST_TICKS round ticks on the y axis, linear or logarithmic."""
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(MaxNLocator(MOST_TICKS - 1))
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.yaxis.minorticks_off()
    if axes.get_yscale() == "log":
        powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        for digits in ((1, 2, 5), (1,)):
            ticks = [d * 10.0**p for p in powers for d in digits if low <= d * 10.0**p <= high]
            if len(ticks) <= MOST_TICKS:
                break
        if len(ticks) > 1:
            axes.set_yticks(ticks[:: math.ceil(len(ticks) / MOST_TICKS)])


def label(axes: Axes, references: dict[str, float]) -> None:
    """Write names of reference values to the right of a panel, moved apart if they overlap."""
    axes.get_ylim()  # this computes limits that follow the data
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = {name: to_axes.transform((0, value))[1] for name, value in references.items()}
    gap = LABEL_GAP * axes.figure.dpi / axes.get_window_extent().height
    free = math.inf
    for name, height in sorted(heights.items(), key=lambda item: -item[1]):
        free = min(free - gap, height)
        axes.annotate(name, (1, height), (1.06, free), **BESIDE, **NOTE)


def save(figure: Figure, file: str | Path | BinaryIO, format: str, dpi: int = 150) -> None:
    """Write a figure in a format, "svg", "pdf" or "png"; the same table gives the same bytes.

    dpi: resolution of a png. KeyError for any other format.
    """
    with matplotlib.rc_context(STYLE):
        figure.savefig(file, format=format, dpi=dpi, metadata=METADATA[format])
