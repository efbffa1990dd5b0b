"""Error rates: what is judged is what the rule says, in scenarios whose truth is known."""

import math
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bitnet.common.files import read_json
from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.states import state, trunk_state
from bitnet.verdict.cells import CELL
from bitnet.verdict.error_rates.draws import paired_tests, run_states
from bitnet.verdict.error_rates.generator import SEGMENTS, draw, fit, table
from bitnet.verdict.error_rates.rates import (
    CLAIM,
    OUTCOMES,
    column,
    differences,
    judge_draws,
    rates,
)
from bitnet.verdict.error_rates.scenarios import (
    NULL,
    Scenario,
    at_upper_spread,
    ending_at,
    halfway,
    scenarios,
)
from bitnet.verdict.rule import judge
from bitnet.verdict.statistics import effect
from tests.helpers.project import ROOT
from tests.helpers.tables import QUESTION, run
from tests.verdict.error_rates.test_generator import key, study
from tests.workflow.test_records import record
from workflow.provenance.records import record_of, write_record
from workflow.scripts import error_rates as script

LIMITS = Thresholds()
CELLS = fit(study(), QUESTION)
SCENARIOS = {f"{s.truth}: {s.name}": s for s in scenarios(CELLS, key(), LIMITS)}


def share(cells, outcome, seeds=3, draws=100) -> float:
    scenario = Scenario(NULL, "", cells)
    rng = np.random.default_rng(0)
    return rates(scenario, key(), seeds, draws, rng, LIMITS)[column(outcome)]


def scaled(cell, factor):
    """All spreads multiplied."""
    paths = {name: getattr(cell, name) for name in SEGMENTS}
    return replace(
        cell, **{name: replace(path, spread=path.spread * factor) for name, path in paths.items()}
    )


def judged_alone(cells, draws, seeds, rng, question=QUESTION):
    """The verdict on each draw's tables, one study after the other."""
    runs = [draw(cell, draws, seeds, rng) for cell in cells]
    for i in range(draws):
        tables = [
            table(cell, {name: y[i] for name, y in drawn.items()}).assign(
                **dict(zip(CELL, cell.key, strict=True))
            )
            for cell, drawn in zip(cells, runs, strict=True)
        ]
        yield judge(pd.concat(tables), LIMITS, question).set_index(CELL)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_draw_gets_the_outcome_that_the_verdict_gives_its_tables(name):
    # Twice the spread, so that all kinds of outcomes come up.
    cells, draws = [scaled(cell, 2) for cell in SCENARIOS[name].cells], 2
    said = judge_draws(cells, key(), draws, 3, np.random.default_rng(5), LIMITS)
    alone = judged_alone(cells, draws, 3, np.random.default_rng(5))
    for ((outcomes, answer), _), verdict in zip(said, alone, strict=True):
        assert outcomes == [verdict.loc[cell.key, "Outcome"] for cell in cells]
        main = verdict[verdict["Headline"]]
        assert [answer] == main["TernarySpecific"].tolist() or (len(main) == 0 and answer == "n.a.")


counts = st.lists(
    st.sampled_from([1, 3, 8, 9, 10, 11, 49, 50, 51, 90, 300]), min_size=7, max_size=7
)


@settings(max_examples=60, deadline=None)
@given(counts, st.sampled_from([3.0, 5.97, 5.99, 6.1]), st.sampled_from([0.4, 0.6]), st.booleans())
@example([90] * 4 + [90, 1, 1], 3.0, 0.4, False)  # a recovery too short to last
def test_states_of_many_runs_are_those_of_each(levels, loss, copying, blind):
    # Blind: collapsed under 10 % of the trigram's PDR, diverse over 50 %, here 10 and 50 counts.
    rows = run(0, 0.0, 8, 8, loss=loss).assign(
        UniquePredictions=levels, PDR=np.array(levels) / 100, CopyShare=copying, Blind=blind
    )
    rows = rows.assign(TrigramPDR=1.0, ValLoss=loss)
    y = rows[["UniquePredictions", "PDR", "ValLoss"]].to_numpy(float)
    copies, data = rows["CopyShare"].to_numpy(), rows.iloc[0]
    assert run_states(y, copies, data, LIMITS, switch=4) == state(rows, LIMITS)
    assert run_states(y[:4], copies[:4], data, LIMITS) == trunk_state(rows, LIMITS)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-1, 1), min_size=2, max_size=6))
