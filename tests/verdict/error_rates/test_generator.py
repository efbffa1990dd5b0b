"""The generator of runs: it finds the spread that was put in, and draws what it was told."""

import math

import numpy as np
import pandas as pd
import pytest

from bitnet.config.thresholds import Thresholds
from bitnet.verdict.error_rates.generator import (
    COLLAPSED,
    HEALTHY,
    RECOVERED,
    SEGMENTS,
    Truth,
    draw,
    fit,
    path,
)
from tests.helpers.tables import QUESTION

LIMITS = Thresholds()
CELL = {"HiddenSize": 256, "PeakLR": 1.5e-3, "Stage1WD": 0.1, "Variant": "base"}
SPREAD = np.zeros((2, 3, 2))
SPREAD[:, COLLAPSED] = [0.1, 0.01], [0.4, 0.02]  # level, then step; ln count, then nats
SPREAD[:, RECOVERED] = [0.2, 0.03], [0.1, 0.01]
SPREAD[:, HEALTHY] = [0.02, 0.004], [0.01, 0.002]


def study(rng, seeds: int, shared: float = 0.0, optimizers=("adam", "adamw")) -> pd.DataFrame:
    """Rows with this spread: `adam` goes from 6 to 5 and 90, `adamw` from 300 to 400 in both arms.

    shared: standard deviation of what both arms of a seed have in common.
    """
    tables, steps = [], np.tile([100, 200, 300, 400, 500], seeds)
    for optimizer in optimizers:
        healthy = optimizer == "adamw"
        common = shared * rng.standard_normal((seeds, 1, 2))
        for decay, end in ((0.05, 400 if healthy else 5), (0.0, 400 if healthy else 90)):
            kind = HEALTHY if healthy else COLLAPSED if end < 10 else RECOVERED
            level, step = SPREAD[:, kind]
            y = level * rng.standard_normal((seeds, 1, 2)) + common
            y = y + step * rng.standard_normal((seeds, 4, 2))
            counts = np.insert(end * np.exp(y[..., 0]), 0, 300 if healthy else 6, axis=1)
            columns = CELL | {"Optimizer": optimizer, "Weights": "ternary", "Stage2WD": decay}
            columns |= {"Step": steps, "SwitchStep": 100, "Seed": np.arange(seeds).repeat(5)}
            losses = np.insert(5 + y[..., 1], 0, 5, axis=1)
            columns |= {"UniquePredictions": counts.ravel(), "ValLoss": losses.ravel()}
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def test_the_spread_that_was_put_in_is_found_for_each_kind():
    # What both arms share strays far more than they do, and cancels where they are of one kind.
    rng = np.random.default_rng(0)
    rows = [study(rng, 1500, optimizers=["adam"]), study(rng, 1500, 0.5, optimizers=["adamw"])]
    found = fit(pd.concat(rows).sample(frac=1, random_state=0), QUESTION, LIMITS)
    assert found == pytest.approx(SPREAD, rel=0.12)


def test_a_seed_without_two_sound_arms_is_left_out():
    rows = study(np.random.default_rng(0), 5)
    four = fit(rows[rows["Seed"] < 4], QUESTION, LIMITS)
    assert (fit(rows, QUESTION, LIMITS) != four).any()
    one = (rows["Seed"] == 4) & (rows["Stage2WD"] == 0) & (rows["Step"] == 500)
    for column, value in (("ValLoss", math.nan), ("ValLoss", math.inf), ("UniquePredictions", 0)):
        bad = rows.copy()
        bad.loc[one, column] = value
        assert (fit(bad, QUESTION, LIMITS) == four).all()
    assert (fit(rows[(rows["Seed"] < 4) | (rows["Stage2WD"] > 0)], QUESTION, LIMITS) == four).all()


def test_a_kind_that_a_study_lacks_has_the_largest_spread_of_the_others():
    found = fit(study(np.random.default_rng(0), 5, optimizers=["adam"]), QUESTION, LIMITS)
    assert (found[:, HEALTHY] == found[:, :HEALTHY].max(axis=1)).all()


def test_other_points_than_the_headlines_are_not_fitted():
    rows = study(np.random.default_rng(0), 3)
    other = study(np.random.default_rng(1), 3).assign(HiddenSize=512)
    assert (fit(pd.concat([rows, other]), QUESTION, LIMITS) == fit(rows, QUESTION, LIMITS)).all()


