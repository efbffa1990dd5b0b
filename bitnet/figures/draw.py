"""Figures of a study: functions from one table (the CSVs of all runs together) to a figure.

figure = draw("loss", rows, Thresholds(), "wd_fix")
style.save(figure, "loss.svg", "svg")
"""

from functools import partial

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from bitnet.config.question import ORIGINAL, Question
from bitnet.config.thresholds import Thresholds
from bitnet.figures import mechanism, phase, scaling, trajectories
from bitnet.figures.rows import prepared
from bitnet.figures.style import STYLE

FIGURES = {
    **{name: partial(trajectories.draw, name) for name in trajectories.QUANTITIES},
    "mechanism": mechanism.draw,
    "phase": phase.draw,
    "scaling": scaling.draw,
}


def draw(
    name: str,
    rows: pd.DataFrame,
    thresholds: Thresholds,
    title: str = "",
    question: Question = ORIGINAL,
) -> Figure:
    """One of `FIGURES`, its arms those of the question; ValueError where rows are of no one study.

    Without a question arms are values of Stage-2 weight decay.
    """
    with matplotlib.rc_context(STYLE):
        return FIGURES[name](prepared(rows, question), thresholds, title)
