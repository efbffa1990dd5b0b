"""Statistics of paired differences, against closed forms and tables of the t distribution."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import nct
from statsmodels.stats.multitest import multipletests

from bitnet.verdict.statistics import corrected, effect

LN_RATIO = math.log(1.25)


def test_t_interval_of_one_to_five_is_the_textbook_one():
    # mean 3, s = sqrt(2.5), s / sqrt(5) = 0.70711, t(0.975, 4) = 2.776445
    found = effect([1, 2, 3, 4, 5], 1.0, 0.95)
    assert (found.n, found.mean) == (5, 3)
    assert found.low == pytest.approx(3 - 2.776445 * 0.707107, abs=1e-5)
    assert found.high == pytest.approx(3 + 2.776445 * 0.707107, abs=1e-5)


def test_p_and_tost_of_three_seeds_are_the_closed_form_for_two_degrees_of_freedom():
    # With 2 degrees of freedom P(T < t) = 1/2 + t / (2 sqrt(2 + t^2)).
    def below(t):
        return 0.5 + t / (2 * math.sqrt(2 + t * t))

    found = effect([0.0, 0.1, 0.2], LN_RATIO, 0.95)
    standard_error = 0.1 / math.sqrt(3)
    assert found.p == pytest.approx(2 * (1 - below(0.1 / standard_error)))
    # The nearer bound is the upper one.
    assert found.tost == pytest.approx(1 - below((LN_RATIO - 0.1) / standard_error))


def test_smallest_detectable_effect_is_found_with_power_0_8_by_the_noncentral_t():
    found = effect([1, 2, 3, 4, 5], 1.0, 0.95)
    noncentrality = found.detectable / math.sqrt(2.5) * math.sqrt(5)
    critical = 2.776445  # t(0.975, 4)
    power = nct.sf(critical, 4, noncentrality) + nct.cdf(-critical, 4, noncentrality)
    assert power == pytest.approx(0.8, abs=1e-4)


def test_effects_without_spread_or_without_seeds_do_not_crash():
    same = effect([0.5, 0.5, 0.5], LN_RATIO, 0.95)
    assert (same.mean, same.low, same.high, same.p, same.tost) == (0.5, 0.5, 0.5, 0, 1)
    zero = effect([0.0, 0.0], LN_RATIO, 0.95)
    assert (zero.low, zero.high, zero.p, zero.tost, zero.detectable) == (0, 0, 1, 0, 0)
    one = effect([0.5], LN_RATIO, 0.95)
    assert one.mean == 0.5 and math.isnan(one.low) and math.isnan(one.p)
    assert effect([], LN_RATIO, 0.95).n == 0


def test_holm_multiplies_the_smallest_p_most_and_never_reorders():
    # 0.01 * 3, 0.03 * 2, then 0.04 * 1 lifted to 0.06; a family of one keeps its own.
    p = pd.Series([0.04, 0.02, 0.01, np.nan, 0.03])
    holm = corrected(p, pd.Series(["other", "headline", "other", "other", "other"]))
    assert holm.tolist() == pytest.approx([0.06, 0.02, 0.03, np.nan, 0.06], nan_ok=True)


def test_holm_never_exceeds_one_and_knows_families():
    p = pd.Series([0.6, 0.01, 0.9, 0.02])
    assert corrected(p, pd.Series(["a", "b", "a", "b"])).tolist() == [1, 0.02, 1, 0.02]


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_holm_is_that_of_statsmodels(p):
    found = corrected(pd.Series(p), pd.Series(["one"] * len(p)))
    assert found.tolist() == pytest.approx(multipletests(p, method="holm")[1].tolist())
