"""The figures of a study: distinct predictions, validation loss, prediction diversity ratio.

Pure functions from one table (all runs' CSVs concatenated) to matplotlib figures. A column of
panels is a HiddenSize (and PeakLR, where it varies), a row an Optimizer. Colour tells the arms
apart and means the same in every figure; full-precision twins are dashed; the trunk, which the
arms share, is drawn once. Seeds are thin, their mean (of logarithms on a log axis) is thick. As in
the verdict, a run that diverged is left out of the mean: its thin line ends in a cross.

    figure = draw("loss", rows, Thresholds(), "wd_fix")
    save(figure, "loss.svg", "svg")
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
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.stats import gmean

from bitnet.metrics import COLUMNS
from bitnet.states import Thresholds

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
# Inches: a panel, the gaps between panels, the labels around them, a line of text.
PANEL, GAP = (1.4, 1.35), (0.25, 0.2)
LEFT, RIGHT, BOTTOM, LINE = 0.78, 1.2, 0.65, 0.17
# Okabe & Ito (2008). The two arms under test keep their colour in every study.
ARM_COLOURS = {0.0: "#0072B2", 0.05: "#D55E00"}
MORE_COLOURS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
TRUNK_COLOUR = "#222222"
DASHES = {"ternary": "-", "full_precision": (0, (3, 1.2))}
SEED = {"linewidth": 0.5, "alpha": 0.4, "gapcolor": None}
WIDEST, THINNER = 2.2, 0.7  # means that coincide stay visible: the later one is thinner
REFERENCE = {"color": "#999999", "linewidth": 0.6, "linestyle": (0, (1, 1.5)), "zorder": 1}
LEADER = {"arrowstyle": "-", "color": REFERENCE["color"], "linewidth": 0.5}
BESIDE = {"xycoords": "axes fraction", "va": "center", "arrowprops": LEADER}
NOTE = {"fontsize": 7.5, "color": "#555555"}
LABEL_GAP = 0.13 / PANEL[1]  # between the labels of two references, of a panel's height
STEP_TICKS = (0, 0.05, 0.25, 0.5, 1)  # of the last step
HIGHEST_LOSS = 1.5  # times ln V: how far a diverging run may stretch the axis
METADATA = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}  # by format
RUN = ["HiddenSize", "PeakLR", "Optimizer", "Weights", "Seed", "Stage2WD"]


@dataclass(frozen=True)
class Quantity:
    """What one figure shows: a column, its kind of axis, what to compare it with."""

    column: str
    log: bool
    digits: str  # format of a reference's value
    references: dict[str, str]  # their columns by label


COUNTS = {name: f"{name.title()}UniquePredictions" for name in ("trigram", "bigram")}
COUNTS["UniqueTargets"] = "UniqueTargets"
LOSSES = {name: f"{name.title()}Loss" for name in ("unigram", "bigram", "trigram")}
FIGURES = {
    "unique_predictions": Quantity("UniquePredictions", True, ",g", COUNTS),
    "loss": Quantity("ValLoss", False, ".2f", LOSSES),
    "pdr": Quantity("PDR", True, ".2g", {"trigram": "TrigramPDR"}),
}


def draw(name: str, rows: pd.DataFrame, thresholds: Thresholds, title: str = "") -> Figure:
    """One of `FIGURES`; ValueError where rows cannot belong to one study."""
    quantity = FIGURES[name]
    rows = _prepared(rows, quantity)
    cells = dict(list(rows.groupby(["HiddenSize", "PeakLR", "Optimizer"])))
    points, optimizers = sorted({key[:2] for key in cells}), sorted({key[2] for key in cells})
    references = _references(quantity, rows.iloc[0], thresholds)
    with matplotlib.rc_context(STYLE):
        figure, panels = _frame(len(optimizers), len(points), rows, title)
        _scale(panels[0, 0], rows, quantity, references)
        for optimizer, line in zip(optimizers, panels, strict=True):
            line[0].set_ylabel(f"Optimizer {optimizer}\n{quantity.column}")
            for point, axes in zip(points, line, strict=True):
                cell = cells.get((*point, optimizer), rows[:0])  # empty where nothing was run
                _panel(axes, cell, arm_colours(rows), references)
            _label(line[-1], references)
        for (hidden_size, peak_lr), top, bottom in zip(points, panels[0], panels[-1], strict=True):
            second = f"\nPeakLR {peak_lr:g}" * (rows["PeakLR"].nunique() > 1)
            top.set_title(f"HiddenSize {hidden_size}{second}")
            bottom.set_xlabel("Step (square-root scale)")
    return figure


def save(figure: Figure, file: str | Path | BinaryIO, format: str, dpi: int = 150) -> None:
    """Write svg, pdf or png; drawing the same table again gives the same bytes."""
    with matplotlib.rc_context(STYLE):
        figure.savefig(file, format=format, dpi=dpi, metadata=METADATA[format])


def arm_colours(rows: pd.DataFrame) -> dict[float, Any]:
    """A colour for each Stage2WD of a table, in their order."""
    arms = sorted(rows["Stage2WD"].dropna().unique())
    others = [arm for arm in arms if arm not in ARM_COLOURS]
    more = [*MORE_COLOURS, *matplotlib.colormaps["viridis"](np.linspace(0, 1, len(others)))]
    colours = ARM_COLOURS | dict(zip(others, more, strict=False))
    return {arm: colours[arm] for arm in arms}


def _prepared(rows: pd.DataFrame, quantity: Quantity) -> pd.DataFrame:
    """Rows in order, with Diverged (from there to the run's end) and Value (NaN where Diverged)."""
    if missing := [column for column in COLUMNS if column not in rows]:
        raise ValueError(f"results lack the columns {', '.join(missing)}")
    if rows.empty:
        raise ValueError("results hold no rows to draw")
    if unknown := sorted(set(rows["Weights"]) - set(DASHES)):
        raise ValueError(f"unknown Weights {unknown[0]!r}, allowed are {', '.join(DASHES)}")
    for column in ("N", "DataHash", "VocabSize", "Blind"):
        if len(values := sorted(rows[column].map(str).unique())) > 1:
            raise ValueError(f"results disagree in {column}: {', '.join(values)}")
    rows = rows.sort_values([*RUN, "Step"], na_position="first", ignore_index=True)
    value = rows[quantity.column].astype(float)
    broken = ~np.isfinite(rows["ValLoss"]) | (~np.isfinite(rows["Loss"]) & (rows["Step"] > 0))
    broken |= ~np.isfinite(value) | (value <= 0)  # a count of 0 is a bug, and has no logarithm
    diverged = broken.groupby([rows[column] for column in RUN], dropna=False).cummax()
    return rows.assign(Diverged=diverged, Value=value.mask(diverged))


def _references(quantity: Quantity, row: pd.Series, thresholds: Thresholds) -> dict[str, float]:
    """Heights by label; with the thresholds where runs are judged by this quantity."""
    values = {name: row[column] for name, column in quantity.references.items()}
    own = {"ValLoss": {"ln V": math.log(row["VocabSize"])}, "PDR": {"targets": 1.0}}
    values |= own.get(quantity.column, {})
    limits = np.array([thresholds.collapsed_below, thresholds.diverse_above])
    if row["Blind"]:
        shares = [thresholds.blind_collapsed_share, thresholds.blind_diverse_share]
        limits = np.array(shares) * row["TrigramPDR"]
    if quantity.column == ("PDR" if row["Blind"] else "UniquePredictions"):
        values |= zip(("collapsed <", "diverse >"), limits, strict=True)
    return {f"{name} {v:{quantity.digits}}": v for name, v in values.items() if math.isfinite(v)}


def _frame(height: int, width: int, rows: pd.DataFrame, title: str) -> tuple[Figure, np.ndarray]:
    """Empty panels (height, width) under title and legend, above the footer that gives N."""
    handles = _legend(rows)
    across = LEFT + width * PANEL[0] + (width - 1) * GAP[0] + RIGHT
    ncols = max(2, int(across / 1.5))
    lines = bool(title) * 1.4 + math.ceil(len(handles) / ncols) + (rows["PeakLR"].nunique() > 1)
    head = LINE * (2.4 + lines)
    down = BOTTOM + height * PANEL[1] + (height - 1) * GAP[1] + head
    figure = Figure(figsize=(across, down))
    grid = {"left": LEFT / across, "right": 1 - RIGHT / across, "wspace": GAP[0] / PANEL[0]}
    grid |= {"bottom": BOTTOM / down, "top": 1 - head / down, "hspace": GAP[1] / PANEL[1]}
    shared = {"sharex": True, "sharey": True, "squeeze": False}
    panels = figure.subplots(height, width, gridspec_kw=grid, **shared)
    figure.suptitle(title, y=1 - 0.4 * LINE / down, va="top")
    top = 1 - bool(title) * 1.4 * LINE / down
    figure.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, top), ncols=ncols)
    footer = "N = {N:,} held-out positions, data {DataHash:.8}".format(**rows.iloc[0])
    figure.text(1 - 0.06 / across, 0.06 / down, footer, ha="right", va="bottom", **NOTE)
    return figure, panels


