"""The verdict as Markdown that is also readable as plain text in a terminal.

First the answer in words, then one table; everything else stands behind a fold.
"""

from collections.abc import Mapping, Sequence

import pandas as pd

from bitnet.common.markdown import bullets, fill, number, table
from bitnet.config.question import RATIOS, STAGE2, Question
from bitnet.config.thresholds import Thresholds
from bitnet.verdict.details import details, labels
from bitnet.verdict.headline import TWIN, below, headline

FOLD = "<details>"


def markdown(
    cells: pd.DataFrame,
    question: Question,
    thresholds: Thresholds,
    title: str,
    conditions: Sequence[str] = (),
    picture: str = "",
    further: str = "",
) -> str:
    """The whole verdict.

    cells: the table of `judge`. conditions: lines on how the rows were made, for the notes.
    picture: path of the figure that shows the answer, as seen from the verdict; empty for none.
    further: sections put behind the fold, before the statistics.
    """
    blocks = [
        f"# {title}",
        fill(headline(cells, question)),
        bullets(below(cells, question, thresholds)),
        f"![What was measured over the steps of training]({picture})" * bool(picture),
        overview(cells, question, thresholds),
        f"{FOLD}\n<summary>Statistics, recommendations, notes, legend</summary>",
        further,
        details(cells, question, thresholds, conditions),
        "</details>",
    ]
    return "\n\n".join(filter(None, blocks)) + "\n"


def overview(cells: pd.DataFrame, question: Question, thresholds: Thresholds) -> str:
    """Table of states and outcomes, with its words explained above it, in Markdown."""
    rows = cells.to_dict("records")
    decides = rows[0]["Primary"]  # one corpus, one measure
    shown = "count" if decides in RATIOS else decides
    header = ["cell", "at the switch"]
    for arm in ("control", "treatment"):
        header += [f"with {question.arm_name(arm)}", shown]
    lines = [[name, *_fields(row)] for name, row in zip(labels(cells), rows, strict=True)]
    words = fill(_words(rows[0], question, thresholds, cells["Weights"].nunique() > 1))
    return f"{words}\n\n{table([*header, 'outcome'], lines)}"


def _words(row: Mapping, question: Question, limits: Thresholds, twins: bool) -> str:
    """The vocabulary of the table."""
    switch = "the step at which weight decay changes"
    if question.axis.key != STAGE2:
        switch = "the step at which stage 2 of a training begins"
    measure = (
        f"under {limits.collapsed_below:g} distinct predictions",
        f"over {limits.diverse_above:g}",
    )
    if row["Blind"]:
        measure = (
            f"PDR (diversity beside the text's) under {limits.blind_collapsed_share:.0%} of a "
            "trigram model's",
            f"over {limits.blind_diverse_share:.0%}",
        )
    return (
        f"Count: distinct predictions at {row['N']:,} places of unseen text, which has "
        f"{row['UniqueTargets']:,} distinct tokens there. Collapsed: {measure[0]}, or no better "
        f"than always guessing by frequency; diverse: {measure[1]}; recovering: between. Switch: "
        f"{switch}." + f" Twin: {TWIN}." * twins
    )


def _fields(row: Mapping) -> list[str]:
    ratio, name = row["Primary"] in RATIOS, row["Primary"]
    fields = [_brief(row["TrunkStates"])]
    for arm in ("Control", "Treatment"):
        level = (row[f"{arm}Unique"], ".1f") if ratio else (row[f"{arm}{name}"], ".4g")
        fields += [_brief(row[f"{arm}States"]), number(*level)]
    return [*fields, row["Outcome"]]


def _brief(tally: str) -> str:
    """The commonest state, without its count where all runs share it; others are in the notes."""
    first, *others = tally.split(", ")
    return first if others else first.rpartition(" ")[0] or "-"
