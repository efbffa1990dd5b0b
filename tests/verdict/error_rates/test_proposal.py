"""Changes of the rule that are proposed: what they say, beside the rule in force."""

import pandas as pd
import pytest

from bitnet.config.thresholds import Thresholds
from bitnet.verdict.cells import Cell
from bitnet.verdict.error_rates import proposal
from bitnet.verdict.rule import ternary_specific
from tests.verdict.error_rates.test_generator import key
from tests.verdict.error_rates.test_rates import SCENARIOS, scaled, share

LIMITS = Thresholds()


def test_the_rule_proposed_calls_next_to_nothing_no_fix():
    trifle = [
        scaled(cell, 0.2)
        for cell in SCENARIOS["next to nothing: arms 1.2 apart at the threshold"].cells
    ]
    assert share(trifle, "fixed", 5) == 1  # by the rule in force
    assert share(trifle, "proposed fixed", 5) == 0
    assert share(trifle, "proposed inconclusive", 5) + share(trifle, "proposed no effect", 5) == 1
    assert share(SCENARIOS["a fix: headline cell"].cells, "proposed fixed") == 1


def test_the_rule_proposed_says_that_all_stay_collapsed():
    idle = [scaled(cell, 2) for cell in SCENARIOS["nothing differs: headline cell"].cells]
    assert share(idle, "inconclusive") > 0.8 and share(idle, "stays collapsed") == 0
    assert share(idle, "proposed stays collapsed") == share(idle, "inconclusive")
    assert share(idle, "proposed inconclusive") == 0
    edges = SCENARIOS["nothing differs: headline cell, arms at the threshold"].cells
    assert share(edges, "proposed inconclusive") > 0 == share(edges, "proposed stays collapsed")


def twins(own, other) -> list[Cell]:
    """A ternary cell and its twin with these differences, a seed each."""
    return [
        Cell(
            key(weights=w), [], None, None, pd.DataFrame({"UniquePredictions": d}), {"Blind": False}
        )
        for w, d in (("ternary", own), ("full_precision", other))
    ]


@pytest.mark.parametrize(
    ("own", "other", "in_force", "proposed"),
    [
        ([2.0, 2.1, 2.2], [3.0, 3.2, 3.1], "undecided", "no"),  # the twin's effect is larger
        ([2.0, 2.1, 2.2], [1.7, 2.3, 2.5], "undecided", "no"),  # the same, with more spread
        ([2.0, 2.1, 2.2], [0.1, -0.1, 0.0], "yes", "yes"),
        ([-2.0, -2.1, -2.2], [0.1, -0.1, 0.0], "yes", "yes"),
        ([2.0, 2.1, 2.2], [1.0, 0.9, 1.2], "yes", "undecided"),  # about half
        ([0.1, -0.1, 0.2], [0.1, 0.0, 0.1], "no", "undecided"),  # no effect to be specific
        ([2.0, 2.1], [0.0, 0.1], "undecided", "undecided"),  # two seeds
    ],
)
def test_the_rule_proposed_asks_whether_the_twin_shows_half_of_the_effect(
    own, other, in_force, proposed
):
    cells = twins(own, other)
    assert ternary_specific(cells[0], cells, LIMITS) == in_force
    assert proposal.ternary_specific(cells[0], cells, LIMITS) == proposed
    assert proposal.ternary_specific(cells[1], cells, LIMITS) == "n.a."
    assert proposal.ternary_specific(cells[0], cells[:1], LIMITS) == "n.a."
