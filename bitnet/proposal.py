"""A rule for 'is the effect specific to ternary weights' that is proposed, not in force.

The rule in force (`bitnet.verdict.ternary_specific`) asks for 'no' that both effects be equal
within a ratio of 1.25. Large effects, whose spread is large, hardly ever are, and a twin whose
effect is larger can be called neither 'yes' nor 'no' by any number of seeds. Here both answers are
sides of one question: does the twin show more or less than half of the effect? A seed's

    share = sign * (twin's difference - ternary difference / 2)

is tested against 0, where the ternary effect is itself significant. 'no' is said wrongly in at most
alpha / 2 of studies whose twin shows half of the effect or less, and 'yes' of those with half or
more. Half is the share that the rule in force names.
"""

import math
from collections.abc import Sequence

import numpy as np

from bitnet.drawn import paired_tests
from bitnet.states import Thresholds
from bitnet.verdict import TERNARY, Cell


def ternary_specific(cell: Cell, cells: Sequence[Cell], thresholds: Thresholds) -> str:
    """Yes, no, undecided; n.a. without a twin. Arguments as in `bitnet.verdict`."""
    twins = [c for c in cells if c.key[:-1] == cell.key[:-1] and c.key[-1] != TERNARY]
    if cell.key[-1] != TERNARY or len(twins) != 1:
        return "n.a."
    own, other = (c.deltas[cell.primary] for c in (cell, twins[0]))
    shared = own.index.intersection(other.index)
    own, other = own[shared], other[shared]
    if len(shared) < thresholds.no_verdict_under:
        return "undecided"
    share = np.sign(own.mean()) * (other - own / 2)
    p, _ = paired_tests(np.stack([own, share]), math.inf)
    if not (p < 1 - thresholds.confidence).all():
        return "undecided"
    return "no" if share.mean() > 0 else "yes"