@example([math.log(1.5)] * 3)
@example([0.0] * 4)
@example([0.3, 0.3 + 1e-9])
def test_tests_of_many_draws_are_those_of_each(deltas):
    found = effect(deltas, 0.2, 0.95)
    p, tost = paired_tests(np.array([deltas, deltas]), 0.2)
    assert p == pytest.approx([found.p] * 2, abs=1e-9)
    assert tost == pytest.approx([found.tost] * 2, abs=1e-9)


def test_drawn_differences_are_those_that_were_measured():
    measured = judge(study(), LIMITS, QUESTION).iloc[1]
    assert (measured["Optimizer"], measured["Weights"]) == ("adam", "ternary")
    mean, sd = differences(CELLS[key()], 5000, np.random.default_rng(0), LIMITS)
    assert mean[0] == pytest.approx(measured["DeltaUniquePredictions"], abs=0.05)
    assert mean[2] == pytest.approx(measured["DeltaValLoss"], abs=0.02)
    # Means of three counts that stray by 0.1, rounded at 5 to one more of about 0.06, in two arms.
    assert sd[0] == pytest.approx(math.hypot(0.1, 0.1, 0.06) / math.sqrt(3), rel=0.4)


def test_every_outcome_of_the_verdict_has_its_share_and_a_wilson_interval():
    assert set(OUTCOMES) == {
        "no verdict",
        "harmful",
        "fixed",
        "recovers either way",
        "no effect",
        "helps",
        "inconclusive",
    }
    row = rates(SCENARIOS["a fix: headline cell"], key(), 3, 50, np.random.default_rng(0), LIMITS)
    assert sum(row[column(name)] for name in OUTCOMES) == pytest.approx(1)
    # Wilson, 50 of 50: 50 / (50 + 1.959964^2) and 1
    assert (row["Fixed"], row["FixedHigh"]) == (1, 1)
    assert row["FixedLow"] == pytest.approx(50 / (50 + 1.959964**2))
    assert row["AnyClaim"] == 1 and math.isnan(row["TernaryYes"])


def test_a_control_without_spread_far_above_every_threshold_is_never_fixed():
    healthy = CELLS[key("adamw")]
    still = scaled(replace(healthy, key=key(), trunk=CELLS[key()].trunk), 0)
    assert share([replace(still, treatment=still.control)], "fixed") == 0
    assert share([replace(still, treatment=still.control)], "recovers either way") == 1


def test_a_fix_of_next_to_no_spread_is_always_found():
    main = scaled(CELLS[key()], 0.05)
    assert share([main], "fixed") == 1
    above, below = (ending_at(ratio, main.treatment, main, LIMITS) for ratio in (1.25, 0.8))
    assert share([replace(main, treatment=above)], "fixed") == 1
    assert share([replace(main, treatment=below)], "fixed") == 0
    assert share([replace(main, treatment=below)], "helps") == 1


def test_arms_at_the_threshold_are_called_fixed_in_no_more_than_half_of_alpha():
    (cell,) = SCENARIOS["nothing differs: headline cell, arms at the threshold"].cells
    found = [share([scaled(cell, 3)], "fixed", seeds, 400) for seeds in (3, 5)]
    assert min(found) > 0 and max(found) < 0.025 + 3 * math.sqrt(0.025 * 0.975 / 400)


def test_a_family_counts_a_study_once_however_many_cells_claim():
    cells = [replace(scaled(CELLS[key()], 0.05), key=k) for k in CELLS]
    assert share(cells, "fixed", draws=20) == share(cells, CLAIM, draws=20) == 1


def test_other_cells_than_the_headline_are_corrected():
    control = CELLS[key()].control
    moved = replace(control, mean=control.mean + np.array([0.3, 0.3, 0.0]))
    weak = replace(CELLS[key()], treatment=moved)
    cells = [replace(weak, key=k) for k in CELLS]
    rng = np.random.default_rng(0)
    outcomes = list(
        zip(*(said[0][0] for said in judge_draws(cells, key(), 60, 3, rng, LIMITS)), strict=True)
    )
    claims = {k: outcomes[i].count("helps") for i, k in enumerate(CELLS)}
    assert claims.pop(key()) > 1.2 * max(claims.values()) > 0


