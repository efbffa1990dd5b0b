"""The generator of synthetic studies: it finds what was put in, and draws what it was told."""

import dataclasses
import math
from itertools import product

import numpy as np
import pandas as pd
import pytest

from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.metrics import COLUMNS
from bitnet.verdict.error_rates.generator import SEGMENTS, FittedCell, Path, draw, fit, table
from bitnet.verdict.error_rates.variance_components import Noise, autocorrelation, components
from bitnet.verdict.rule import judge
from tests.helpers.tables import QUESTION, run

STEPS, SWITCH = np.arange(0, 1700, 100), 800  # 9 evaluations up to the switch and 8 after it
ARMS = {"control": 0.05, "treatment": 0.0}


def trajectory(rng, trunk, control, treatment, sd) -> dict[str, np.ndarray]:
    """Counts of a seed around a level a segment."""
    counts = {}
    for name, level, length in (
        ("trunk", trunk, 9),
        ("control", control, 8),
        ("treatment", treatment, 8),
    ):
        counts[name] = np.maximum(1, np.rint(level * np.exp(sd * rng.standard_normal(length))))
    return counts


def runs_of(seed: int, counts: dict[str, np.ndarray], **columns) -> pd.DataFrame:
    """Both arms of a seed as the pipeline's rows; the loss falls as the counts grow."""
    tables = []
    for arm, decay in ARMS.items():
        count = np.concatenate([counts["trunk"], counts[arm]]).astype(int)
        values = run(seed, decay, 8, 8).iloc[0].to_dict() | {
            "Step": STEPS,
            "Loss": np.where(STEPS > 0, 4.0, np.nan),
            "UniquePredictions": count,
            "PDR": count / 700,
            "ValLoss": 6.2 - np.log(count) / 3,
            "SwitchStep": SWITCH,
        }
        tables.append(pd.DataFrame(values | columns))
    return pd.concat(tables)


def study(seeds=3, sd=0.1, treatment=90.0) -> pd.DataFrame:
    """A coupled cell (trunk 6, control 5) and a healthy one, with their twins."""
    rng, tables = np.random.default_rng(1), []
    levels = {"adam": (6, 5, treatment), "adamw": (300, 400, 400)}
    for weights, (optimizer, ends) in product(("ternary", "full_precision"), levels.items()):
        for seed in range(seeds):
            counts = trajectory(rng, *ends, sd)
            tables.append(runs_of(seed, counts, Optimizer=optimizer, Weights=weights))
    return pd.concat(tables, ignore_index=True)


def key(optimizer="adam", weights="ternary") -> tuple:
    return (256, 1.5e-3, 1.0, "base", optimizer, weights)


def series(rng, shape, length, rho):
    """AR(1) with variance 1 by its recursion, (*shape, length)."""
    values = [rng.standard_normal(shape)]
    for _ in range(length - 1):
        values.append(rho * values[-1] + math.sqrt(1 - rho**2) * rng.standard_normal(shape))
    return np.stack(values, axis=-1)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.8])
def test_the_autocorrelation_is_found_though_six_evaluations_hide_most_of_it(rho):
    rng = np.random.default_rng(0)
    found = autocorrelation([series(rng, (3000, 3), 6, rho).swapaxes(1, 2) + 5 for _ in range(2)])
    assert found == pytest.approx(rho, abs=0.05)


def test_the_components_that_were_put_in_are_found():
    # Shares of the variance: seed 0.5, branch 0.2, batch 0.1, step 0.2; counts and PDR correlate
    # by 0.8, the loss with neither.
    rng, seeds, rho = np.random.default_rng(0), 4000, 0.4
    mixing = np.linalg.cholesky([[1, 0.8, 0], [0.8, 1, 0], [0, 0, 1]]).T
    shares = {"seed": 0.5, "branch": 0.2, "batch": 0.1, "step": 0.2}

    def level(share):
        return math.sqrt(share) * rng.standard_normal((seeds, 1, 3)) @ mixing

    def steps(share):
        return math.sqrt(share) * series(rng, (seeds, 3), 5, rho).swapaxes(1, 2) @ mixing

    shared = level(0.5) + steps(0.1)
    arms = [shared + level(0.2) + steps(0.2) for _ in ARMS]
    found = components([tuple(arm - arm.mean(axis=0) for arm in arms)], rho)
    for name, share in shares.items():
        part = getattr(found, name)
        assert np.diag(part) == pytest.approx(3 * [share], abs=0.03), name
        assert part[0, 1] == pytest.approx(0.8 * share, abs=0.03), name
        assert part[0, 2] == pytest.approx(0, abs=0.03), name