def test_what_cannot_be_fitted_is_refused_in_one_line():
    rows = study(np.random.default_rng(0), 3)
    for bad in (rows[rows["Seed"] == 0], rows.assign(HiddenSize=512)):
        with pytest.raises(ValueError, match=r"no cell at the headline .* has two sound") as error:
            fit(bad, QUESTION, LIMITS)
        assert "\n" not in str(error.value)


def test_runs_without_spread_are_their_paths():
    truth = Truth(path(4), path([90, 70, 5, 4.4, 4.6]), path(1840, loss=1.5))
    runs = draw(truth, np.zeros((2, 3, 2)), 2, 3, np.random.default_rng(0))
    assert runs["control"].shape == (2, 3, 5, 2)
    assert (runs["control"][..., 0] == [90, 70, 5, 4, 5]).all()
    assert (runs["treatment"] == [1840, 1.5]).all()
    assert runs["trunk"][..., 1] == pytest.approx(0.2)  # as measured runs of that count


def test_draws_have_the_spread_that_they_were_told():
    # 400 of 2048, so that rounding and the vocabulary do not matter.
    truth = Truth(path(4), path(400, 1.0), path(400, 1.0), width=2)
    runs = draw(truth, SPREAD, 20000, 1, np.random.default_rng(0))
    y = {name: runs[name][:, 0] for name in SEGMENTS}
    for arm in (y["control"], y["treatment"]):
        arm[..., 0] = np.log(arm[..., 0])
        sd = [math.hypot(*SPREAD[:, RECOVERED, i]) for i in (0, 1)]
        assert arm.std(axis=0) == pytest.approx(np.tile(2 * np.array(sd), (5, 1)), rel=0.03)
    # Two evaluations of a run share its level; two runs share nothing.
    control, treatment = y["control"][..., 0], y["treatment"][..., 0]
    assert np.corrcoef(control[:, 1], control[:, 4])[0, 1] == pytest.approx(0.04 / 0.05, abs=0.02)
    assert np.corrcoef(control[:, 4], treatment[:, 4])[0, 1] == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize(
    ("trunk", "end", "kind"), [(4, 4, COLLAPSED), (4, 30, RECOVERED), (380, 380, HEALTHY)]
)
def test_kinds_have_each_their_own_spread(trunk, end, kind):
    truth = Truth(path(trunk), path(end, 1), path(end, 1))
    loss = draw(truth, SPREAD, 5000, 1, np.random.default_rng(0))["treatment"][..., 1]
    assert loss.std() == pytest.approx(math.hypot(*SPREAD[:, kind, 1]), rel=0.03)


def test_counts_are_integers_from_1_to_the_vocabulary():
    wide = Truth(path(4), path(1.2), path(2000), width=5)
    runs = draw(wide, SPREAD, 200, 3, np.random.default_rng(0))
    counts = np.concatenate([y[..., 0].ravel() for y in runs.values()])
    assert (counts == counts.round()).all() and (counts.min(), counts.max()) == (1, 2048)


def test_heavy_tails_have_the_same_spread_and_more_outliers():
    told = {}
    for heavy in (False, True):
        truth = Truth(path(4), path(30, 1), path(30, 1), heavy=heavy)
        runs = draw(truth, SPREAD, 20000, 1, np.random.default_rng(0))
        told[heavy] = runs["control"][..., 1]
    sd = math.hypot(*SPREAD[:, RECOVERED, 1])
    assert told[True].std() == pytest.approx(sd, rel=0.1)
    beyond = {heavy: (abs(loss - 1) > 4 * sd).mean() for heavy, loss in told.items()}
    assert beyond[True] > 0.002 > 0.0005 > beyond[False]


def test_runs_diverge_as_often_as_told_and_each_arm_alone():
    truth = Truth(path(4), path(30), path(30), diverging=(0.2, 0.8))
    runs = draw(truth, SPREAD, 2000, 5, np.random.default_rng(0))
    assert not np.isnan(runs["trunk"]).any()
    control, treatment = (np.isnan(runs[name][..., 1]).any(axis=-1) for name in SEGMENTS[1:])
    assert control.mean() == pytest.approx(0.2, abs=0.02)
    assert treatment.mean() == pytest.approx(0.8, abs=0.02)
    assert (control & treatment).mean() == pytest.approx(0.16, abs=0.02)
