"""Figures of the sanity experiments: losses over the steps, histograms of latent weights."""

from collections.abc import Mapping

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bitnet.evaluation.weight_histograms import EDGES, PARTS
from bitnet.figures.style import BLUE, DASHES, NOTE, REFERENCE, STYLE, VERMILION

PANEL = (2.6, 2.1)  # inches
TEXT = 0.75  # inches above and below panels
COLOURS = {"ternary": BLUE, "full_precision": VERMILION}
THRESHOLD = 0.5  # |w| / mean|w| where a weight's ternary code changes


def losses(
    curves: Mapping[str, Mapping[str, tuple]], levels: Mapping[str, Mapping[str, float]], title: str
) -> Figure:
    """Figure of losses over steps, with one panel per quantity.

    curves: for each panel, by run name, (weights, steps, losses in nats or bits). levels: for each
    panel, reference values by name, drawn as horizontal lines.
    """
    with matplotlib.rc_context(STYLE):
        figure, panels = _frame((1, len(curves)), title)
        for axes, (quantity, runs) in zip(panels[0], curves.items(), strict=True):
            for name, (weights, steps, values) in runs.items():
                look = {"color": COLOURS[weights], "linestyle": DASHES[weights], "label": name}
                axes.plot(steps, values, linewidth=1.2, **look)
            for name, height in levels.get(quantity, {}).items():
                axes.axhline(height, **REFERENCE)
                axes.annotate(name, (1, height), xycoords=("axes fraction", "data"), **_BESIDE)
            axes.set_title(quantity)
            axes.set_xlabel("Step")
            axes.set_ylim(bottom=0)
        panels[0][0].legend(fontsize=6.5)
        return figure


def histograms(found: Mapping[str, Mapping[str, Mapping]], title: str) -> Figure:
    """Histograms of latent weights, one row per run and one panel per part of the layers.

    Each panel also states the shares of the codes -1, 0 and 1. found: by run name, the result of
    `bitnet.evaluation.weight_histograms.latent_weights`.
    """
    with matplotlib.rc_context(STYLE):
        figure, panels = _frame((len(found), len(PARTS)), title)
        for row, (name, parts) in zip(panels, found.items(), strict=True):
            for axes, part in zip(row, PARTS, strict=True):
                _histogram(axes, parts[part])
                axes.set_title(f"{name}: {part.replace('_', ' ')}", fontsize=7)
        for axes in panels[-1]:
            axes.set_xlabel("latent weight / mean |weight|")
        return figure


_BESIDE = {"xytext": (2, 0), "textcoords": "offset points", "va": "center", **NOTE}


def _histogram(axes: Axes, found: Mapping) -> None:
    counts = np.asarray(found["histogram"])
    axes.stairs(counts / counts.sum(), EDGES, fill=True, color=BLUE, alpha=0.5)
    for edge in (-THRESHOLD, THRESHOLD):
        axes.axvline(edge, color=VERMILION, linewidth=0.6)
    for place, value, share in zip((0.2, 0.5, 0.8), (-1, 0, 1), found["ternary"], strict=True):
        axes.text(place, 0.95, f"{value}: {share:.0%}", transform=axes.transAxes, ha="center")
    axes.set_ylim(top=1.25 * axes.get_ylim()[1])


def _frame(shape: tuple[int, int], title: str) -> tuple[Figure, np.ndarray]:
    rows, columns = shape
    size = columns * PANEL[0] + 1.2, rows * PANEL[1] + TEXT
    figure = Figure(figsize=size, layout="constrained")
    figure.suptitle(title)
    return figure, figure.subplots(rows, columns, squeeze=False)
