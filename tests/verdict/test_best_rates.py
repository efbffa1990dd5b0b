"""Arms at each one's best learning rate: rates, differences, widths, by hand and brute force."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bitnet.config.question import Question
from bitnet.verdict.best_rates import best_rates, equal_width, section
from tests.helpers.rates import PRICED, RATES, SEEDS, TERNARY, TWIN, WEIGHTS, chosen, priced
from tests.helpers.tables import LIMITS, QUESTION


def found(rows: pd.DataFrame, question: Question = WEIGHTS) -> pd.DataFrame:
    return best_rates(rows, LIMITS, question).set_index("HiddenSize")


def interval(values) -> list[float]:
    """Mean and 95 % t-interval, from the formula."""
    half = stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / len(values) ** 0.5
    return [np.mean(values), np.mean(values) - half, np.mean(values) + half]


def test_each_arm_has_the_rate_of_its_own_lowest_loss():
    table = found(priced())
    assert table["ControlPeakLR"].to_dict() == dict.fromkeys((64, 128, 256), 2e-3)
    assert table["TreatmentPeakLR"].to_dict() == {64: 4e-3, 128: 2e-3, 256: 2e-3}
    assert table["ControlValLoss"].to_list() == pytest.approx([4.8, 4.5, 4.3])
    assert table["TreatmentValLoss"].to_list() == pytest.approx([5.0, 4.6, 4.4])
    assert table["TreatmentEdge"].to_dict() == {64: "highest", 128: "", 256: ""}
    assert set(table["ControlEdge"]) == {""} and set(table["Seeds"]) == {3}


def test_the_difference_is_paired_by_seed():
    deltas = np.array([5.0 - 4.8] * 3) + SEEDS[TERNARY] - np.array(SEEDS[TWIN])
    own = found(priced()).loc[64, ["DeltaValLoss", "DeltaValLossLow", "DeltaValLossHigh"]]
    assert own.to_list() == pytest.approx(interval(deltas))


def test_a_rate_at_which_a_run_diverged_is_none_to_choose():
    rows = priced()
    lost = chosen(rows, 128, TERNARY, 2e-3, seed=1) & (rows["Step"] >= 500)
    table = found(rows.assign(ValLoss=rows["ValLoss"].mask(lost)))
    assert table.loc[128, "TreatmentPeakLR"] == 4e-3
    assert table.loc[128, "TreatmentValLoss"] == pytest.approx(4.7)


def test_a_rate_without_one_of_the_seeds_is_none_to_choose():
    rows = priced()
    table = found(rows[~chosen(rows, 128, TERNARY, 2e-3, seed=0)])
    assert table.loc[128, "TreatmentPeakLR"] == 4e-3 and table.loc[128, "Seeds"] == 3


@pytest.mark.parametrize("end", [0, 2])
def test_the_last_rate_before_those_that_diverged_is_at_no_edge(end):
    """What lies beyond it is known: it diverges."""
    losses = [4.9, 4.9, 4.9]
    losses[end], losses[1] = math.inf, 4.6
    table = found(priced(PRICED | {(128, TERNARY): losses}))
    assert table.loc[128, ["TreatmentPeakLR", "TreatmentEdge"]].to_list() == [2e-3, ""]


def test_where_runs_diverged_at_every_rate_there_is_no_best_one_and_nothing_is_compared():
    rows = priced()
    lost = (rows["HiddenSize"] == 128) & (rows["Weights"] == TERNARY) & (rows["Seed"] == 0)
    rows["ValLoss"] = rows["ValLoss"].mask(lost & (rows["Step"] >= 500))
    table = best_rates(rows, LIMITS, WEIGHTS)
    own = table.set_index("HiddenSize").loc[128]
    assert math.isnan(own["TreatmentPeakLR"]) and math.isnan(own["DeltaValLoss"])
    assert own["ControlPeakLR"] == 2e-3 and own["Seeds"] == 0
    text = section(table, WEIGHTS, LIMITS)
    assert "none without divergence" in text and "nan" not in text
    # a line between 64 and 256 is still a line: twin 128 at half the way from 5.0 to 4.4
    assert own["WidthFactor"] == pytest.approx(2 ** (6 + 2 * (5.0 - 4.5) / 0.6) / 128)


def test_the_width_of_a_ternary_model_that_equals_its_twin():
    """Half the way between two sizes each, by the table: 64 -> 90.5, 128 -> 181, 256 -> beyond."""
    table = found(priced())
    assert table["WidthFactor"].to_list()[:2] == pytest.approx([2**0.5, 2**0.5])
    assert table["Beyond"].to_dict() == {64: "", 128: "", 256: "more than 256"}
    assert math.isnan(table.loc[256, "WidthFactor"]) and table["SeedsBeyond"].to_list() == [0, 0, 3]


def test_its_interval_is_found_seed_by_seed():
    deltas = np.array(SEEDS[TERNARY]) - SEEDS[TWIN]
    # ternary falls by 0.4 from 64 to 128 in every seed: the way, in octaves
    steps = (5.0 - 4.8 + deltas) / 0.4
    own = found(priced()).loc[64, ["WidthFactorLow", "WidthFactorHigh"]]
    assert own.to_list() == pytest.approx([2**value for value in interval(steps)[1:]])


def test_a_seed_beyond_the_sizes_leaves_no_interval_and_is_counted():
    table = found(priced(PRICED | {(128, TWIN): (4.7, 4.405, 4.8)}))
    own = table.loc[128]
    assert own["SeedsBeyond"] == 1 and own["Beyond"] == ""  # 4.42 above 4.405 in the last seed
    assert own["WidthFactor"] > 1.9 and math.isnan(own["WidthFactorLow"])


def test_a_ternary_model_better_than_any_twin_is_less_than_the_smallest_size():
    table = found(priced(PRICED | {(64, TERNARY): (4.9, 4.7, 4.8)}))
    assert table.loc[64, "Beyond"] == "less than 64" and math.isnan(table.loc[64, "WidthFactor"])


@pytest.mark.parametrize("target", [4.39, 4.4, 4.45, 4.6, 4.77, 5.0, 5.01])
def test_the_width_is_that_of_an_interpolation(target):
    sizes, losses = (64, 128, 256), (5.0, 4.6, 4.4)
    expected = 2 ** np.interp(target, losses[::-1], np.log2(sizes)[::-1])
    expected = math.inf if target < 4.4 else 0.0 if target > 5.0 else expected
    assert equal_width(sizes, losses, target) == pytest.approx(expected)


def test_where_losses_rise_again_the_least_width_counts():
    assert equal_width((64, 128, 256, 512), (5.0, 4.6, 4.8, 4.4), 4.7) == pytest.approx(
        64 * 2**0.75
    )


@pytest.mark.parametrize("seed", range(5))
def test_random_studies_by_brute_force(seed):
    rng = np.random.default_rng(seed)
    losses = {key: tuple(rng.uniform(4, 5, 3)) for key in PRICED}
    seeds = {weights: tuple(rng.normal(0, 0.1, 4)) for weights in SEEDS}
    table = found(priced(losses, seeds))
    for size, (arm, weights) in itertools.product(
        (64, 128, 256), {"Treatment": TERNARY, "Control": TWIN}.items()
    ):
        row = losses[size, weights]
        assert table.loc[size, f"{arm}PeakLR"] == RATES[row.index(min(row))]
        assert table.loc[size, f"{arm}ValLoss"] == pytest.approx(min(row) + np.mean(seeds[weights]))
    for size in (64, 128, 256):
        least = [min(losses[size, weights]) + np.array(seeds[weights]) for weights in SEEDS]
        own = table.loc[size, ["DeltaValLoss", "DeltaValLossLow", "DeltaValLossHigh"]]
        assert own.to_list() == pytest.approx(interval(least[0] - least[1]))


def test_of_two_rates_or_of_the_rate_itself_nothing_is_said():
    rows = priced()
    assert best_rates(rows[rows["PeakLR"] < 4e-3], LIMITS, WEIGHTS).empty
    fields = WEIGHTS.to_dict() | {"axis": "peak_lr", "treatment": 1e-3, "control": 2e-3}
    assert best_rates(rows, LIMITS, Question.from_dict(fields | {"default": 1e-3})).empty


def test_another_question_has_a_row_for_both_weights_and_no_width():
    rows = pd.concat([priced(), priced().assign(Stage2WD=0.05, ValLoss=lambda r: r["ValLoss"] + 1)])
    table = best_rates(rows, LIMITS, QUESTION)
    assert len(table) == 6 and "WidthFactor" not in table
    assert table["DeltaValLoss"].to_list() == pytest.approx([-1] * 6)
    text = section(table, QUESTION, LIMITS)
    assert "| 64 adam ternary" in text and "| 64 adam twin" in text and "equals" not in text


def test_the_section_says_what_the_table_has():
    text = section(best_rates(priced(), LIMITS, WEIGHTS), WEIGHTS, LIMITS)
    notes = " ".join(text.split())
    cells = [[cell.strip() for cell in line.split("|")] for line in text.splitlines()[4:7]]
    assert text.startswith("## At each one's best learning rate\n")
    assert cells[0][1:6] == ["64 adam", "2e-3", "4.800", "4e-3 (highest)", "5.000"]
    assert [row[7].split(" (")[0] for row in cells] == ["91", "181", "more than 256"]
    assert cells[0][7].startswith("91 (x 1.41 [1.") and "nan" not in text
    assert "chosen by the same seeds" in notes and "a rate beyond may be better" in notes


def test_without_a_best_rate_at_an_edge_edges_are_not_explained():
    text = section(
        best_rates(priced(PRICED | {(64, TERNARY): (5.8, 5.0, 5.2)}), LIMITS, WEIGHTS),
        WEIGHTS,
        LIMITS,
    )
    assert "highest" not in text


def test_one_seed_has_no_interval():
    rows = priced()
    text = section(best_rates(rows[rows["Seed"] == 0], LIMITS, WEIGHTS), WEIGHTS, LIMITS)
    assert "| +0.190 " in text and "nan" not in text
