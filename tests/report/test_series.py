"""Curves of a cell: the tables' values, means by hand, runs that diverged."""

import numpy as np
import pytest

from bitnet.figures.rows import prepared
from bitnet.report.series import BEFORE, MOST_POINTS, arms, lines
from tests.helpers.figures import diverging, study
from tests.helpers.tables import QUESTION, WARMUP


def of(rows, column="UniquePredictions", log=True, **fields):
    """Curves of the ternary runs under adam, by name."""
    rows = rows[(rows["Optimizer"] == "adam") & (rows["Weights"] == "ternary")]
    found = lines(prepared(rows, QUESTION), column, QUESTION, log, **fields)
    return {line.name: line for line in found}


def test_curves_hold_the_tables_values_and_their_mean():
    """Counts are (seed + 1) * 4, tenfold after the switch with WD 0: means by hand."""
    found = of(study((256,)), runs=True)
    assert list(found) == [BEFORE, "WD 0.05", "WD 0"]
    arm = found["WD 0"]
    assert list(arm.steps) == [300, 400, 500, 600]
    assert list(arm.low) == [4, 40, 40, 40] and list(arm.high) == [12, 120, 120, 120]
    assert arm.values[-1] == pytest.approx(10 * 4 * (1 * 2 * 3) ** (1 / 3))
    assert [list(run) for _, run in arm.runs][1] == [8, 80, 80, 80]
    assert list(found[BEFORE].steps) == [0, 100, 200, 300] and not found[BEFORE].label
    assert (arm.label, arm.colour) == ("WD 0", "treatment")


def test_a_run_that_diverged_is_out_of_the_mean():
    """Losses are 5 + seed; the third of three is lost."""
    arm = of(diverging(500), "ValLoss", log=False)["WD 0"]
    assert list(arm.values) == [5.5] * 4 and max(arm.high) == 6


def test_an_arm_whose_runs_all_diverged_is_drawn_as_far_as_it_went():
    rows = study((256,), seeds=1)
    lost = (rows["Stage2WD"] == 0) & (rows["Step"] >= 500)
    arm = of(rows.assign(ValLoss=rows["ValLoss"].mask(lost)))["WD 0 (diverged)"]
    assert list(arm.steps) == [300, 400] and arm.label == arm.name


def test_many_runs_are_a_band_and_many_evaluations_few_points():
    rows = study((256,), ("adam",), seeds=40)
    assert not any(line.runs for line in of(rows, runs=True).values())
    long = study((256,), ("adam",), seeds=1)
    long = long.loc[long.index.repeat(100)].reset_index(drop=True)
    long = long.assign(Step=np.tile(np.arange(700), len(long) // 700), Loss=5.0)
    for line in of(long).values():
        assert 30 < len(line.steps) <= MOST_POINTS
    assert of(long)["WD 0"].steps[-1] == 699


def test_a_third_arm_is_named_like_the_two():
    found = of(study((256,), decays=(0.05, 0.0, 0.01)))
    assert list(found) == [BEFORE, "WD 0.01", "WD 0.05", "WD 0"]
    assert len({line.colour for line in found.values()}) == 4


def test_one_seed_has_no_band():
    assert all(len(line.low) == 0 for line in of(study((256,), seeds=1)).values())


def test_arms_of_another_axis_share_no_start():
    rows = study((256,), ("adam",), decays=(0.0,))
    rows = rows.assign(Variant=np.where(rows["Seed"] == 0, "base", "warmup0"))
    rows = prepared(rows[rows["Weights"] == "ternary"], WARMUP)
    assert [colour for _, colour in arms(rows, WARMUP).values()] == ["control", "treatment"]
    found = {line.name: line for line in lines(rows, "ValLoss", WARMUP, False)}
    assert list(found) == ["warmup_steps 0", "warmup_steps 100"]
    treatment = found["warmup_steps 100"]
    assert treatment.steps[0] == 0 and treatment.label == "100"  # the question names the axis
