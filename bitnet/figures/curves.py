"""Curves of a column over the steps: trunk and arms, each seed and the mean of the seeds.

Arms differ in colour; full-precision twins are dashed; the trunk, which the arms share, is drawn
once. Seeds are thin lines, their mean (geometric on a log axis) is a thick one. As in the verdict,
a run that diverged is left out of the mean: its thin line ends in a cross.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from scipy.stats import gmean

from bitnet.figures.style import DASHES, NOTE, TRUNK_COLOUR, arm_colours

SEED = {"linewidth": 0.5, "alpha": 0.4, "gapcolor": None}
WIDEST, THINNER = 2.2, 0.7  # means that coincide stay visible: the later one is thinner
STEP_TICKS = (0, 0.05, 0.25, 0.5, 1)  # shares of the last step
STEP_LABEL = "Step (square-root scale)"


def panel(axes: Axes, rows: pd.DataFrame, column: str, colours: dict) -> None:
    """Draw the switch and, for each kind of weights, the trunk once and its arms behind it.

    rows must be `prepared`; colours are by Arm. The scale of the y axis must be set before.
    """
    for step in rows["SwitchStep"].unique():
        axes.axvline(step, color=NOTE["color"], linewidth=0.6, zorder=1)
    for rank, (weights, dashes) in enumerate(DASHES.items()):
        twin = rows[rows["Weights"] == weights]
        shared = (twin["Step"] <= twin["PartStep"]) & (twin["PartStep"] > 0)
        trunk = twin[shared].drop_duplicates(["Seed", "Step"])
        width = WIDEST * THINNER**rank
        look = {"linestyle": dashes, "gapcolor": "white" if rank else None}
        _curves(axes, trunk, column, f"trunk {weights}", width, look | {"color": TRUNK_COLOUR})
        for arm, colour in colours.items():
            branch = twin[(twin["Arm"] == arm) & (twin["Step"] >= twin["PartStep"])]
            _curves(axes, branch, column, f"{arm} {weights}", width, look | {"color": colour})
            width *= THINNER


def _curves(
    axes: Axes, rows: pd.DataFrame, column: str, name: str, width: float, look: dict
) -> None:
    """Draw a thin line per seed, with a cross where one diverged, and a thick one for the mean."""
    log = axes.get_yscale() == "log"
    seen = ~rows["Diverged"] & ((rows[column] > 0) if log else True)
    rows = rows.assign(Value=rows[column].where(seen))
    for seed, run in rows.groupby("Seed"):
        values = run.set_index("Step")["Value"].dropna()
        axes.plot(values, label=f"{name} seed{seed}", **look | SEED)
        if run["Diverged"].any() and len(values):
            end = {"linestyle": "", "marker": "x", "markersize": 5, "zorder": 3}
            axes.plot(values.tail(1), label=f"{name} seed{seed} diverged", **look | end)
    sound = rows[~rows.groupby("Seed")["Diverged"].transform("any")]
    if len(sound):
        values = sound.pivot(index="Step", columns="Seed", values="Value").dropna()
        mean = gmean(values, axis=1) if log else values.mean(axis=1)
        axes.plot(values.index, mean, label=f"{name} mean", linewidth=width, **look)


def last_step(rows: pd.DataFrame) -> float:
    """Last step to show; the switch at least, where all trunks diverged before it."""
    return rows[["Step", "SwitchStep"]].to_numpy().max()


def step_axis(axes: Axes, last: float) -> None:
    """Square-root scale from 0 to `last`, which shows the first hundreds of steps and stage 2."""
    axes.set_xscale("function", functions=(np.sqrt, np.square))
    axes.set_xlim(0, last)
    axes.set_xticks(last * np.array(STEP_TICKS))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x / 1000:.3g}k" if x >= 1000 else f"{x:.3g}")


def name_switch(axes: Axes, rows: pd.DataFrame) -> None:
    """Write "switch" at the top of the switch's line, on the side with more room."""
    for step in rows["SwitchStep"].unique():
        side = "left" if step < 0.6 * axes.get_xlim()[1] else "right"
        place = {"transform": axes.get_xaxis_transform(), "va": "top"}
        axes.text(step, 1, " switch ", ha=side, **place, **NOTE)


def legend(rows: pd.DataFrame) -> list:
    """Legend handles of the colours (patches) and line styles in use."""
    colours = dict(arm_colours(rows))
    if rows["PartStep"].any():
        colours["before the switch"] = TRUNK_COLOUR
    lines: dict[str, dict] = {}
    for weights in [weights for weights in DASHES if weights in set(rows["Weights"])]:
        lines[f"Weights {weights}"] = {"linestyle": DASHES[weights], "linewidth": 1.5}
    if rows["Seed"].nunique() > 1:
        lines["a seed (thick: mean)"] = SEED
    lines |= {"diverged": {"linestyle": "", "marker": "x"}} if rows["Diverged"].any() else {}
    patches = [Patch(color=colour, label=label) for label, colour in colours.items()]
    return patches + [Line2D([], [], color=TRUNK_COLOUR, label=k, **v) for k, v in lines.items()]