def test_scenarios_are_made_of_what_was_measured():
    main = CELLS[key()]
    for ratio in (1.0, 1.5):
        y = ending_at(ratio, main.treatment, main, LIMITS).mean
        assert np.exp(y[-3:, 0]).mean() == pytest.approx(ratio * 50)
        moved = y - main.treatment.mean
        assert moved[:, 0] == pytest.approx(moved[0, 0]) and moved[:, 1] == pytest.approx(
            moved[0, 0]
        )
        assert (moved[:, 2] == 0).all()
    half = halfway(main.control, main.treatment).mean - main.control.mean
    assert half == pytest.approx((main.treatment.mean - main.control.mean) / 2)
    # Of a variance from 3 seeds: sqrt(2 / chi2(0.05, 2)), chi2(0.05, 2) = -2 ln 0.95
    factor = at_upper_spread(main).control.spread / main.control.spread
    assert factor == pytest.approx(math.sqrt(2 / (-2 * math.log(0.95))))
    assert SCENARIOS["nothing differs: healthy cell"].cells[0].key == key("adamw")
    assert len(SCENARIOS["a fix: every cell as measured"].cells) == 4


def test_on_a_blind_corpus_the_threshold_is_one_of_pdr():
    rows = study().assign(Blind=True, TrigramPDR=0.6)
    main = fit(rows, QUESTION)[key()]
    y = ending_at(1.0, main.treatment, main, LIMITS).mean
    assert np.exp(y[-3:, 1]).mean() == pytest.approx(0.5 * 0.6)


def test_scenarios_without_their_cells_are_left_out():
    alone = scenarios({key(): CELLS[key()]}, key(), LIMITS)
    missing = set(SCENARIOS) - {f"{scenario.truth}: {scenario.name}" for scenario in alone}
    assert missing == {
        "nothing differs: healthy cell",
        "twin: the same effect",
        "twin: half the effect",
        "twin: no effect",
    }


@pytest.fixture
def results(tmp_path) -> list[str]:
    """The runs of a study as files with their records."""
    paths = []
    for (optimizer, weights, decay, seed), rows in study().groupby(
        ["Optimizer", "Weights", "Stage2WD", "Seed"]
    ):
        path = tmp_path / f"{optimizer}_{weights}_{decay}_{seed}.csv"
        rows.to_csv(path, index=False)
        found = record(256, decay, optimizer, weights, seed=seed)
        lineage = found.pop("lineage")
        write_record(record_of(path), [path], lineage, **found)
        paths.append(str(path))
    return paths


def arguments(results, folder, *more) -> list[str]:
    question = QUESTION.to_json()
    outputs = ["--csv", str(folder / "e.csv"), "--markdown", str(folder / "e.md")]
    return ["--inputs", *results, "--question", question, "--draws", "2", *outputs, *more]


def test_the_script_writes_the_same_numbers_for_the_same_seed_only(results, tmp_path, monkeypatch):
    assert script.SEEDS == (3, 5, 10)
    monkeypatch.setattr(script, "SEEDS", (3, 4))
    outputs = [tmp_path / name for name in ("e.csv", "e.md")]
    script.main(arguments(results, tmp_path))
    first = [path.read_text() for path in outputs]
    shares = pd.read_csv(outputs[0])
    assert (shares["Truth"] + ": " + shares["Scenario"]).tolist() == [
        s for s in SCENARIOS for _ in "34"
    ]
    assert set(shares["Draws"]) == {2} and set(shares["Seeds"]) == {3, 4}
    assert "| 256 adam ternary " in first[1]  # how well it fits
    assert "2 drawn studies" in first[1] and "| twin: half the effect " in first[1]
    assert read_json(tmp_path / "e.provenance.json")["lineage"]["error_rates"]["seed"] == 0

    code = "from workflow.scripts import error_rates as s; s.SEEDS = (3, 4); s.main()"
    command = [sys.executable, "-c", code, *arguments(results[::-1], tmp_path)]
    env = {**os.environ, "PYTHONHASHSEED": "7"}
    subprocess.run(command, cwd=ROOT, env=env, check=True, capture_output=True)
    assert [path.read_text() for path in outputs] == first

    script.main(arguments(results, tmp_path, "--seed", "1"))
    assert outputs[0].read_text() != first[0]


def test_the_script_refuses_in_one_line_what_cannot_be_answered(results, tmp_path):
    one_seed = [path for path in results if path.endswith("_0.csv")]
    without_headline = [path for path in results if "adamw" in path]
    for inputs, more, words in (
        (results, ["--draws", "0"], "--draws is 0"),
        (one_seed, [], "1 seeds with two sound arms"),
        (without_headline, [], "no runs of the headline cell"),
        ([*results, str(tmp_path / "absent.csv")], [], "absent.provenance.json' is missing"),
    ):
        with pytest.raises(ValueError, match=words) as error:
            script.main(arguments(inputs, tmp_path, *more))
        assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("e.*"))
