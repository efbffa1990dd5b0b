"""The verdict: arithmetic by hand, every outcome, and what must not change it."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bitnet.verdict.outcomes import MEANINGS
from bitnet.verdict.report import markdown
from tests.helpers.tables import (
    FIVE_HIGH,
    FIVE_LOW,
    LIMITS,
    OUTCOMES,
    QUESTION,
    TWINS,
    broken,
    cell,
    other,
    verdict,
)


@pytest.mark.parametrize("expected", OUTCOMES)
def test_every_outcome_is_reached_and_explained(expected):
    cells = verdict(OUTCOMES[expected])
    assert cells["Outcome"].tolist() == [expected]
    text = markdown(cells, QUESTION, LIMITS, "Weight decay")
    assert f"| {expected} " in text and f"**{expected}**" in text


def test_deltas_are_logs_of_means_of_the_last_three_evaluations():
    rows = cell(8, [10, 10, 10], [20, 20, 40], treatment_loss=3.5)
    last = (rows["Stage2WD"] == 0) & (rows["Seed"] == 0) & (rows["Step"] == 600)
    rows.loc[last, "UniquePredictions"] = 50  # seed 0 ends at (20 + 20 + 50) / 3 = 30
    row = verdict(rows).iloc[0]
    assert row["DeltaUniquePredictions"] == pytest.approx(math.log(3 * 2 * 4) / 3)
    assert row["TreatmentUnique"] == pytest.approx((30 + 20 + 40) / 3)
    assert row["DeltaPDR"] == pytest.approx(math.log(2 * 2 * 4) / 3)
    assert row["DeltaValLoss"] == pytest.approx(-0.5)


def test_holm_corrects_in_two_families_and_not_the_headline():
    """Its twin and the other optimizers at its point are one; all other cells the other."""
    weak = cell(8, FIVE_LOW, [11, 12, 13, 10, 14])
    places = {
        1: [{}],
        3: [{"Weights": "full_precision"}, {"Optimizer": "adamw"}, {"Optimizer": "adamw-all"}],
        4: [
            {"Weights": "full_precision", "Optimizer": "adamw"},
            {"HiddenSize": 512},
            {"Variant": "clip0.1"},
            {"HiddenSize": 512, "Weights": "full_precision"},
        ],
    }
    cells = verdict(*(weak.assign(**place) for group in places.values() for place in group))
    times = sorted((cells["HolmP"] / cells["P"]).round(6))
    assert times == [n for n, group in places.items() for _ in group]
    assert (cells["HolmP"] / cells["P"])[cells["Headline"]].tolist() == [1]


def test_correction_can_take_significance_away():
    weak = cell(8, [8, 8, 8, 8, 8], [15, 24, 30, 12, 13])  # p = 0.032: alone it helps
    assert verdict(weak)["Outcome"].tolist() == ["helps"]
    others = [weak.assign(HiddenSize=size) for size in (512, 768, 1024)]
    assert verdict(weak, *others)["Outcome"].tolist() == ["helps"] + ["inconclusive"] * 3


def test_fixed_needs_a_control_that_is_diverse_in_no_more_than_half():
    two = verdict(cell(8, [12, 12, 60, 60], [600, 650, 620, 640]))
    assert two["Outcome"].tolist() == ["fixed"]  # few is the rest of most
    cells = verdict(cell(8, [12, 60, 60, 60], [600, 650, 620, 640]))
    assert cells["Outcome"].tolist() == ["recovers either way"]


def test_most_is_more_than_half():
    cells = verdict(cell(8, [8, 9, 8, 9], [90, 90, 30, 30]))
    assert cells["Outcome"].tolist() == ["helps"]


def test_few_seeds_are_marked_and_under_three_there_is_no_verdict():
    notes = {n: verdict(cell(8, FIVE_LOW[:n], FIVE_HIGH[:n])).iloc[0] for n in (1, 2, 4, 5)}
    assert notes[5]["Note"] == "" and notes[4]["Note"] == "few seeds (4)"
    assert notes[4]["Outcome"] == "fixed"
    assert notes[2]["Outcome"] == notes[1]["Outcome"] == "no verdict"
    assert notes[2]["Note"] == "under 3 seeds that can be compared (2)"
    assert math.isnan(notes[1]["DeltaUniquePredictionsLow"])


@pytest.mark.parametrize(("decay", "name"), [(0.0, "no run with WD 0"), (0.05, "WD 0.05")])
def test_a_missing_arm_is_no_verdict_and_is_named(decay, name):
    rows = OUTCOMES["fixed"]
    cells = verdict(rows[rows["Stage2WD"] != decay])
    assert cells["Outcome"].tolist() == ["no verdict"]
    assert name in cells["Note"][0] and cells["TrunkStates"][0] == "collapsed 5/5"
    markdown(cells, QUESTION, LIMITS, "Weight decay")


def test_a_seed_with_one_arm_is_left_out_and_named():
    rows = OUTCOMES["fixed"]
    row = verdict(rows[(rows["Stage2WD"] != 0) | (rows["Seed"] != 3)]).iloc[0]
    assert row["Seeds"] == 4 and row["Outcome"] == "fixed"
    assert row["Note"] == "no WD 0 for seed 3; few seeds (4)"


def test_a_diverged_or_invalid_seed_is_left_out_of_the_effect_but_counted():
    rows = OUTCOMES["fixed"].copy()
    rows.loc[(rows["Stage2WD"] == 0) & (rows["Seed"] == 1), "ValLoss"] = np.nan
    rows.loc[(rows["Stage2WD"] == 0.05) & (rows["Seed"] == 2), "UniquePredictions"] = 0
    row = verdict(rows).iloc[0]
    assert row["Seeds"] == 3
    assert row["TreatmentStates"] == "diverse 4/5, diverged 1/5"
    assert row["ControlStates"] == "collapsed 4/5, invalid 1/5"
    assert "seed 1 left out (WD 0 diverged)" in row["Note"]
    assert "seed 2 left out (WD 0.05 invalid)" in row["Note"]


def test_all_diverged_is_no_verdict_without_a_crash():
    cells = verdict(OUTCOMES["fixed"].assign(Loss=np.nan))
    assert cells["Outcome"].tolist() == ["no verdict"]
    text = markdown(cells, QUESTION, LIMITS, "Weight decay")
    assert "| diverged " in text and "nan" not in text


def test_equal_arms_are_no_effect_though_nothing_varies():
    row = verdict(cell(80, [90] * 5, [90] * 5)).iloc[0]
    assert row["Outcome"] == "no effect (nothing to fix)"
    assert (row["P"], row["TostP"], row["TostValLossP"], row["Detectable"]) == (1, 0, 0, 0)


def test_equal_counts_with_another_loss_are_not_no_effect():
    cells = verdict(cell(80, [90] * 5, [90] * 5, treatment_loss=3.9))
    assert cells["Outcome"].tolist() == ["lower loss"]


def test_on_blind_corpora_pdr_decides():
    blind = {"Blind": True, "PDR": 0.4}
    rows = cell(8, FIVE_LOW, FIVE_HIGH, **blind)
    row = verdict(rows).iloc[0]
    assert row["Primary"] == "PDR" and row["P"] == 1
    assert "ln PDR is the primary effect" in row["Note"]
    assert row["Outcome"] == "no effect (nothing to fix)"
    text = markdown(verdict(rows), QUESTION, LIMITS, "Synthetic text")
    assert "| ratio of PDR [95%] " in text and "| ratio of counts [95%] " in text
    assert "collapsed: PDR under 10% of the trigram's, diverse: over 50%" in " ".join(text.split())


def test_the_trunks_own_file_may_stand_beside_its_arms():
    rows = OUTCOMES["fixed"]
    trunks = rows[(rows["Stage2WD"] == 0) & (rows["Step"] <= 300)].assign(Stage2WD=np.nan)
    pd.testing.assert_frame_equal(verdict(rows, trunks), verdict(rows))


def test_arms_that_can_share_no_trunk_are_noted():
    rows = OUTCOMES["fixed"].copy()
    rows.loc[(rows["Stage2WD"] == 0) & (rows["Step"] == 200), "ValLoss"] = 3.9
    assert "not one trunk" in verdict(rows)["Note"][0]


@pytest.mark.parametrize(
    ("column", "value"), [("N", 20), ("VocabSize", 512), ("DataHash", "ffffffffffff")]
)
def test_rows_that_disagree_are_refused_in_one_line_that_names_them(column, value):
    rows = [OUTCOMES["fixed"], OUTCOMES["helps"].assign(HiddenSize=512, **{column: value})]
    with pytest.raises(ValueError, match=f"^results disagree in {column}: .*{value}") as error:
        verdict(*rows)
    assert "\n" not in str(error.value)


def test_tables_that_cannot_be_one_study_are_refused():
    rows = OUTCOMES["fixed"]
    with pytest.raises(ValueError, match="two rows of one run and step: HiddenSize 256"):
        verdict(rows, rows)
    with pytest.raises(ValueError, match="lack the columns PDR"):
        verdict(rows.drop(columns="PDR"))
    with pytest.raises(ValueError, match="no rows"):
        verdict(rows.iloc[:0])
    with pytest.raises(ValueError, match="rows without Seed"):
        verdict(rows.assign(Seed=np.nan))
    short = rows[(rows["Stage2WD"] != 0) | (rows["Step"] < 600)]
    with pytest.raises(ValueError, match="seed 0: arms end at different steps, 500 and 600"):
        verdict(short)


def test_a_headline_is_one_cell():
    rows = [OUTCOMES["fixed"], OUTCOMES["fixed"].assign(PeakLR=5e-4)]
    with pytest.raises(ValueError, match=r"fits 2 cells: 256/0\.0005/1\.0/base/adam"):
        verdict(*rows)
    named = other(QUESTION, headline={**QUESTION.headline, **{"peak_lr": 1.5e-3}})
    cells = verdict(*rows, question=named)
    assert cells["Headline"].tolist() == [False, True]
    assert "| 256 adam ternary lr0.0015 " in markdown(cells, named, LIMITS, "Rates")
    with pytest.raises(ValueError, match=r"headline is .size.; allowed: one of variant, hid"):
        other(QUESTION, headline={"size": 256})


ROWS = pd.concat([OUTCOMES["fixed"], TWINS["no"], OUTCOMES["helps"].assign(HiddenSize=512)])
CELLS = verdict(ROWS)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (OUTCOMES["fixed"], "High"),
        (OUTCOMES["no effect (nothing to fix)"], "High"),  # the interval lies inside the bounds
        (cell(8, [8, 9, 7], [88, 92, 80]), "Medium"),  # few seeds
        (cell(8, FIVE_LOW, [88, 92, 80, 45, 89]), "Medium"),  # one seed in another state
        (cell(8, [30] * 5, [36, 45, 37, 44, 42]), "Medium"),  # interval across a bound
        (cell(8, [8, 9, 7], [88, 92, 30]), "Low"),
        (OUTCOMES["stays collapsed"], "High"),
        (OUTCOMES["diverges"], "High"),  # states decide it, no interval
        (broken(cell(8, [8], [90]), 0.0), ""),  # one seed
        (OUTCOMES["no verdict"], ""),  # no claim
        (OUTCOMES["inconclusive"], ""),
    ],
)
def test_confidence_counts_seeds_agreement_and_a_decisive_interval(rows, expected):
    assert verdict(rows)["Confidence"].tolist() == [expected]


@settings(max_examples=6, deadline=None)
@given(st.permutations(range(len(ROWS))))
def test_the_order_of_rows_changes_nothing(order):
    pd.testing.assert_frame_equal(verdict(ROWS.iloc[order]), CELLS, check_exact=True)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 2048), st.integers(1, 2048)), min_size=1, max_size=6),
    st.integers(1, 2048),
)
def test_any_counts_give_an_outcome_and_swapped_arms_the_opposite_effect(pairs, trunk):
    control, treatment = (list(counts) for counts in zip(*pairs, strict=True))
    row = verdict(cell(trunk, control, treatment)).iloc[0]
    swapped = verdict(cell(trunk, treatment, control)).iloc[0]
    assert row["Outcome"] in MEANINGS
    assert row["DeltaUniquePredictions"] == pytest.approx(-swapped["DeltaUniquePredictions"])
    assert row["P"] == pytest.approx(swapped["P"], nan_ok=True)
