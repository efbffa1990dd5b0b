"""The state of a run: each one reached, each border on the side the rule puts it."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.states import STATES, effective, final, share, state, tally, trunk_state

LIMITS = Thresholds()
UNIGRAM = 6.0


def run(counts, **columns) -> pd.DataFrame:
    """A run evaluated every 100 steps from step 0, switched at step 300, healthy but for counts."""
    steps = np.arange(len(counts)) * 100
    values = {
        "Step": steps,
        "Loss": np.where(steps > 0, 4.0, np.nan),
        "UniquePredictions": counts,
        "ValLoss": 4.0,
        "CopyShare": 0.1,
        "PDR": 0.3,
        "SwitchStep": 300,
        "N": 4096,
        "VocabSize": 2048,
        "UnigramLoss": UNIGRAM,
        "TrigramPDR": 0.8,
        "Blind": False,
    }
    return pd.DataFrame(values | columns)


def judged(counts, **columns) -> str:
    return state(run(counts, **columns), LIMITS)


@pytest.mark.parametrize("bad", [0, 2049, np.nan])
def test_a_count_that_no_model_can_produce_is_invalid_at_any_row(bad):
    assert judged([bad, 80, 80, 80, 80, 80]) == "invalid"
    assert judged([1, 80, 80, 80, 80, 2048]) == "diverse"


def test_a_count_above_n_is_invalid_where_n_is_smaller_than_the_vocabulary():
    assert judged([21] * 5, N=20) == "invalid"


def test_invalid_comes_before_diverged():
    assert judged([0] * 5, ValLoss=np.nan) == "invalid"


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_nan_or_inf_at_any_row_is_diverged(bad):
    assert judged([80] * 5, ValLoss=[bad, 4, 4, 4, 4]) == "diverged"
    assert judged([80] * 5, Loss=[np.nan, 4, bad, 4, 4]) == "diverged"


def test_a_missing_training_loss_at_step_0_is_no_divergence():
    assert judged([80] * 5, Loss=[np.nan, 4, 4, 4, 4]) == "diverse"


def test_copying_the_input_is_untrained_only_while_the_loss_is_the_unigrams():
    assert judged([900] * 5, CopyShare=0.9, ValLoss=UNIGRAM) == "untrained"
    assert judged([900] * 5, CopyShare=0.9, ValLoss=UNIGRAM - 0.1) == "diverse"
    assert judged([900] * 5, CopyShare=0.5, ValLoss=UNIGRAM) == "collapsed"


def test_diverse_after_the_switch_and_collapsed_at_the_end_is_temporary():
    assert judged([5, 5, 5, 5, 51, 5, 5, 5]) == "temporary"


def test_diversity_before_the_switch_is_no_temporary_recovery():
    assert judged([5, 90, 90, 90, 50, 5, 5, 5]) == "collapsed"


def test_temporary_is_collapsed_at_the_last_evaluation_whatever_the_mean():
    assert judged([5, 5, 5, 5, 80, 90, 40, 5, 4]) == "temporary"  # the last three: 16.3
    assert judged([5, 5, 5, 5, 60, 5, 5, 10]) == "collapsed"  # 10 is not below 10, the mean is
    assert judged([5, 5, 5, 5, 60, 10, 10, 10]) == "recovering"


def test_a_dead_model_is_not_diverse_and_may_end_a_recovery():
    dead = [4.0] * 4 + [UNIGRAM, 4.0, 4.0, 4.0]
    assert judged([5, 5, 5, 5, 900, 5, 5, 5], ValLoss=dead) == "collapsed"
    assert judged([5, 5, 5, 5, 60, 60, 60, 900], ValLoss=[4.0] * 7 + [UNIGRAM]) == "temporary"


def test_rule_1_judged_temporary_by_counts_and_the_mean():
    late, dead = run([5, 5, 5, 5, 80, 90, 40, 5, 4]), [4.0] * 4 + [UNIGRAM, 4.0, 4.0, 4.0]
    assert state(late, LIMITS, rule=1) == "recovering"
    assert state(run([5, 5, 5, 5, 60, 5, 5, 10], ValLoss=dead), LIMITS, rule=1) == "temporary"


def test_collapsed_is_below_ten_on_the_mean_of_the_last_three():
    assert judged([90, 90, 90, 90, 9, 9, 11]) == "collapsed"
    assert judged([90, 90, 90, 90, 9, 10, 11]) == "recovering"


def test_the_end_is_of_its_own_stage():
    """Neither what came before the switch nor the untrained model of step 0 is averaged in."""
    assert final(run([900, 5, 5, 5, 12, 40]), "UniquePredictions", LIMITS) == 26
    assert final(run([900, 5, 7]), "UniquePredictions", LIMITS) == 6
    assert judged([900, 5, 5, 5, 5]) == "collapsed"
    assert trunk_state(run([900, 5, 5, 40, 40]), LIMITS) == "recovering"
    assert trunk_state(run([900, 5], SwitchStep=100), LIMITS) == "collapsed"


def test_effective_counts_have_a_floor_where_counts_are_noise():
    assert effective(run([5, 5, 5, 5, 3, 8, 12]), LIMITS) == pytest.approx((10 + 10 + 12) / 3)
    dead = [4.0] * 4 + [UNIGRAM - 0.02, 4.0, UNIGRAM + 1]
    rows = run([5, 5, 5, 5, 1840, 40, 1840], ValLoss=dead)
    assert effective(rows, LIMITS) == pytest.approx((10 + 40 + 10) / 3)


def test_effective_values_of_a_blind_corpus_are_shares_of_the_trigrams_pdr():
    pdr = [0.3] * 4 + [0.04, 0.4, 0.2]  # 0.05, 0.5 and 0.25 of 0.8
    rows = run([900] * 7, Blind=True, PDR=pdr)
    assert effective(rows, LIMITS) == pytest.approx((0.1 + 0.5 + 0.25) / 3)
    rows = rows.assign(ValLoss=[4.0] * 5 + [UNIGRAM, 4.0])
    assert effective(rows, LIMITS) == pytest.approx((0.1 + 0.1 + 0.25) / 3)


def test_many_predictions_at_the_unigrams_loss_are_still_collapsed():
    assert judged([90] * 5, ValLoss=UNIGRAM - 0.02) == "collapsed"
    assert judged([90] * 5, ValLoss=UNIGRAM - 0.021) == "diverse"


def test_diverse_is_above_fifty():
    assert judged([50] * 5) == "recovering"
    assert judged([5, 5, 5, 50, 50, 51]) == "diverse"


@pytest.mark.parametrize(
    ("pdr", "expected"),
    [(0.079, "collapsed"), (0.081, "recovering"), (0.399, "recovering"), (0.401, "diverse")],
)
def test_on_blind_corpora_pdr_against_the_trigrams_replaces_the_counts(pdr, expected):
    # The trigram's PDR is 0.8: borders at 0.08 and 0.4, whatever the count says.
    assert judged([4] * 5, Blind=True, PDR=pdr) == expected
    assert judged([400] * 5, Blind=True, PDR=pdr) == expected


def test_temporary_is_judged_by_pdr_on_blind_corpora():
    pdr = [0.01, 0.01, 0.01, 0.01, 0.5, 0.01, 0.01, 0.01]
    assert judged([4] * 8, Blind=True, PDR=pdr) == "temporary"


def test_a_trunk_is_judged_up_to_the_switch_by_its_own_last_three_rows():
    rows = run([90, 5, 5, 5, 90, 90, 90])
    assert trunk_state(rows, LIMITS) == "collapsed"
    assert state(rows, LIMITS) == "diverse"


def test_what_happens_after_the_switch_says_nothing_of_the_trunk():
    rows = run([90, 90, 90, 90, 0, 5, 5], ValLoss=[4, 4, 4, 4, np.nan, 4, 4])
    assert trunk_state(rows, LIMITS) == "diverse"


def test_a_trunk_is_never_temporary():
    assert trunk_state(run([90, 5, 5, 5]), LIMITS) == "collapsed"


def test_nothing_to_judge_is_an_error():
    with pytest.raises(ValueError, match=r"no evaluation to judge$"):
        state(run([]), LIMITS)
    with pytest.raises(ValueError, match="at or before SwitchStep"):
        trunk_state(run([5, 5], SwitchStep=-1), LIMITS)


def test_thresholds_are_parameters():
    assert state(run([30] * 5), Thresholds(diverse_above=20)) == "diverse"
    assert final(run([1, 2, 3, 8]), "UniquePredictions", Thresholds(final_evaluations=2)) == 5.5
    assert final(run([4]), "UniquePredictions", LIMITS) == 4


def test_a_tally_names_the_commonest_state_first_and_ties_in_the_order_of_the_rule():
    assert tally(["diverse", "collapsed", "collapsed"]) == "collapsed 2/3, diverse 1/3"
    assert tally(["diverse", "collapsed"]) == "collapsed 1/2, diverse 1/2"
    assert tally([]) == ""
    assert share(["diverse", "collapsed"], "diverse") == 0.5
    assert share([], "diverse") == 0


@given(
    st.lists(st.integers(0, 2100), min_size=1, max_size=9),
    st.floats(0, 8),
    st.booleans(),
    st.randoms(use_true_random=False),
)
def test_a_run_has_one_state_whatever_the_order_of_its_rows(counts, loss, blind, random):
    rows = run(counts, ValLoss=loss, Blind=blind)
    order = list(rows.index)
    random.shuffle(order)
    found = state(rows, LIMITS)
    assert found in STATES
    assert state(rows.loc[order], LIMITS) == found