def test_components_are_pooled_over_a_cell_and_its_twin():
    # One of the twins has arms that never part, the other arms that share nothing.
    rng = np.random.default_rng(0)
    same, one, other = rng.standard_normal((3, 4000, 5, 1))
    strays = [
        tuple(arm - arm.mean(axis=0) for arm in pair) for pair in ((same, same), (one, other))
    ]
    assert components(strays[:1], 0.0).step == pytest.approx(0, abs=1e-9)
    assert components(strays[1:], 0.0).batch == pytest.approx(0, abs=0.03)
    assert components(strays, 0.0).batch == pytest.approx(0.5, abs=0.03)


def test_mean_and_spread_are_those_of_the_logarithms_over_the_last_evaluations():
    rows = study(seeds=4)
    own = rows[(rows["Optimizer"] == "adam") & (rows["Weights"] == "ternary")]
    arm = own[(own["Stage2WD"] == 0) & (own["Step"] > SWITCH)]
    wide = np.log(arm.pivot(index="Seed", columns="Step", values="UniquePredictions"))
    found = fit(rows, QUESTION)[key()]
    assert found.treatment.mean[:, 0] == pytest.approx(wide.mean().to_numpy())
    variance = wide.var(ddof=1).iloc[-4:].mean()  # the last half of eight evaluations
    assert found.treatment.spread[0] == pytest.approx(math.sqrt(variance))
    assert found.seeds == 4


def test_the_order_of_rows_changes_nothing():
    rows = study()
    shuffled = fit(rows.sample(frac=1, random_state=0), QUESTION)
    for name, cell in fit(rows, QUESTION).items():
        for segment in SEGMENTS:
            one, other = getattr(cell, segment), getattr(shuffled[name], segment)
            assert all((getattr(one, f) == getattr(other, f)).all() for f in ("mean", "spread"))
        assert (cell.noise.seed == shuffled[name].noise.seed).all()
        assert cell.noise.autocorrelation == shuffled[name].noise.autocorrelation


