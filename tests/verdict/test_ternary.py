"""Whether collapse and effect are those of ternary weights, by hand."""

import pandas as pd
import pytest

from tests.helpers.tables import FIVE_HIGH, FIVE_LOW, OUTCOMES, TWINS, WARMUP, cell, twin, verdict


def ternary(*cells, **others) -> tuple[str, str]:
    """Both answers of the ternary cell."""
    row = verdict(*cells, **others).set_index("Weights").loc["ternary"]
    return row["CollapseTernary"], row["EffectTernary"]


@pytest.mark.parametrize(
    ("expected", "collapse"), [("no", "no"), ("yes", "yes"), ("undecided", "no")]
)
def test_an_effect_is_ternarys_only_against_a_twin_that_lacks_most_of_it(expected, collapse):
    cells = [OUTCOMES["fixed"], TWINS[expected]]
    assert ternary(*cells) == (collapse, expected)
    twins = verdict(*cells).set_index("Weights").loc["full_precision"]
    assert twins["CollapseTernary"] == twins["EffectTernary"] == "n.a."


def test_half_of_the_effect_is_the_border():
    # Ternary x16. A twin of x5 shows more than the half of it, x4; one of x3 less.
    own = cell(5, [10] * 5, [160] * 5)
    assert ternary(own, twin(cell(5, [10] * 5, [50] * 5)))[1] == "no"
    assert ternary(own, twin(cell(5, [10] * 5, [40] * 5)))[1] == "undecided"
    assert ternary(own, twin(cell(5, [10] * 5, [30] * 5)))[1] == "yes"


def test_a_larger_effect_of_the_twin_is_a_no_and_the_opposite_one_a_yes():
    own = cell(5, FIVE_LOW, FIVE_HIGH)
    assert ternary(own, twin(cell(5, FIVE_LOW, [880, 920, 800, 950, 890])))[1] == "no"
    assert ternary(own, twin(cell(5, FIVE_HIGH, FIVE_LOW)))[1] == "yes"
    harmed = cell(80, [90, 88, 95, 91, 92], [30, 35, 28, 33, 31])
    assert ternary(harmed, twin(harmed))[1] == "no"
    assert ternary(harmed, twin(cell(80, FIVE_HIGH, FIVE_HIGH)))[1] == "yes"


def test_without_an_effect_there_is_none_to_ask_about():
    alike = OUTCOMES["no effect (nothing to fix)"]
    assert ternary(alike, twin(OUTCOMES["fixed"])) == ("undecided", "none shown")
    assert ternary(alike, twin(alike)) == ("no collapse", "none shown")


def test_without_a_twin_of_the_same_cell_both_are_not_applicable():
    assert set(ternary(OUTCOMES["fixed"])) == {"n.a."}
    cells = verdict(OUTCOMES["fixed"], twin(OUTCOMES["fixed"], Optimizer="adamw"))
    assert set(cells["CollapseTernary"]) == set(cells["EffectTernary"]) == {"n.a."}


def test_two_shared_seeds_decide_nothing():
    rows = TWINS["no"]
    assert ternary(OUTCOMES["fixed"], rows[rows["Seed"] < 2]) == ("undecided", "undecided")


def test_arms_that_share_no_trunk_are_asked_by_the_ends_of_the_control():
    def warmed(rows):
        names = {0.0: "base", 0.05: "warmup0"}
        return rows.assign(Variant=rows["Stage2WD"].map(names), Stage2WD=0.0)

    # Trunks of all runs are healthy; only ternary controls end stuck.
    rows = [warmed(cell(80, FIVE_LOW, FIVE_HIGH)), warmed(twin(cell(80, FIVE_HIGH, FIVE_HIGH)))]
    assert ternary(*rows, question=WARMUP) == ("yes", "yes")


def test_trunks_on_the_edge_are_no_proof_that_collapse_is_ternarys():
    """Two of three against one of three collapsed comes about by chance in one of two studies."""

    def trunks(*counts):
        return pd.concat(cell(n, [8], [90]).assign(Seed=seed) for seed, n in enumerate(counts))

    assert ternary(trunks(9, 9, 12), twin(trunks(9, 12, 12)))[0] == "undecided"
    assert ternary(trunks(9, 9, 9), twin(trunks(12, 12, 12)))[0] == "yes"
    assert ternary(trunks(9, 9, 12), twin(trunks(9, 12, 9)))[0] == "no"
