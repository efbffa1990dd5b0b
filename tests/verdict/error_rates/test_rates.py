"""Error rates: judged as the verdict judges tables, and counted right."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.states import effective, state, trunk_state
from bitnet.verdict.error_rates import rates as module
from bitnet.verdict.error_rates.generator import SEGMENTS, draw
from bitnet.verdict.error_rates.rates import answers, rates, read
from bitnet.verdict.error_rates.scenarios import COLLAPSE, EFFECT, NOTHING, SCENARIOS, SOMETHING
from bitnet.verdict.rule import judge
from tests.helpers.tables import QUESTION, run
from tests.verdict.error_rates.test_generator import SPREAD

LIMITS = Thresholds()
UNIGRAM = 6.0
NAMED = {(s.group, s.name): s for s in SCENARIOS}


def table(runs) -> pd.DataFrame:
    """Drawn runs of one study, (seeds, 5, 2) a segment, as rows of the pipeline's tables."""
    tables = []
    for decay, arm in ((0.05, "control"), (0.0, "treatment")):
        for seed, y in enumerate(np.concatenate([runs["trunk"], runs[arm]], axis=1)):
            row = run(seed, decay, 8, 8).iloc[0].to_dict() | {"UnigramLoss": UNIGRAM}
            row |= {"Step": np.arange(1, 11), "Loss": 4.0, "SwitchStep": 5, "CopyShare": 0.0}
            row |= {"UniquePredictions": y[:, 0], "PDR": 0.5, "ValLoss": UNIGRAM + y[:, 1]}
            tables.append(pd.DataFrame(row))
    return pd.concat(tables)


@pytest.mark.parametrize(
    ("group", "name"),
    [
        (NOTHING, "both end near 50"),
        (NOTHING, "four cells, each to 30 in both arms"),
        (NOTHING, "both to 30, 1 in 5 runs diverge"),
        (SOMETHING, "recovery for a while, seen late"),
        (SOMETHING, "400 and 300, loss 0.4 lower"),
        (SOMETHING, "4 in 5 controls diverge"),
        (EFFECT, "the same fix, ternary control dead"),
        (COLLAPSE, "twin never collapses"),
    ],
)
def test_a_drawn_study_gets_the_answer_that_the_verdict_gives_its_tables(group, name):
    scenario, rng = NAMED[group, name], np.random.default_rng(2)
    # More spread than measured, so that all kinds of outcomes come up.
    truths = {key: replace(truth, width=2) for key, truth in scenario.cells.items()}
    runs = {key: draw(truth, SPREAD, 1, 3, rng) for key, truth in truths.items()}
    tables = [
        table({n: y[0] for n, y in found.items()}).assign(Optimizer=key[0], Weights=key[1])
        for key, found in runs.items()
    ]
    cells = judge(pd.concat(tables), LIMITS, QUESTION)
    main = cells[cells["Headline"]].iloc[0]
    expected = {EFFECT: {main["EffectTernary"]}, COLLAPSE: {main["CollapseTernary"]}}
    assert list(answers(scenario, runs, LIMITS)) == [expected.get(group, set(cells["Outcome"]))]


evaluations = st.tuples(
    st.sampled_from([1, 3, 9, 10, 11, 49, 50, 51, 90, 300]),
    st.sampled_from([-2.0, -0.03, -0.01, 0.1]),
)


@settings(max_examples=20, deadline=None)
@given(st.lists(evaluations, min_size=10, max_size=10), st.booleans())
@example([(4, 0.1)] * 5 + [(80, -1)] * 3 + [(90, -1), (5, 0.1)], False)  # temporary
@example([(4, 0.1)] * 5 + [(1840, 1.5)] * 5, False)  # dead, never temporary
def test_states_and_effective_counts_are_those_of_tables(values, diverged):
    y = np.array(values, float)
    y[-1, 1] = np.nan if diverged else y[-1, 1]
    still = np.tile([10.0, -1.0], (5, 1))
    runs = {"trunk": y[:5], "control": still, "treatment": y[5:]}
    rows = table({name: part[None] for name, part in runs.items()})
    rows = rows[rows["Stage2WD"] == 0]
    found = read({name: runs[name][None, None] for name in SEGMENTS}, LIMITS)
    assert found["trunk"] == trunk_state(rows, LIMITS)
    assert found["treatment"] == state(rows, LIMITS)
    if diverged:
        assert np.isnan(found["Ln"]) and np.isnan(found["Loss"])
    else:
        assert np.exp(found["Ln"]) * 10 == pytest.approx(effective(rows, LIMITS))
        assert found["Loss"] == pytest.approx(y[-3:, 1].mean() + 1)


def test_a_study_is_counted_once_as_right_wrong_or_neither():
    scenario = replace(SCENARIOS[0], right="fixed", also="helps")
    said = [{"fixed"}] * 50 + [{"helps"}] * 20 + [{"inconclusive"}] * 10 + [{"no verdict"}] * 5
    said += [{"fixed", "harmful"}] * 4 + [{"harmful"}] * 6 + [{"fixed", "inconclusive"}] * 5
    row = rates(scenario, [frozenset(answer) for answer in said])
    assert (row["Right"], row["Wrong"]) == (0.5, 0.1)
    assert row["Answers"].startswith("fixed 50; helps 20; inconclusive 10; harmful 6; ")
    assert "fixed + harmful 4" in row["Answers"]
    # Wilson, p = 0.5, n = 100: p -+ z sqrt(p (1 - p) / n + z^2 / 4 n^2) / (1 + z^2 / n)
    z2 = 1.959964**2
    half = (z2 * (0.25 / 100 + z2 / 40000)) ** 0.5 / (1 + z2 / 100)
    assert (row["RightLow"], row["RightHigh"]) == pytest.approx((0.5 - half, 0.5 + half))


def test_what_is_counted_is_what_the_rule_says(monkeypatch):
    # A rule that reads only how many treated runs are diverse, in cells that are judged in turn.
    seen = []

    def fake(cell, row, thresholds):
        seen.append(cell.key[-2:])
        return f"{list(cell.treatment['State']).count('diverse')} diverse"

    monkeypatch.setattr(module, "outcome", fake)
    scenario = NAMED[EFFECT, "twin stays at 4"]
    scenario = replace(scenario, group=SOMETHING, right="3 diverse")
    rng = np.random.default_rng(0)
    runs = {k: draw(t, SPREAD, 7, 3, rng) for k, t in scenario.cells.items()}
    said = list(answers(scenario, runs, LIMITS))
    assert said == [{"3 diverse", "0 diverse"}] * 7
    assert seen == [("adam", "ternary"), ("adam", "full_precision")] * 7
    row = rates(scenario, said)
    assert (row["Right"], row["Wrong"], row["Answers"]) == (0, 1, "0 diverse + 3 diverse 7")


def test_cells_beside_the_headline_are_corrected(monkeypatch):
    found = []
    monkeypatch.setattr(
        module, "outcome", lambda cell, row, limits: found.append(row["HolmP"] / row["P"]) or "x"
    )
    scenario = NAMED[NOTHING, "four cells, each to 30 in both arms"]
    rng = np.random.default_rng(3)
    runs = {k: draw(t, SPREAD, 1, 5, rng) for k, t in scenario.cells.items()}
    list(answers(scenario, runs, LIMITS))
    headline, *beside, other = found  # ternary adam; its twin and adamw; adamw's twin
    assert headline == other == 1 and max(beside) == 2
