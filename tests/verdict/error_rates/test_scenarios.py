"""The scenarios of error rates: each draws what its name says."""

import math

import numpy as np
import pytest

from bitnet.config.thresholds import Thresholds
from bitnet.verdict.error_rates.generator import SEGMENTS, draw
from bitnet.verdict.error_rates.rates import answers
from bitnet.verdict.error_rates.scenarios import EFFECT, NOTHING, SCENARIOS, SOMETHING
from bitnet.verdict.outcomes import MEANINGS

NAMED = {(s.group, s.name): s for s in SCENARIOS}
CHANCES = [n for n, s in NAMED.items() if any(sum(t.diverging) for t in s.cells.values())]
CHANCES.append((EFFECT, "twin has half of it, 4 and 31.6"))
STILL = np.zeros((2, 3, 2))
LN_V = math.log(2048) - 6.0754  # of the built-in text, above its unigram's loss


def ends(group: str, name: str, cell: int = 0) -> dict[str, np.ndarray]:
    """Counts and losses (5, 2) of a scenario without spread, a segment each."""
    truth = list(NAMED[group, name].cells.values())[cell]
    runs = draw(truth, STILL, 1, 1, np.random.default_rng(0))
    return {segment: runs[segment][0, 0] for segment in SEGMENTS}


def test_names_are_unique_and_every_right_answer_is_one_that_can_be_given():
    assert len(NAMED) == len(SCENARIOS)
    for scenario in SCENARIOS:
        told = {scenario.right, scenario.also or scenario.right}
        if scenario.group in (NOTHING, SOMETHING):
            assert told <= set(MEANINGS)
        else:
            assert told <= {"yes", "no", "undecided", "none shown", "no collapse"}


@pytest.mark.parametrize(
    ("group", "name", "control", "treatment"),
    [
        (NOTHING, "both stay at 4", 4, 4),
        (NOTHING, "3 and 8, inside the collapse", 3, 8),
        (NOTHING, "both healthy at 380", 380, 380),
        (NOTHING, "both recover to 30", 30, 30),
        (NOTHING, "both end near 50", 50, 50),
        (SOMETHING, "45.6 and 54.8, ratio 1.2", 46, 55),
        (SOMETHING, "fix, 4 and 100", 4, 100),
        (SOMETHING, "fix, 4 and 60", 4, 60),
        (SOMETHING, "less than a fix, 4 and 30", 4, 30),
        (SOMETHING, "harm, 380 and 100", 380, 100),
        (SOMETHING, "harm, 380 and 4", 380, 4),
    ],
)
def test_arms_end_at_the_counts_of_the_name(group, name, control, treatment):
    found = ends(group, name)
    assert (found["control"][:, 0] == control).all()
    assert (found["treatment"][:, 0] == treatment).all()
    assert found["trunk"][-1, 0] == (380 if max(control, treatment) == 380 else 4)


def test_dead_models_count_much_at_the_loss_of_a_uniform_prediction():
    for group, name, segment in (
        (NOTHING, "both dead", "control"),
        (NOTHING, "treatment dead, control at 4", "treatment"),
        (SOMETHING, "control dead, treatment at 32", "control"),
        (SOMETHING, "control dead, treatment at 100", "control"),
        (EFFECT, "the same fix, ternary control dead", "control"),
    ):
        dead = ends(group, name)[segment]
        assert (dead[:, 0] > 1000).all() and dead[:, 1] == pytest.approx(LN_V, abs=0.1)


@pytest.mark.parametrize(("seen", "mean"), [("early", 13 / 3), ("late", 49 / 3)])
def test_recoveries_for_a_while_were_over_50_and_end_under_10(seen, mean):
    # Seen late, the mean of the last three is still over 10: only the last evaluation shows it.
    counts = ends(SOMETHING, f"recovery for a while, seen {seen}")["treatment"][:, 0]
    assert counts.max() > 50 and counts[-1] < 10
    assert counts[-3:].mean() == pytest.approx(mean)


@pytest.mark.parametrize(
    ("name", "ratio", "nats"),
    [
        ("both 380, loss 0.1 lower", 1, -0.1),
        ("both 380, loss 0.1 higher", 1, 0.1),
        ("400 and 300, loss 0.4 lower", 0.75, -0.4),
        ("30 and 60, loss 0.3 higher", 2, 0.3),
    ],
)
def test_losses_differ_by_what_the_name_says(name, ratio, nats):
    found = ends(SOMETHING, name)
    treatment, control = found["treatment"][-1], found["control"][-1]
    assert treatment[0] / control[0] == ratio
    assert treatment[1] - control[1] == pytest.approx(nats)


def test_collapsed_models_are_worse_than_the_unigram_but_where_the_name_says_less():
    assert ends(NOTHING, "both stay at 4")["control"][-1, 1] > 0
    near = ends(NOTHING, "both at 6, loss 0.05 under the unigram's")["control"]
    assert (near[:, 0] == 6).all() and near[:, 1] == pytest.approx(-0.05)


def test_a_twin_has_as_much_of_the_effect_as_the_name_says():
    # In logarithms of effective counts: 4 counts as 10, the floor.
    own = math.log(100 / 10)
    for name, share in (("twin has half of it, 4 and 31.6", 0.5), ("twin has the same fix", 1)):
        found = ends(EFFECT, name, cell=1)
        effect = math.log(found["treatment"][-1, 0] / max(found["control"][-1, 0], 10))
        assert effect == pytest.approx(share * own, abs=0.02)


@pytest.mark.parametrize("name", [name for name in NAMED if name not in CHANCES])
def test_without_spread_every_scenario_gets_its_right_answer(name):
    scenario, rng = NAMED[name], np.random.default_rng(0)
    runs = {key: draw(truth, STILL, 1, 3, rng) for key, truth in scenario.cells.items()}
    assert list(answers(scenario, runs, Thresholds())) == [{scenario.right}]
