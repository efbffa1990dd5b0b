"""Figure of the mechanism of collapse: norms, gradients, decay and code changes over the steps.

Panels have a column per optimizer and kind of weights, and a row per quantity. Coupled L2 adds WD x
weight to the gradient that Adam then normalises, so its effect depends on the ratio WD x norm /
gradient norm. The ratio compares lengths: a gradient is mostly noise, which averages out over steps
while decay does not, so decay can dominate well below 1. Gradients are taken before clipping. If an
optimizer's decay does not enter the gradient, the ratio is what coupling would have added.

The runs are those of the study's own protocol at its smallest size.
"""

from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bitnet.config.thresholds import Thresholds
from bitnet.figures import curves
from bitnet.figures.rows import RUN, labelled, limits, own_protocol
from bitnet.figures.style import DASHES, NOTE, REFERENCE, Page, arm_colours, few_ticks, label

PAGE = Page(panel=(1.3, 0.8), gap=(0.2, 0.16), left=2.05, bottom=0.6)
LABEL_LEFT = -0.34  # of a panel's width: left of the widest numbers
COUPLED = {  # parts whose gradient contains the decay
    "adam": ("embed", "linear"),
    "adam-matrices": ("linear",),
    "adam-embedding": ("embed",),
    "adam-matrices-embedding": ("embed", "linear"),
    "adam-matrices-gains": ("linear",),
    "adam-embedding-gains": ("embed",),
}


@dataclass(frozen=True)
class Quantity:
    """A row of panels: its label, its values, its axis."""

    label: str
    values: Callable[[pd.DataFrame], pd.Series]
    log: bool = True
    one: str = ""  # label of a line at 1, if there is one
    decays: str = ""  # part of the model whose ratio of decay to gradient is shown


def _relative(name: str) -> Callable[[pd.DataFrame], pd.Series]:
    """A column as a multiple of its value at step 0."""
    return lambda rows: rows[name] / rows.groupby(RUN, dropna=False)[name].transform("first")


def _embed_ratio(rows: pd.DataFrame) -> pd.Series:
    head = 0.0 if _tied(rows) else rows["HeadNorm"]  # a tied head is the embedding: not twice
    return rows["WD"] * np.hypot(rows["EmbedNorm"], head) / rows["EmbedGradNorm"]


def _linear_ratio(rows: pd.DataFrame) -> pd.Series:
    return rows["WD"] * rows["WeightNorm"] / rows["LinearGradNorm"]


def _tied(rows: pd.DataFrame) -> bool:
    return rows["HeadNorm"].equals(rows["EmbedNorm"])  # NaN, of a diverged run, equals NaN


BALANCE, REPLACED = "decay =\ngradient", "a step =\na weight"  # labels of the line at 1
HEAD = Quantity("norm of the head\n(1 = at step 0)", _relative("HeadNorm"))
COUNT = Quantity("distinct predictions", itemgetter("UniquePredictions"))
QUANTITIES = (
    Quantity("norm of the embedding\n(1 = at step 0)", _relative("EmbedNorm")),
    HEAD,
    Quantity("norm of the linear layers\n(1 = at step 0)", _relative("WeightNorm")),
    Quantity("RMSNorm gains\n(root mean square)", itemgetter("Gain")),
    Quantity("embedding: WD × norm\n/ gradient norm", _embed_ratio, True, BALANCE, "embed"),
    Quantity("linear layers: WD × norm\n/ gradient norm", _linear_ratio, True, BALANCE, "linear"),
    Quantity("effective LR\n(LR / mean |weight|)", itemgetter("EffectiveLR"), True, REPLACED),
    Quantity("ternary values changed\n(share in 100 steps)", itemgetter("FlipRate"), False),
    Quantity("ternary values at 0\n(share)", itemgetter("ZeroShare"), False),
    Quantity("weights near rounding to\nanother value (share)", itemgetter("NearThreshold"), False),
    Quantity("cosine of hidden states\nof two positions (mean)", itemgetter("HiddenCosine"), False),
    COUNT,
)


def draw(rows: pd.DataFrame, thresholds: Thresholds, title: str) -> Figure:
    """The figure. rows must be `prepared`; thresholds are those shown for counts."""
    sizes = sorted(rows["HiddenSize"].unique())
    if len(sizes) > 1:
        title = f"{title}, HiddenSize {sizes[0]} (the smallest)".removeprefix(", ")
    rows = own_protocol(rows[rows["HiddenSize"] == sizes[0]])
    quantities = [q for q in QUANTITIES if q is not HEAD or not _tied(rows)]
    cells = dict(list(rows.groupby(["Optimizer", "Weights"])))
    columns = sorted(cells, key=lambda cell: (cell[0], list(DASHES).index(cell[1])))
    switch = Line2D([], [], color=NOTE["color"], linestyle="", marker="|", label="switch")
    handles, shape = [*curves.legend(rows), switch], (len(quantities), len(columns))
    figure, panels = PAGE.frame(shape, rows, title, handles, 2, sharex=True, sharey="row")
    curves.step_axis(panels[0, 0], curves.last_step(rows))
    for quantity, line in zip(quantities, panels, strict=True):
        line[0].set_yscale("log" if quantity.log else "linear")
        line[0].set_ylabel(quantity.label, rotation=0, ha="right", va="center")
        line[0].yaxis.set_label_coords(LABEL_LEFT, 0.5)
        heights = {quantity.one: 1.0} if quantity.one else {}
        if quantity is COUNT:
            heights = labelled(limits(rows.iloc[0], "UniquePredictions", thresholds), ",g")
        for column, axes in zip(columns, line, strict=True):
            _panel(axes, cells[column], quantity, arm_colours(rows), heights)
        few_ticks(line[0])
        label(line[-1], heights)
    for column, top, bottom in zip(columns, panels[0], panels[-1], strict=True):
        top.set_title("\n".join(column))
        bottom.set_xlabel(curves.STEP_LABEL)
    return figure


def _panel(axes: Axes, rows: pd.DataFrame, quantity: Quantity, colours: dict, heights) -> None:
    for height in heights.values():
        axes.axhline(height, **REFERENCE)
    rows = rows.assign(Shown=quantity.values(rows))
    curves.panel(axes, rows, "Shown", colours)
    note = {"transform": axes.transAxes, **NOTE}
    if not np.isfinite(rows["Shown"]).any():
        axes.text(0.03, 0.05, "none", **note)
    elif quantity.decays and quantity.decays not in COUPLED.get(rows["Optimizer"].iloc[0], ()):
        axes.text(0.03, 0.05, "not in the gradient", **note)
