"""Recommendation and the order of sizes, by rule, on constructed verdicts."""

import pytest

from bitnet.verdict.recommendation import best, recommend
from bitnet.verdict.rule import majority, order, scaling
from tests.helpers.tables import (
    FIVE_HIGH,
    FIVE_LOW,
    LIMITS,
    OUTCOMES,
    QUESTION,
    WARMUP,
    cell,
    other,
    verdict,
)

SICK = cell(8, FIVE_LOW, FIVE_HIGH, control_loss=6.0, treatment_loss=4.7)
WELL = {"trunk": 300, "control": [440] * 5, "treatment": [441, 440, 439, 440, 442]}


def well(loss=4.0, **columns):
    return cell(**WELL, control_loss=loss, treatment_loss=loss, Optimizer="adamw", **columns)


def advice(*rows, question=QUESTION) -> dict[str, tuple]:
    table = recommend(verdict(*rows, question=question), question, LIMITS)
    return {line.Topic: (line.Advice, line.Confidence) for line in table.itertuples()}


def test_the_optimizer_of_the_lowest_loss_among_diverse_models_is_recommended():
    found = advice(SICK, well())
    assert found["optimizer"] == ("adamw", "High")
    assert found["Stage-2 WD with adam"] == ("0", "High")
    assert found["Stage-2 WD with adamw"] == ("0 or 0.05", "High")
    assert found["learning rate"][0] == found["size"][0] == "not varied here"
    table = recommend(verdict(SICK, well()), QUESTION, LIMITS)
    assert table["Why"][0] == "ValLoss adamw 4.000 (WD 0), adam 4.700 (WD 0)"


def test_a_lower_loss_of_models_that_do_not_survive_recommends_nothing():
    lost = cell(8, FIVE_LOW, FIVE_LOW, control_loss=1.0, treatment_loss=1.0)
    assert advice(lost, well())["optimizer"][0] == "adamw"
    other = lost.assign(Optimizer="adamw")
    assert advice(lost, other)["optimizer"] == ("none of those tried", "")


def test_losses_within_the_margin_recommend_both():
    assert advice(SICK, well(4.71))["optimizer"][0] == "adam or adamw"
    assert advice(SICK, well(4.73))["optimizer"][0] == "adam"


def test_twins_and_variants_recommend_nothing():
    better = well(1.0, Weights="full_precision"), well(1.0, Variant="clip0.1")
    assert advice(SICK, well(), *better)["optimizer"] == ("adamw", "High")


def test_the_learning_rate_is_that_of_the_headlines_optimizer():
    question = other(QUESTION, headline={**QUESTION.headline, **{"peak_lr": 1.5e-3}})
    slow = SICK.assign(PeakLR=5e-4)
    slow["ValLoss"] -= 0.5
    found = advice(SICK, slow, well(PeakLR=0.01), question=question)
    assert found["learning rate"] == ("0.0005", "High")


def test_a_harmful_treatment_is_advised_against():
    harmed = cell(80, [90, 88, 95, 91, 92], [30, 35, 28, 33, 31])
    assert advice(harmed)["Stage-2 WD with adam"][0] == "0.05"


@pytest.mark.parametrize(
    ("states", "outcome"),
    [
        (["collapsed", "collapsed", "diverse"], "A"),
        (["collapsed", "diverse", "diverse", "diverse"], "A"),
        (["collapsed"] * 4, "B"),
        (["diverse"] * 2, "B"),
        (["diverse", "collapsed"], "C"),  # a change, the other way round
        (["collapsed", "recovering"], "C"),  # larger, but not diverse
        (["collapsed", "recovering", "diverse"], "C"),  # two changes
        (["diverse", "collapsed", "diverse"], "C"),
        (["collapsed", "", "diverse"], "none"),
    ],
)
def test_outcomes_of_scaling(states, outcome):
    assert order(states) == outcome


def test_the_smallest_diverse_size_is_the_minimum_viable_one():
    sizes = {256: SICK, 512: well().assign(Optimizer="adam")}
    sizes[1024] = sizes[512]
    cells = verdict(*(rows.assign(HiddenSize=size) for size, rows in sizes.items()))
    found = scaling(cells).set_index("Part")
    assert found["Scaling"].to_dict() == {"at the switch": "A", "control": "A", "treatment": "B"}
    assert found.loc["control", "MinimumSize"] == 512
    # WD 0 is recommended at 256, and with it every size is diverse.
    line = recommend(cells, QUESTION, LIMITS).set_index("Topic").loc["size with adam"]
    assert line["Advice"] == "does not matter: all diverse" and "with WD 0 (" in line["Why"]
    sizes[256] = cell(8, FIVE_LOW, FIVE_LOW, 6.0, 6.0)
    cells = verdict(*(rows.assign(HiddenSize=size) for size, rows in sizes.items()))
    line = recommend(cells, QUESTION, LIMITS).set_index("Topic").loc["size with adam"]
    assert line["Advice"] == "hidden 512 or more"


def test_recovering_models_survive_and_an_arm_that_its_outcome_speaks_against_is_out():
    helped = cell(8, FIVE_LOW, [20, 25, 19, 22, 24], control_loss=5.0, treatment_loss=5.0)
    assert advice(helped)["Stage-2 WD with adam"] == ("0", "High")
    worse = cell(80, [90, 88, 95, 91, 92], [30, 35, 28, 33, 31])  # at equal loss, and harmful
    assert advice(worse)["Stage-2 WD with adam"][0] == "0.05"
    few = cell(80, [90, 91], [90, 91])
    assert advice(few)["Stage-2 WD with adam"] == ("none of those tried", "")


@pytest.mark.parametrize("name", OUTCOMES)
def test_every_line_follows_from_one_ranking(name):
    cells = verdict(OUTCOMES[name], well(3.9))
    lines = recommend(cells, QUESTION, LIMITS).set_index("Topic")
    arms = best(cells, QUESTION, LIMITS)
    assert set(lines.loc["optimizer", "Advice"].split(" or ")) == set(arms["Optimizer"])
    for optimizer, group in arms.groupby("Optimizer"):
        advised = lines.loc[f"Stage-2 WD with {optimizer}", "Advice"].split(" or ")
        assert set(group["Value"]) <= set(advised)


def test_arms_of_another_axis_have_one_line_for_it():
    question = other(WARMUP, axis="optimizer", treatment="adamw", control="adam")
    rows = OUTCOMES["fixed"]
    names = rows["Stage2WD"].map({0.0: "adamw", 0.05: "adam"})
    cells = verdict(rows.assign(Optimizer=names, Stage2WD=0.0), question=question)
    table = recommend(cells, question, LIMITS)
    assert table["Topic"].tolist() == ["optimizer", "learning rate", "size"]
    assert table["Advice"][0] == "adamw"


def test_one_size_orders_nothing_and_a_split_vote_is_no_majority():
    assert scaling(verdict(SICK)).empty
    assert majority("collapsed 2/3, diverse 1/3") == "collapsed"
    assert majority("collapsed 1/2, diverse 1/2") == majority("") == ""
