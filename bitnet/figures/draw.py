"""Figures of a study by name: pure functions from one table (all runs' CSVs) to a figure.

figure = draw("loss", rows, Thresholds(), "wd_fix")
style.save(figure, "loss.svg", "svg")
"""

from functools import partial

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from bitnet.config.question import ORIGINAL, Question
from bitnet.config.thresholds import Thresholds
from bitnet.figures import mechanism, phase, price, scaling, trajectories
from bitnet.figures.rows import prepared
from bitnet.figures.style import STYLE

FIGURES = {
    **{name: partial(trajectories.draw, name) for name in trajectories.QUANTITIES},
    "mechanism": mechanism.draw,
    "phase": phase.draw,
    "price": price.draw,
    "scaling": scaling.draw,
}


def draw(
    name: str,
    rows: pd.DataFrame,
    thresholds: Thresholds,
    title: str = "",
    question: Question = ORIGINAL,
) -> Figure:
    """The figure `name`, one of FIGURES, with the question's arms (default: Stage-2 weight decay).

    rows: the CSVs of all runs, concatenated. ValueError in one line where they do not belong to one
    study.
    """
    with matplotlib.rc_context(STYLE):
        return FIGURES[name](prepared(rows, question), thresholds, title)
