"""The three figures of a study: distinct predictions, validation loss, diversity ratio.

Pure functions from one table (all runs' CSVs concatenated) to matplotlib figures. A column of
panels is a HiddenSize (and PeakLR, where it varies), a row an Optimizer. Colour tells the arms
apart and means the same in every figure; full-precision twins are dashed; the trunk, which the
arms share, is drawn once. Seeds are thin, their mean (of logarithms on a log axis) is thick. As in
the verdict, a run that diverged is left out of the mean: its thin line ends in a cross.

    figure = FIGURES["loss"](rows, Thresholds(), "wd_fix")
    save(figure, "loss.svg", "svg")
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, NullLocator

from bitnet.states import Thresholds

STYLE: dict[str, Any] = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.labelsize": 8,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "legend.fontsize": 7.5,
    "legend.frameon": False,
    "figure.titlesize": 9,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "bitnet",  # ids that are the same in every drawing
}
# Inches: a panel, the gaps between panels, and the labels around them.
PANEL, GAP = (1.6, 1.35), (0.15, 0.2)
LEFT, RIGHT, BOTTOM, LINE = 0.75, 1.05, 0.6, 0.16
# Okabe & Ito (2008). The two arms under test keep their colour in every study.
ARM_COLOURS = {0.0: "#0072B2", 0.05: "#D55E00"}
MORE_COLOURS = ("#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
TRUNK_COLOURS = {"ternary": "#000000", "full_precision": "#808080"}
DASHES = {"ternary": "-", "full_precision": (0, (3, 1.2))}
SEED, MEAN = {"linewidth": 0.5, "alpha": 0.4}, {"linewidth": 1.5}
REFERENCE = {"color": "#999999", "linewidth": 0.6, "linestyle": (0, (1, 1.5)), "zorder": 1}
NOTE = {"fontsize": 7, "color": "#555555"}
STEP_TICKS = (0, 0.05, 0.25, 0.5, 1)  # of the last step
LABEL_GAP = 0.115 / PANEL[1]  # between the labels of two references, of a panel's height
HIGHEST_LOSS = 1.5  # times ln V: how far a diverging run may stretch the axis
METADATA = {"svg": {"Date": None}, "pdf": {"CreationDate": None}, "png": {}}  # by format

Reference = tuple[str, float]


@dataclass(frozen=True)
class Quantity:
    """What one figure shows: a column, its axis, and what to compare it with."""

    column: str
    log: bool
    references: Callable[[pd.Series, Thresholds], list[Reference]]

    def mean(self, values: pd.DataFrame) -> pd.Series:
        """Mean of each row, of logarithms on a log axis."""
        return np.exp(np.log(values).mean(axis=1)) if self.log else values.mean(axis=1)


def _count_references(row: pd.Series, thresholds: Thresholds) -> list[Reference]:
    counts = [
        ("UniqueTargets", row["UniqueTargets"]),
        ("trigram", row["TrigramUniquePredictions"]),
        ("bigram", row["BigramUniquePredictions"]),
    ]
    references = [(f"{name} {count:,.0f}", count) for name, count in counts]
    if not row["Blind"]:
        low, high = thresholds.collapsed_below, thresholds.diverse_above
        references += [(f"diverse > {high:g}", high), (f"collapsed < {low:g}", low)]
    return references


def _loss_references(row: pd.Series, thresholds: Thresholds) -> list[Reference]:
    losses = {"ln V": math.log(row["VocabSize"]), "unigram": row["UnigramLoss"]}
    losses |= {"bigram": row["BigramLoss"], "trigram": row["TrigramLoss"]}
    return [(f"{name} {value:.2f}", value) for name, value in losses.items()]


def _pdr_references(row: pd.Series, thresholds: Thresholds) -> list[Reference]:
    trigram = row["TrigramPDR"]
    references = [("targets 1", 1.0), (f"trigram {trigram:.2f}", trigram)]
    if row["Blind"]:
        low = thresholds.blind_collapsed_share * trigram
        high = thresholds.blind_diverse_share * trigram
        references += [(f"diverse > {high:.2g}", high), (f"collapsed < {low:.2g}", low)]
    return references


def unique_predictions(rows: pd.DataFrame, thresholds: Thresholds, title: str = "") -> Figure:
    """Distinct predictions at the probe; without thresholds where the corpus is blind."""
    return _figure(
        rows, Quantity("UniquePredictions", True, _count_references), thresholds, title
    )


def loss(rows: pd.DataFrame, thresholds: Thresholds, title: str = "") -> Figure:
    """Validation loss at the probe, nats."""
    return _figure(rows, Quantity("ValLoss", False, _loss_references), thresholds, title)


def pdr(rows: pd.DataFrame, thresholds: Thresholds, title: str = "") -> Figure:
    """Prediction diversity ratio; with thresholds where the corpus is blind."""
    return _figure(rows, Quantity("PDR", True, _pdr_references), thresholds, title)


FIGURES = {"unique_predictions": unique_predictions, "loss": loss, "pdr": pdr}


def save(figure: Figure, file: str | Path | IO[bytes], format: str, dpi: int = 150) -> None:
    """Write svg, pdf or png; the same figure gives the same bytes every time."""
    with matplotlib.rc_context(STYLE):
        figure.savefig(file, format=format, dpi=dpi, metadata=METADATA[format])


def arm_colours(rows: pd.DataFrame) -> dict[float, Any]:
    """A colour for each Stage2WD of a table, in their order."""
    arms = sorted(rows["Stage2WD"].dropna().unique())
    others = [arm for arm in arms if arm not in ARM_COLOURS]
    more: Any = MORE_COLOURS
    if len(others) > len(more):
        more = matplotlib.colormaps["viridis"](np.linspace(0, 0.95, len(others)))
    colours = ARM_COLOURS | dict(zip(others, more, strict=False))
    return {arm: colours[arm] for arm in arms}


def _frame(
    height: int, width: int, rows: pd.DataFrame, title: str
) -> tuple[Figure, np.ndarray]:
    """Empty panels (height, width) under title and legend, above the footer that gives N."""
    handles = _legend(rows)
    columns = LEFT + width * PANEL[0] + (width - 1) * GAP[0] + RIGHT
    ncols = max(2, int(columns / 1.35))
    head = LINE * (2.4 + bool(title) * 1.4 + math.ceil(len(handles) / ncols))
    total = BOTTOM + height * PANEL[1] + (height - 1) * GAP[1] + head
    figure = Figure(figsize=(columns, total))
    FigureCanvasAgg(figure)
    panels = figure.subplots(height, width, sharex=True, sharey=True, squeeze=False)
    figure.subplots_adjust(
        left=LEFT / columns,
        right=1 - RIGHT / columns,
        bottom=BOTTOM / total,
        top=1 - head / total,
        wspace=GAP[0] / PANEL[0],
        hspace=GAP[1] / PANEL[1],
    )
    figure.suptitle(title, y=1 - 0.4 * LINE / total, va="top")
    top = 1 - bool(title) * 1.4 * LINE / total
    figure.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, top), ncols=ncols)
    row = rows.iloc[0]
    footer = f"N = {row['N']:,} held-out positions, data {row['DataHash'][:8]}"
    figure.text(1 - 0.06 / columns, 0.06 / total, footer, ha="right", va="bottom", **NOTE)
    return figure, panels


def _legend(rows: pd.DataFrame) -> list[Artist]:
    """What colours (patches) and lines mean."""
    handles: list[Artist] = [
        Patch(color=colour, label=f"Stage2WD {arm:g}") for arm, colour in arm_colours(rows).items()
    ]
    handles.append(Patch(color=TRUNK_COLOURS["ternary"], label="before the switch"))
    for weights in sorted(rows["Weights"].unique(), reverse=True):
        look = {"color": TRUNK_COLOURS["ternary"], "linestyle": DASHES[weights]}
        handles.append(Line2D([], [], label=weights.replace("_", " "), **look, **MEAN))
    if (seeds := rows["Seed"].nunique()) > 1:
        handles.append(Line2D([], [], color="black", label=f"each of {seeds} seeds", **SEED))
    if rows["Diverged"].any():
        handles.append(Line2D([], [], color="black", ls="", marker="x", label="diverged"))
    return handles


def _figure(rows: pd.DataFrame, quantity: Quantity, thresholds: Thresholds, title: str) -> Figure:
    rows = _prepared(rows, quantity)
    columns = sorted(set(zip(rows["HiddenSize"], rows["PeakLR"], strict=True)))
    optimizers = sorted(rows["Optimizer"].unique())
    references = [r for r in quantity.references(rows.iloc[0], thresholds) if math.isfinite(r[1])]
    with matplotlib.rc_context(STYLE):
        figure, panels = _frame(len(optimizers), len(columns), rows, title)
        _scale(panels[0, 0], rows, quantity, references)
        for optimizer, line in zip(optimizers, panels, strict=True):
            line[0].set_ylabel(f"Optimizer {optimizer}\n{quantity.column}")
            for (hidden_size, peak_lr), axes in zip(columns, line, strict=True):
                chosen = (rows["HiddenSize"] == hidden_size) & (rows["PeakLR"] == peak_lr)
                chosen &= rows["Optimizer"] == optimizer
                _panel(axes, rows[chosen], quantity, arm_colours(rows), references)
            _label(line[-1], references)
        for (hidden_size, peak_lr), top, bottom in zip(columns, panels[0], panels[-1], strict=True):
            varies = rows["PeakLR"].nunique() > 1
            top.set_title(f"HiddenSize {hidden_size}" + f"\nPeakLR {peak_lr:g}" * varies)
            bottom.set_xlabel("Step (square-root scale)")
    return figure


def _prepared(rows: pd.DataFrame, quantity: Quantity) -> pd.DataFrame:
    """Rows in order, with Value (NaN once the run has diverged) and Diverged (once it has)."""
    if rows.empty:
        raise ValueError("results hold no rows to draw")
    for column in ("N", "DataHash", "VocabSize"):
        if len(values := sorted(rows[column].map(str).unique())) > 1:
            raise ValueError(f"results disagree in {column}: {', '.join(values)}")
    run = ["HiddenSize", "PeakLR", "Optimizer", "Weights", "Seed", "Stage2WD"]
    rows = rows.sort_values([*run, "Step"], na_position="first", ignore_index=True)
    value = rows[quantity.column].astype(float)
    broken = ~np.isfinite(rows["ValLoss"]) | (~np.isfinite(rows["Loss"]) & (rows["Step"] > 0))
    broken |= ~np.isfinite(value) | (value <= 0)  # a count of 0 is a bug, and has no logarithm
    gone = broken.groupby([rows[column] for column in run], dropna=False).cummax()
    return rows.assign(Diverged=gone, Value=value.mask(gone))


def _scale(
    axes: Axes, rows: pd.DataFrame, quantity: Quantity, references: list[Reference]
) -> None:
    """Axes for all panels: room at the top for the word 'switch', every reference in sight."""
    values = rows["Value"].dropna()
    if not quantity.log:
        values = values.clip(upper=HIGHEST_LOSS * math.log(rows["VocabSize"].iloc[0]))
    ends = np.array([*values.agg(["min", "max"]), *(value for _, value in references)])
    ends = np.log(ends) if quantity.log else ends
    low, high = np.nanmin(ends), np.nanmax(ends)
    limits = low - 0.05 * (high - low), high + 0.14 * (high - low)
    if quantity.log:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.set_ylim(*(np.exp(limits) if quantity.log else limits))
    last = rows["Step"].max()
    axes.set_xscale("function", functions=(np.sqrt, np.square))
    axes.set_xlim(0, last)
    axes.set_xticks([last * share for share in STEP_TICKS])
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: _thousands(step)))


def _thousands(step: float) -> str:
    return f"{step / 1000:g}k" if step >= 1000 else f"{step:g}"


def _panel(
    axes: Axes,
    rows: pd.DataFrame,
    quantity: Quantity,
    colours: dict[float, Any],
    references: list[Reference],
) -> None:
    for _, value in references:
        axes.axhline(value, **REFERENCE)
    if rows.empty:
        axes.text(0.5, 0.5, "no runs", ha="center", transform=axes.transAxes, **NOTE)
    for step in rows["SwitchStep"].unique():
        axes.axvline(step, color="#555555", linewidth=0.6, zorder=1)
        side = "left" if step < 0.6 * axes.get_xlim()[1] else "right"
        place = axes.get_xaxis_transform()
        axes.text(step, 1, " switch ", ha=side, va="top", transform=place, **NOTE)
    for weights in sorted(rows["Weights"].unique()):
        twin = rows[rows["Weights"] == weights]
        trunk = twin[twin["Step"] <= twin["SwitchStep"]].drop_duplicates(["Seed", "Step"])
        _curves(axes, trunk, quantity, f"trunk {weights}", TRUNK_COLOURS[weights], weights)
        for arm, colour in colours.items():
            branch = twin[(twin["Stage2WD"] == arm) & (twin["Step"] >= twin["SwitchStep"])]
            _curves(axes, branch, quantity, f"wd{arm:g} {weights}", colour, weights)


def _curves(
    axes: Axes, rows: pd.DataFrame, quantity: Quantity, name: str, colour: Any, weights: str
) -> None:
    """A thin line a seed, a cross where one ends in NaN, and a thick line for their mean."""
    look = {"color": colour, "linestyle": DASHES[weights]}
    for seed, run in rows.groupby("Seed"):
        sound = run.dropna(subset="Value")
        axes.plot(sound["Step"], sound["Value"], label=f"{name} seed{seed}", **look, **SEED)
        if run["Diverged"].any() and len(sound):
            end = sound.iloc[-1]
            axes.plot(end["Step"], end["Value"], "x", color=colour, markersize=5, label=f"{name} x")
    sound = rows[~rows.groupby("Seed")["Diverged"].transform("any")]
    if len(sound):
        mean = quantity.mean(sound.pivot(index="Step", columns="Seed", values="Value").dropna())
        axes.plot(mean.index, mean, label=f"{name} mean", **look, **MEAN)


def _label(axes: Axes, references: list[Reference]) -> None:
    """Names of the references beside a panel, moved apart where they would overlap."""
    to_axes = axes.transData + axes.transAxes.inverted()
    heights = [to_axes.transform((0, value))[1] for _, value in references]
    free = math.inf
    for index in np.argsort(heights)[::-1]:
        free = min(free - LABEL_GAP, heights[index])
        axes.annotate(
            references[index][0],
            (1, heights[index]),
            (1.06, free),
            xycoords="axes fraction",
            va="center",
            arrowprops={"arrowstyle": "-", "color": REFERENCE["color"], "linewidth": 0.5},
            **NOTE,
        )