def _legend(rows: pd.DataFrame) -> list:
    """What colours (patches) and lines mean."""
    colours = {f"Stage2WD {arm:g}": colour for arm, colour in arm_colours(rows).items()}
    colours["before the switch"] = TRUNK_COLOUR
    lines: dict[str, dict] = {}
    for weights in [weights for weights in DASHES if weights in set(rows["Weights"])]:
        lines[f"Weights {weights}"] = {"linestyle": DASHES[weights], "linewidth": 1.5}
    if rows["Seed"].nunique() > 1:
        lines["a seed (thick: mean)"] = SEED
    lines |= {"diverged": {"linestyle": "", "marker": "x"}} if rows["Diverged"].any() else {}
    patches = [Patch(color=colour, label=label) for label, colour in colours.items()]
    return patches + [Line2D([], [], color=TRUNK_COLOUR, label=k, **v) for k, v in lines.items()]


def _scale(axes: Axes, rows: pd.DataFrame, quantity: Quantity, references: dict) -> None:
    """Axes of all panels: all references in sight, room for the word 'switch' at the top."""
    most = math.inf if quantity.log else HIGHEST_LOSS * math.log(rows["VocabSize"].iloc[0])
    ends = np.array([*rows["Value"].dropna().clip(upper=most), *references.values()])
    ends = np.log(ends) if quantity.log else ends
    low, high = ends.min(), ends.max()
    limits = np.array([1.05 * low - 0.05 * high, 1.14 * high - 0.14 * low])
    if quantity.log:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.set_ylim(*(np.exp(limits) if quantity.log else limits))
    # Square root: the dip of the first few hundred steps shows, and so does all of stage 2.
    axes.set_xscale("function", functions=(np.sqrt, np.square))
    axes.set_xlim(0, rows["Step"].max())
    axes.set_xticks(rows["Step"].max() * np.array(STEP_TICKS))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:.3g}k" if x >= 1000 else f"{x:.3g}")


