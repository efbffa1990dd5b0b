"""Figure of scaling: distinct predictions at the switch and at the end, by HiddenSize.

A panel is an optimizer. Values are means of the last evaluations; a dot is a seed, a line joins
their geometric means, and the shape of a marker is the commonest state. The runs are those of the
study's own protocol; series are shifted a little, so that equal ones stay visible.
"""

import itertools

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from bitnet.config.thresholds import Thresholds
from bitnet.figures.rows import (
    COUNT_MODELS,
    SWITCH,
    commonest,
    end_with,
    ends,
    labelled,
    limits,
    middle,
    own_protocol,
)
from bitnet.figures.style import (
    DASHES,
    REFERENCE,
    TRUNK_COLOUR,
    Page,
    arm_colours,
    few_ticks,
    label,
)

PAGE = Page(panel=(2.6, 2.3))
MARKERS = {
    "invalid": "*",
    "diverged": "X",
    "untrained": "P",
    "temporary": "s",
    "collapsed": "v",
    "diverse": "^",
    "recovering": "D",
}
BESIDE = 0.06  # octaves between two series


def draw(rows: pd.DataFrame, thresholds: Thresholds, title: str) -> Figure:
    """The figure. rows must be `prepared`; thresholds decide the states and are drawn as lines."""
    rows = own_protocol(rows)
    runs, row = ends(rows, thresholds), rows.iloc[0]
    colours = {end_with(arm): colour for arm, colour in arm_colours(rows).items()}
    colours = {SWITCH: TRUNK_COLOUR, **colours} if SWITCH in set(runs["When"]) else colours
    heights = {name: row[column] for name, column in COUNT_MODELS.items()}
    heights = labelled(heights | limits(row, "UniquePredictions", thresholds), ",g")
    optimizers, sizes = sorted(runs["Optimizer"].unique()), sorted(runs["HiddenSize"].unique())
    shape, handles = (1, len(optimizers)), _legend(runs, colours)
    figure, panels = PAGE.frame(shape, rows, title, handles, sharex=True, sharey=True)
    _scale(panels[0, 0], sizes)
    for optimizer, axes in zip(optimizers, panels[0], strict=True):
        for height in heights.values():
            axes.axhline(height, **REFERENCE)
        _series(axes, runs[runs["Optimizer"] == optimizer], colours)
        axes.set_title(f"Optimizer {optimizer}")
        axes.set_xlabel("HiddenSize (log scale)")
    panels[0, 0].set_ylabel("UniquePredictions")
    few_ticks(panels[0, 0])
    label(panels[0, -1], heights)
    return figure


def _series(axes: Axes, runs: pd.DataFrame, colours: dict) -> None:
    """Draw dots of seeds, a line through their means and markers of states, for each series."""
    series = list(itertools.product(DASHES, colours))
    for rank, (weights, when) in enumerate(series):
        own = runs[(runs["Weights"] == weights) & (runs["When"] == when)]
        name, colour = f"{when} {weights}", colours[when]
        shift = 2 ** (BESIDE * (rank - (len(series) - 1) / 2))
        sizes = dict(list(own.groupby("HiddenSize")))
        means = {size * shift: middle(seeds) for size, seeds in sizes.items()}
        look = {"color": colour, "linestyle": DASHES[weights], "linewidth": 1}
        axes.plot(list(means), list(means.values()), label=f"{name} mean", **look)
        look = {"color": colour, "linestyle": "", "markersize": 2, "alpha": 0.5}
        axes.plot(own["HiddenSize"] * shift, own["UniquePredictions"], ".", label=name, **look)
        for (x, y), seeds in zip(means.items(), sizes.values(), strict=True):
            found = commonest(seeds["State"])
            look = {"color": colour, "markersize": 6, "markeredgecolor": "white"}
            axes.plot(x, y, MARKERS[found], label=f"{name} {found}", markeredgewidth=0.5, **look)


def _scale(axes: Axes, sizes: list[int]) -> None:
    axes.set_yscale("log")
    axes.set_xscale("log", base=2)
    axes.set_xlim(sizes[0] / 2**0.5, sizes[-1] * 2**0.5)
    axes.set_xticks(sizes, map(str, sizes))
    axes.xaxis.minorticks_off()


def _legend(runs: pd.DataFrame, colours: dict) -> list:
    """Legend handles of the colours (patches), lines and markers in use."""
    patches = [Patch(color=colour, label=when) for when, colour in colours.items()]
    lines: dict[str, dict] = {
        f"Weights {weights}": {"linestyle": dashes}
        for weights, dashes in DASHES.items()
        if weights in set(runs["Weights"])
    }
    if runs["Seed"].nunique() > 1:
        lines["a seed"] = {"linestyle": "", "marker": ".", "markersize": 3}
    for name, marker in MARKERS.items():
        if name in set(runs["State"]):
            lines[name] = {"linestyle": "", "marker": marker}
    return patches + [Line2D([], [], color=TRUNK_COLOUR, label=k, **v) for k, v in lines.items()]
