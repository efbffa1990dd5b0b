"""Changes of the verdict's rule that are proposed, not in force; both are compared by error rates.

1. 'fixed' needs what 'helps' and 'harmful' need: a mean difference beyond the equivalence ratio.
   Without it, arms that end at 46 and 55 distinct predictions, which the rule's own equivalence
   calls equal, are a fix because a threshold lies between them.
2. 'stays collapsed': trunk and both arms collapsed in most seeds, and nothing else shown. Between
   counts of 2 and 12 the logarithm varies so much that equivalence is out of reach, and a treatment
   that visibly does nothing is called inconclusive.
3. Specific to ternary weights: 'no' in force needs both effects to be equal within a ratio of 1.25.
   Large effects hardly ever are, and a twin whose effect is larger is neither 'yes' nor 'no' with
   any number of seeds. Proposed is one question with two sides: does the twin show more or less
   than half of the effect (the half that the rule in force names)? A seed's

       share = sign * (twin's difference - ternary difference / 2)

   is tested against 0 where the ternary effect is itself significant. Of studies whose twin shows
   half of the effect, at most alpha / 2 say 'yes' and as many 'no'.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.states import share
from bitnet.verdict import rule
from bitnet.verdict.cells import Cell, with_twin
from bitnet.verdict.error_rates.draws import paired_tests

STAYS = "stays collapsed"


def outcome(cell: Cell, row: Mapping, thresholds: Thresholds) -> str:
    """Outcome of a cell with changes 1 and 2. Arguments as in `bitnet.verdict.rule`."""
    said, alpha = rule.outcome(cell, row, thresholds), 1 - thresholds.confidence
    worth = math.log(thresholds.equivalence_ratio)
    if said == "fixed" and row[f"Delta{cell.primary}"] <= worth:
        equal = row["TostP"] < alpha and row["TostValLossP"] < alpha
        return "no effect" if equal else "inconclusive"
    parts = (cell.trunk, cell.control["State"], cell.treatment["State"])
    if said == "inconclusive" and all(share(part, "collapsed") > 0.5 for part in parts):
        return STAYS
    return said


def ternary_specific(cell: Cell, cells: Sequence[Cell], thresholds: Thresholds) -> str:
    """Yes, no, undecided; n.a. without a twin: change 3. Arguments as in `bitnet.verdict.rule`."""
    pair = with_twin(cell, cells)
    if pair is None:
        return "n.a."
    own, other = pair
    if len(own) < thresholds.no_verdict_under:
        return "undecided"
    part = np.sign(own.mean()) * (other - own / 2)
    p, _ = paired_tests(np.stack([own, part]), math.inf)
    if not (p < 1 - thresholds.confidence).all():
        return "undecided"
    return "no" if part.mean() > 0 else "yes"
