"""Phase diagram: heat maps of states in the plane of PeakLR and Stage1WD.

A row of panels is a HiddenSize, Optimizer and Weights; its columns are the switch and the end of
each arm. A cell's colour is the commonest state of its seeds (k/n: seeds in that state). Its number
is their distinct predictions: mean of the last evaluations, geometric mean over seeds.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from bitnet.config.run_names import BASE, spell_number
from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.states import STATES
from bitnet.figures.rows import SWITCH, commonest, end_with, ends, middle
from bitnet.figures.style import BLUE, ORANGE, PURPLE, SKY, VERMILION, Page, arm_colours

STATE_COLOURS = {
    "invalid": PURPLE,
    "diverged": "#000000",
    "untrained": "#999999",
    "temporary": ORANGE,
    "collapsed": VERMILION,
    "diverse": BLUE,
    "recovering": SKY,
}
ON_DARK = ("diverged", "collapsed", "diverse")  # colours with white text
CELL = (0.48, 0.36)  # inches
ROW = ["HiddenSize", "Optimizer", "Weights"]


def draw(rows: pd.DataFrame, thresholds: Thresholds, title: str) -> Figure:
    """The figure. rows must be `prepared`; thresholds decide the states."""
    rows = rows[rows["Variant"] == BASE]
    runs, columns = ends(rows, thresholds), [*map(end_with, arm_colours(rows))]
    columns = [SWITCH, *columns] if SWITCH in set(runs["When"]) else columns
    rates, decays = (sorted(runs[column].unique()) for column in ("PeakLR", "Stage1WD"))
    lines = dict(list(runs.groupby(ROW)))
    page = Page(panel=(CELL[0] * len(rates), CELL[1] * len(decays)), left=1.25, right=0.3)
    found = set(runs["State"])
    handles = [Patch(color=c, label=name) for name, c in STATE_COLOURS.items() if name in found]
    handles.append(Patch(alpha=0, label="number: UniquePredictions"))
    if runs["Seed"].nunique() > 1:
        handles.append(Patch(alpha=0, label="k/n: seeds in that state"))
    shared = {"sharex": True, "sharey": True}
    figure, panels = page.frame((len(lines), len(columns)), rows, title, handles, **shared)
    for (key, of_row), line in zip(lines.items(), panels, strict=True):
        size, *rest = key
        line[0].set_ylabel("\n".join([f"HiddenSize {size}", *rest, "", "Stage1WD"]))
        for when, axes in zip(columns, line, strict=True):
            _map(axes, of_row[of_row["When"] == when], rates, decays)
    for when, top, bottom in zip(columns, panels[0], panels[-1], strict=True):
        top.set_title(when)
        bottom.set_xlabel("PeakLR")
    return figure


def _map(axes: Axes, runs: pd.DataFrame, rates: list[float], decays: list[float]) -> None:
    """Draw a panel with a cell per PeakLR (across) and Stage1WD (upwards); blank without runs."""
    colours = np.full((len(decays), len(rates)), np.nan)
    for (decay, rate), cell in runs.groupby(["Stage1WD", "PeakLR"]):
        name, count = commonest(cell["State"]), middle(cell)
        y, x = decays.index(decay), rates.index(rate)
        colours[y, x] = STATES.index(name)
        text = f"{count:,.0f}" if count >= 10 else f"{count:.2g}"
        text = "-" if name == "diverged" else text  # its counts are of rounding
        if len(cell) > 1:
            text += f"\n{list(cell['State']).count(name)}/{len(cell)}"
        look = {"ha": "center", "va": "center", "fontsize": 7.5}
        axes.text(x + 0.5, y + 0.5, text, color="white" if name in ON_DARK else "black", **look)
    palette = ListedColormap([STATE_COLOURS[name] for name in STATES])
    axes.pcolormesh(
        colours, cmap=palette, vmin=-0.5, vmax=len(STATES) - 0.5, edgecolor="white", linewidth=1
    )
    axes.set_xticks(np.arange(len(rates)) + 0.5, map(spell_number, rates))
    axes.set_yticks(np.arange(len(decays)) + 0.5, map(spell_number, decays))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
