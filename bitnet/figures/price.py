"""Figure of the price: loss of each arm at its own best learning rate, and at every rate.

A row is a series (Optimizer, Stage1WD, Variant, and Weights where the arms are not these). Its
first panel is over HiddenSize, with lines through the means at each arm's best rates, and scaled to
these; the others are over PeakLR, one a HiddenSize. A dot is a seed, faint at rates that are
not the best. A rate at which a run diverged cannot be the best; such a run is a cross at the top.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from bitnet.config.run_names import BASE, spell_number
from bitnet.config.thresholds import Thresholds
from bitnet.figures.style import TRUNK_COLOUR, Page, arm_colours
from bitnet.verdict.best_rates import SERIES, best, by_rate, end_losses

PAGE = Page(panel=(1.5, 2.1), gap=(0.42, 0.75), right=0.15)
MARKERS = ("o", "s", "^", "D", "v", "P")  # of arms, in the order of their colours
APART = 0.1  # octaves between the arms
FAINT, SOLID = 0.25, 0.9
BESIDE = 0.15  # of the losses at the best rates, above and below them


def draw(rows: pd.DataFrame, thresholds: Thresholds, title: str) -> Figure:
    """The figure. rows must be `prepared`; thresholds say which evaluations are the end."""
    losses = end_losses(rows, thresholds)
    looks = {
        arm: {"color": colour, "marker": marker, "shift": 2 ** (APART * (rank - 0.5))}
        for rank, ((arm, colour), marker) in enumerate(
            zip(arm_colours(rows).items(), MARKERS * len(rows), strict=False)
        )
    }
    series = dict(list(losses.groupby(SERIES)))
    sizes = sorted(losses["HiddenSize"].unique())
    shape = (len(series), 1 + len(sizes))
    handles = _legend(losses, looks)
    figure, panels = PAGE.frame(shape, rows, title, handles)
    for (key, own), (over_size, *over_rates) in zip(series.items(), panels, strict=True):
        over_size.set_ylabel("\n".join([*_names(key, losses), "ValLoss at the end (nats)"]))
        _over(over_size, "HiddenSize", sizes)
        for axes in over_rates:
            _over(axes, "PeakLR", sorted(losses["PeakLR"].unique()))
        by_size = dict(zip(sizes, over_rates, strict=True))
        arms = own.groupby("Arm")
        ends = [_arm(over_size, by_size, of_arm, looks[arm]) for arm, of_arm in arms]
        _zoom(over_size, np.concatenate(ends))
        for axes in (over_size, *over_rates):
            axes.locator_params("y", nbins=5)
    for axes, text in zip(
        panels[0], ["each arm's best rate", *(f"hidden {s}" for s in sizes)], strict=True
    ):
        axes.set_title(text)
    return figure


def _arm(over_size: Axes, over_rates: dict, losses: pd.DataFrame, look: dict) -> np.ndarray:
    """Draw an arm, seeds in every panel and lines through their means; losses at its best rates."""
    look, chosen = dict(look), {}
    shift = look.pop("shift")
    for size, own in losses.groupby("HiddenSize"):
        table = by_rate(own)
        rate, ends, _ = best(table)
        chosen |= {size: ends} if len(ends) else {}
        for each in table:
            shown = look | {"linestyle": "", "alpha": SOLID if each == rate else FAINT}
            for axes, x in ((over_size, size), (over_rates[size], each)):
                values = table[each].dropna()
                axes.plot([x * shift] * len(values), values, markersize=3, **shown)
        _crosses(over_rates[size], own, shift, look["color"])
        _line(over_rates[size], table.mean(skipna=False).dropna(), shift, look["color"])
    means = pd.Series({size: ends.mean() for size, ends in chosen.items()}, dtype=float)
    _line(over_size, means, shift, look["color"])
    return np.concatenate([np.empty(0), *chosen.values()])


def _line(axes: Axes, means: pd.Series, shift: float, colour) -> None:
    axes.plot(means.index.to_numpy(float) * shift, means, linewidth=1, color=colour)


def _zoom(axes: Axes, losses: np.ndarray) -> None:
    """Set the y axis to the losses at the best rates, if there are any."""
    if len(losses) and (spread := np.ptp(losses)) > 0:
        axes.set_ylim(losses.min() - BESIDE * spread, losses.max() + BESIDE * spread)


def _crosses(axes: Axes, losses: pd.DataFrame, shift: float, colour) -> None:
    rates = losses.loc[losses["Loss"].isna(), "PeakLR"] * shift
    top = {"transform": axes.get_xaxis_transform(), "clip_on": False}
    axes.plot(rates, [0.98] * len(rates), "x", color=colour, markersize=4, **top)


def _over(axes: Axes, column: str, values: list) -> None:
    axes.set_xscale("log", base=2)
    axes.set_xlim(values[0] / 2**0.5, values[-1] * 2**0.5)
    axes.set_xticks(values, map(spell_number, values), fontsize=6.5)
    axes.xaxis.minorticks_off()
    axes.set_xlabel(column)


def _names(key: tuple, losses: pd.DataFrame) -> list[str]:
    """What tells a series from the others, a line each."""
    values = zip(SERIES, key, strict=True)
    return [
        f"{column} {value}"
        for column, value in values
        if losses[column].nunique() > 1 and value != BASE
    ]


def _legend(losses: pd.DataFrame, looks: dict) -> list:
    handles = [
        Line2D([], [], color=look["color"], marker=look["marker"], markersize=4, label=arm)
        for arm, look in looks.items()
    ]
    dot = {"linestyle": "", "marker": "o", "markersize": 3, "color": TRUNK_COLOUR}
    handles.append(Line2D([], [], **dot, label="seed, best rate"))
    handles.append(Line2D([], [], **dot, alpha=FAINT, label="seed, other rate"))
    if losses["Loss"].isna().any():
        handles.append(Line2D([], [], **dot | {"marker": "x"}, label="diverged"))
    return handles
