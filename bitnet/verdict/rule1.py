"""The first rule, in force until November 2026: its outcome stays in one column of verdict.csv.

It took raw counts, dead models and all, asked no loss and knew no outcome for a collapse that stays
or comes back. Nothing else reads it.
"""

from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.states import share
from bitnet.verdict.cells import Cell
from bitnet.verdict.statistics import Effect


def outcome_by_rule_1(
    cell: Cell, raw: Effect, holm: float, tost_loss: float, limits: Thresholds
) -> str:
    """Outcome of a cell by rule 1: the first that matches.

    raw: effect of the primary metric as recorded. holm: its p, corrected by rule 1's one family.
    tost_loss: p of the equivalence of losses.
    """
    if raw.n < limits.no_verdict_under:
        return "no verdict"
    alpha, worth = 1 - limits.confidence, cell.metric.bound(limits)
    mean = cell.metric.sign * raw.mean
    above, below = holm < alpha and mean > 0, holm < alpha and mean < 0
    control, treatment = (list(arm["StateRule1"]) for arm in (cell.control, cell.treatment))
    before = cell.trunk if cell.question.shares_trunk else control
    was_collapsed = share(before, "collapsed") > 0.5
    treated, controlled = share(treatment, "diverse"), share(control, "diverse")
    if below and mean < -worth:
        return "harmful"
    if was_collapsed and treated > 0.5 and controlled < 0.5 and above:
        return "fixed"
    if was_collapsed and treated > 0.5 and controlled > 0.5:
        return "recovers either way"
    if raw.tost < alpha and tost_loss < alpha:
        return "no effect" if was_collapsed else "no effect (nothing to fix)"
    return "helps" if above and mean > worth else "inconclusive"