def _panel(axes: Axes, rows: pd.DataFrame, colours: dict, references: dict) -> None:
    """References, the switch, and of each Weights the trunk once and its arms from there."""
    for value in references.values():
        axes.axhline(value, **REFERENCE)
    if rows.empty:
        axes.text(0.5, 0.5, "no runs", ha="center", transform=axes.transAxes, **NOTE)
    for step in rows["SwitchStep"].unique():
        axes.axvline(step, color=NOTE["color"], linewidth=0.6, zorder=1)
        side = "left" if step < 0.6 * axes.get_xlim()[1] else "right"
        place = {"transform": axes.get_xaxis_transform(), "va": "top"}
        axes.text(step, 1, " switch ", ha=side, **place, **NOTE)
    for rank, (weights, dashes) in enumerate(DASHES.items()):
        twin = rows[rows["Weights"] == weights]
        trunk = twin[twin["Step"] <= twin["SwitchStep"]].drop_duplicates(["Seed", "Step"])
        width = WIDEST * THINNER**rank
        look = {"linestyle": dashes, "gapcolor": "white" if rank else None}
        _curves(axes, trunk, f"trunk {weights}", width, look | {"color": TRUNK_COLOUR})
        for arm, colour in colours.items():
            branch = twin[(twin["Stage2WD"] == arm) & (twin["Step"] >= twin["SwitchStep"])]
            _curves(axes, branch, f"wd{arm:g} {weights}", width, look | {"color": colour})
            width *= THINNER


def _curves(axes: Axes, rows: pd.DataFrame, name: str, width: float, look: dict) -> None:
    """A thin line a seed, with a cross where one diverged, and a thick one for their mean."""
    for seed, run in rows.groupby("Seed"):
        values = run.set_index("Step")["Value"].dropna()
        axes.plot(values, label=f"{name} seed{seed}", **look | SEED)
        if run["Diverged"].any() and len(values):
            end = {"linestyle": "", "marker": "x", "markersize": 5, "zorder": 3}
            axes.plot(values.tail(1), label=f"{name} seed{seed} diverged", **look | end)
    sound = rows[~rows.groupby("Seed")["Diverged"].transform("any")]
    if len(sound):
        values = sound.pivot(index="Step", columns="Seed", values="Value").dropna()
        mean = gmean(values, axis=1) if axes.get_yscale() == "log" else values.mean(axis=1)
        axes.plot(values.index, mean, label=f"{name} mean", linewidth=width, **look)


def _label(axes: Axes, references: dict) -> None:
    """Names of the references beside a panel, moved apart where they would overlap."""
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = {label: to_axes.transform((0, value))[1] for label, value in references.items()}
    free = math.inf
    for label, height in sorted(heights.items(), key=lambda item: -item[1]):
        free = min(free - LABEL_GAP, height)
        axes.annotate(label, (1, height), (1.06, free), **BESIDE, **NOTE)
