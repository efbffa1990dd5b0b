"""Whether collapse and effect of a cell are those of ternary weights, by its full-precision twin.

Two questions with two answers: both models may collapse alike, and still a treatment may help only
one of them.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.states import share
from bitnet.verdict.cells import Cell, twin_of
from bitnet.verdict.statistics import TIE, effect, more_often

NO_TWIN, UNDECIDED = "n.a.", "undecided"
NO_COLLAPSE, NONE_SHOWN = "no collapse", "none shown"


def collapse_is_ternary(cell: Cell, cells: Sequence[Cell], thresholds: Thresholds) -> str:
    """Whether only ternary models collapse: "yes", "no", "no collapse", "undecided", "n.a.".

    By the trunks, or the runs of the control where arms share none: collapsed in most seeds with
    both weights: no; with ternary only, beyond chance (Fisher's exact test): yes; with neither: no
    collapse. Undecided otherwise, and under `no_verdict_under` seeds of either that neither
    diverged nor are invalid. "n.a.": the cell has no twin.
    """
    twin = twin_of(cell, cells)
    if twin is None:
        return NO_TWIN
    parts = [list(part.before) for part in (cell, twin)]
    sound = [len(p) - p.count("diverged") - p.count("invalid") for p in parts]
    if min(sound) < thresholds.no_verdict_under:
        return UNDECIDED
    own, other = (share(part, "collapsed") > 0.5 for part in parts)
    if own == other:
        return "no" if own else NO_COLLAPSE
    collapsed = [[state == "collapsed" for state in part] for part in parts]
    beyond_chance = more_often(*collapsed) <= 1 - thresholds.confidence + TIE
    return "yes" if own and beyond_chance else UNDECIDED


def effect_is_ternary(
    cell: Cell, cells: Sequence[Cell], row: Mapping, thresholds: Thresholds
) -> str:
    """Whether an effect is that of ternary weights: "yes", "no", "undecided", "none shown", "n.a.".

    row: the cell's row in the table of `judge`. Where the cell's own effect is significant, a
    paired t-test over seeds of the twin's difference minus half of the ternary one, in the effect's
    direction: significantly above 0: no; below 0: yes.
    """
    twin = twin_of(cell, cells)
    if twin is None:
        return NO_TWIN
    alpha = 1 - thresholds.confidence
    if not row["HolmP"] < alpha:
        return NONE_SHOWN
    own, other = (c.deltas[cell.primary] for c in (cell, twin))
    gaps = np.sign(row[f"Delta{cell.primary}"]) * (other - own / 2).dropna()
    gap = effect(gaps, cell.metric.bound(thresholds), thresholds.confidence)
    if gap.n < thresholds.no_verdict_under or not gap.p < alpha:
        return UNDECIDED
    return "no" if gap.mean > 0 else "yes"