def test_a_seed_that_diverged_is_left_out():
    rows = study(seeds=4)
    bad = (rows["Seed"] == 3) & (rows["Stage2WD"] == 0)
    three = fit(rows[rows["Seed"] < 3], QUESTION)[key()]
    for column, value in {"ValLoss": np.nan, "Loss": np.inf, "UniquePredictions": 0}.items():
        rows = study(seeds=4)
        rows.loc[bad & (rows["Step"] == 1600), column] = value
        found = fit(rows, QUESTION)[key()]
        assert found.seeds == 3 and (found.control.mean == three.control.mean).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda rows: rows[rows["Seed"] == 0], "adam/full_precision has 1 seeds with two sound"),
        (lambda rows: rows[rows["Stage2WD"] == 0], "has 0 seeds with two sound arms, needed are 2"),
        (lambda rows: rows[(rows["Seed"] > 0) | (rows["Step"] != 1000)], "at different steps"),
        (lambda rows: rows[rows["Step"] <= 900], "fewer than two evaluations on a side"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_one_line(change, words):
    with pytest.raises(ValueError, match=words) as error:
        fit(change(study()), QUESTION)
    assert "\n" not in str(error.value)


def known_cell(spread=(0.2, 0.1, 0.05), rho=0.5, counts=400.0) -> FittedCell:
    """A generator that was told everything: half of the variance shared, half of it level."""
    mean = np.column_stack([np.full(9, math.log(counts)), np.full(9, -2.0), np.full(9, 3.0)])
    path = Path(mean, np.array(spread), np.zeros(9))
    correlation = np.array([[1, 0.6, -0.4], [0.6, 1, 0], [-0.4, 0, 1]]) / 4
    rows = fit(study(), QUESTION)[key()].rows
    trunk = dataclasses.replace(path, copying=np.zeros(9))
    arm = dataclasses.replace(path, mean=mean[1:], copying=np.zeros(8))
    return FittedCell(key(), trunk, arm, arm, Noise(*4 * [correlation], rho), 3, rows)


def test_draws_have_the_spread_and_the_correlations_that_they_were_told():
    runs = draw(known_cell(), 20000, 1, np.random.default_rng(0))
    y = {name: runs[name][:, 0] for name in SEGMENTS}  # (20000, E, 3)
    for values in y.values():
        values[..., :2] = np.log(values[..., :2])
        assert values.std(axis=0) == pytest.approx(
            np.tile([0.2, 0.1, 0.05], (len(values[0]), 1)), rel=0.03
        )
        assert np.corrcoef(values[:, -1].T)[0] == pytest.approx([1, 0.6, -0.4], abs=0.03)
    # Between arms at one step: seed and batch, half of the variance. Two steps apart in one arm:
    # the level's half, and rho^2 of the other. Between trunk and arm: the seed's quarter.
    control, treatment, trunk = (y[name][..., 0] for name in ("control", "treatment", "trunk"))
    assert np.corrcoef(control[:, 4], treatment[:, 4])[0, 1] == pytest.approx(0.5, abs=0.03)
    assert np.corrcoef(control[:, 4], control[:, 6])[0, 1] == pytest.approx(0.625, abs=0.03)
    assert np.corrcoef(control[:, 4], trunk[:, 4])[0, 1] == pytest.approx(0.25, abs=0.03)


def test_what_is_fitted_to_draws_is_what_drew_them():
    cell = known_cell()
    rows = table(
        cell, {name: y[0] for name, y in draw(cell, 1, 300, np.random.default_rng(0)).items()}
    )
    found = fit(rows, QUESTION)[key()]
    assert found.control.spread == pytest.approx([0.2, 0.1, 0.05], rel=0.12)
    assert found.noise.autocorrelation == pytest.approx(0.5, abs=0.12)
    for name in ("seed", "branch", "batch", "step"):
        assert np.diag(getattr(found.noise, name)) == pytest.approx(3 * [0.25], abs=0.1), name


def test_both_arms_of_a_drawn_seed_repeat_one_trunk():
    cell = fit(study(), QUESTION)[key()]
    rows = table(
        cell, {name: y[0] for name, y in draw(cell, 1, 4, np.random.default_rng(0)).items()}
    )
    drawn = ["UniquePredictions", "PDR", "ValLoss"]
    wide = rows.pivot(index=["Seed", "Step"], columns="Stage2WD", values=drawn)
    before = wide.index.get_level_values("Step") <= SWITCH
    for name in drawn:
        assert (wide[name][0.0] == wide[name][0.05])[before].all()
        assert (wide[name][0.0] != wide[name][0.05])[~before].mean() > 0.9
    assert wide["PDR"][0.05].groupby("Seed").first().nunique() == 4  # and every seed has its own


@pytest.mark.parametrize(("counts", "least", "most"), [(1.2, 1, 20), (2000.0, 500, 2048)])
def test_drawn_counts_are_integers_from_1_to_the_vocabulary(counts, least, most):
    cell = known_cell(spread=(0.7, 0.1, 0.1), counts=counts)
    runs = draw(cell, 200, 3, np.random.default_rng(0))
    found = np.concatenate([y[..., 0].ravel() for y in runs.values()])
    assert (found == np.rint(found)).all()
    assert found.min() >= 1 and found.max() <= 2048
    assert found.min() <= least and found.max() >= most  # the limits were reached


def test_drawn_tables_are_the_pipelines_own_and_can_be_judged():
    cell = fit(study(), QUESTION)[key()]
    runs = draw(cell, 1, 5, np.random.default_rng(0))
    rows = table(cell, {name: y[0] for name, y in runs.items()})
    assert set(rows.columns) == set(COLUMNS)
    row = judge(rows, Thresholds(), QUESTION).iloc[0]
    assert row["Seeds"] == 5 and row["Headline"] and row["Outcome"] == "fixed"
    assert "not one trunk" not in row["Note"]
    measured = judge(study(), Thresholds(), QUESTION).set_index(["Optimizer", "Weights"])
    expected = measured.loc[("adam", "ternary"), "DeltaUniquePredictions"]
    assert row["DeltaUniquePredictions"] == pytest.approx(expected, abs=0.2)
