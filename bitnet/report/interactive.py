"""Interactive curves in plotly with the panels and colours of `bitnet.figures.trajectories`.

Every seed is a thin line, their mean a thick one within the band that they span. Hovering shows a
value; a legend entry switches one arm of one kind of weights on or off in all panels.
"""

import math
from collections.abc import Sequence

import pandas as pd
import plotly.graph_objects as go
from matplotlib.colors import to_hex
from plotly.subplots import make_subplots
from scipy.stats import gmean

from bitnet.config.thresholds import Thresholds
from bitnet.figures.rows import usual
from bitnet.figures.style import DASHES, arm_colours
from bitnet.figures.trajectories import QUANTITIES, Quantity, cells_of, layout, references

MOST_COLUMNS = 4
PANEL_HEIGHT, MARGIN = 230, 130  # pixels
SPARE = 0.04  # share of an axis left free above and below the curves
GREY = "#808080"  # text, lines and trunks: legible on white and on black
DASH = dict(zip(DASHES, ("solid", "dash"), strict=True))
TRUNK = "before the switch"
BESIDE = {"showarrow": False, "xanchor": "left"}


def curves(name: str, rows: pd.DataFrame, thresholds: Thresholds) -> go.Figure:
    """The figure of one of `bitnet.figures.trajectories.QUANTITIES`. rows must be `prepared`."""
    quantity, cells = QUANTITIES[name], cells_of(rows)
    grid = layout(cells, usual(rows), MOST_COLUMNS)
    height = math.ceil(len(grid.keys) / grid.width)
    figure = make_subplots(
        height,
        grid.width,
        shared_xaxes="all",
        shared_yaxes="all",
        subplot_titles=[_title(key, grid) for key in grid.keys],
        horizontal_spacing=0.02,
        vertical_spacing=min(0.12, 0.4 / height),
    )
    seen: set[str] = set()
    ends = [0, int(rows["Step"].max())]
    levels = references(quantity, rows.iloc[0], thresholds)
    for place, key in enumerate(grid.keys):
        where = {"row": place // grid.width + 1, "col": place % grid.width + 1}
        for trace in _traces(cells[key], quantity, arm_colours(rows)):
            trace.showlegend = trace.showlegend and trace.legendgroup not in seen
            seen |= {trace.legendgroup} if trace.showlegend else set()
            figure.add_trace(trace, **where)
        for label, value in levels.items():
            figure.add_trace(_reference(label, value, ends), **where)
            if where["col"] == grid.width:
                level = math.log10(value) if quantity.log else value
                figure.add_annotation(text=label, x=ends[1], y=level, **BESIDE, **where)
        for step in cells[key]["SwitchStep"].unique():
            figure.add_vline(step, line={"color": GREY, "width": 0.7}, **where)
    _dress(figure, quantity, height, ends)
    figure.update_yaxes(range=_span([*rows[quantity.column], *levels.values()], quantity.log))
    return figure


def _span(values: Sequence[float], log: bool) -> list[float]:
    """Range of the y axes with a margin, in plotly's units (log10 on a log axis).

    Plotly computes no common range for axes that all match."""
    heights = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
    heights = [math.log10(value) for value in heights] if log else heights
    margin = SPARE * (max(heights) - min(heights))
    return [min(heights) - margin, max(heights) + margin]


def columns(rows: pd.DataFrame) -> int:
    """Number of panels in a row of `curves`."""
    return layout(cells_of(rows), usual(rows), MOST_COLUMNS).width


def _title(key: tuple, grid) -> str:
    """Title of a panel: its differences from the usual protocol, and its optimizer."""
    if not grid.crossed:
        return grid.titles[key]
    column = next(title for other, title in grid.titles.items() if other[:-1] == key[:-1])
    return ", ".join([*column.split("\n"), key[-1]])


def _reference(label: str, value: float, ends: list[int]) -> go.Scatter:
    """Trace of a reference value."""
    return go.Scatter(
        x=ends,
        y=[value, value],
        mode="lines",
        line={"color": GREY, "width": 0.7, "dash": "dot"},
        hovertemplate=f"{label}<extra></extra>",
        showlegend=False,
    )


def _traces(rows: pd.DataFrame, quantity: Quantity, colours: dict):
    """Trunk and arms of each kind of weights: a band, the seeds, their mean."""
    for weights, dash in DASH.items():
        twin = rows[rows["Weights"] == weights]
        shared = (twin["Step"] <= twin["PartStep"]) & (twin["PartStep"] > 0)
        trunk = twin[shared].drop_duplicates(["Seed", "Step"])
        parts = {f"{TRUNK}, {weights}": (trunk, GREY)}
        for arm, colour in colours.items():
            branch = twin[(twin["Arm"] == arm) & (twin["Step"] >= twin["PartStep"])]
            parts[f"{arm}, {weights}"] = (branch, to_hex(colour))
        for name, (part, colour) in parts.items():
            if len(part):
                yield from _part(part, quantity, name, colour, dash)


def _part(rows: pd.DataFrame, quantity: Quantity, name: str, colour: str, dash: str):
    """Traces of one part. As in the verdict, a run that diverged is left out of the mean."""
    column = quantity.column
    seen = ~rows["Diverged"] & ((rows[column] > 0) if quantity.log else True)
    rows = rows.assign(Value=rows[column].where(seen))
    common = {"legendgroup": name, "name": name, "mode": "lines", "showlegend": False}
    sound = rows[~rows.groupby("Seed")["Diverged"].transform("any")]
    values = sound.pivot(index="Step", columns="Seed", values="Value").dropna()
    if values.shape[1] > 1:
        low, high = values.min(axis=1), values.max(axis=1)
        yield go.Scatter(
            x=[*values.index, *values.index[::-1]],
            y=[*high, *low[::-1]],
            fill="toself",
            line={"width": 0},
            fillcolor=colour,
            opacity=0.15,
            hoverinfo="skip",
            **common,
        )
    for seed, run in rows.groupby("Seed"):
        yield go.Scatter(
            x=run["Step"],
            y=run["Value"],
            line={"color": colour, "dash": dash, "width": 0.8},
            opacity=0.6,
            hovertemplate=f"step %{{x:,}}: %{{y:,.4g}}<br>{name}, seed {seed}<extra></extra>",
            **common,
        )
    if len(values):
        mean = gmean(values, axis=1) if quantity.log else values.mean(axis=1)
        of = f"mean of {values.shape[1]} seed{'s' if values.shape[1] > 1 else ''}"
        yield go.Scatter(
            x=values.index,
            y=mean,
            line={"color": colour, "dash": dash, "width": 2.2},
            hovertemplate=f"step %{{x:,}}: %{{y:,.4g}}<br>{name}, {of}<extra></extra>",
            **(common | {"showlegend": True}),
        )


def _dress(figure: go.Figure, quantity: Quantity, height: int, ends: list[int]) -> None:
    figure.update_layout(
        height=MARGIN + height * PANEL_HEIGHT,
        margin={"l": 50, "r": 90, "t": 90, "b": 40},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": GREY, "size": 11},
        legend={"orientation": "h", "y": 1 + 30 / (height * PANEL_HEIGHT), "yanchor": "bottom"},
        hovermode="closest",
    )
    figure.update_annotations(font_size=10)
    lines = {"gridcolor": "rgba(128,128,128,0.2)", "zeroline": False, "linecolor": GREY}
    figure.update_xaxes(range=ends, **lines)
    figure.update_yaxes(type="log" if quantity.log else "linear", **lines)
    if quantity.log:
        figure.update_yaxes(dtick=1)
