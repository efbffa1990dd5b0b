"""Orders of windows: permutations that look random and take little memory."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from bitnet.data.epochs import Permutation, window_starts


def orders(size: int, count: int) -> np.ndarray:
    """Independent orders, (count, size)."""
    return np.array(
        [Permutation(size, np.random.default_rng(i))(np.arange(size)) for i in range(count)]
    )


@given(size=st.integers(1, 5_000), seed=st.integers(0, 2**32))
def test_an_order_has_every_number_once(size, seed):
    order = Permutation(size, np.random.default_rng(seed))
    assert (np.sort(order(np.arange(size))) == np.arange(size)).all()


def test_any_part_can_be_computed_alone():
    order = Permutation(1_000, np.random.default_rng(0))
    whole, places = order(np.arange(1_000)), np.array([7, 7, 999, 0, 512])
    assert (order(places) == whole[places]).all()


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_every_order_of_a_few_is_as_likely_as_any_other(size):
    found = Counter(map(tuple, orders(size, 6_000)))
    counts = [found[order] for order in permutations(range(size))]
    assert chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("size", [12, 30, 97, 1_000])
def test_orders_look_random(size):
    drawn = orders(size, 2_000)
    for place in (0, 1, size // 2, size - 1):  # each number is as likely anywhere
        assert chisquare(np.bincount(drawn[:, place], minlength=size)).pvalue > 1e-3
    apart = (drawn[:, 1:] - drawn[:, :-1]) % size  # and at any distance from its neighbour
    assert chisquare(np.bincount(apart.ravel(), minlength=size)[1:]).pvalue > 1e-3
    fixed = (drawn == np.arange(size)).sum(axis=1)  # Poisson of mean 1, to 4 standard errors
    assert fixed.mean() == pytest.approx(1, abs=0.09) and fixed.var() == pytest.approx(1, abs=0.16)
    rises = (drawn[:, 1:] > drawn[:, :-1]).sum(axis=1)  # Eulerian: (n - 1) / 2 and (n + 1) / 12
    assert rises.var() == pytest.approx((size + 1) / 12, rel=0.13)
    assert rises.mean() == pytest.approx((size - 1) / 2, abs=4 * ((size + 1) / 12 / 2_000) ** 0.5)


def test_an_order_of_a_hundred_million_takes_under_a_megabyte():
    order = Permutation(10**8, np.random.default_rng(0))
    held = [value for value in vars(order).values() if isinstance(value, np.ndarray)]
    assert 0 < sum(value.nbytes for value in held) < 1e6
    found = order(np.arange(10**8 - 100_000, 10**8))
    assert len(np.unique(found)) == 100_000 and 0 <= found.min() <= found.max() < 10**8
    assert chisquare(np.bincount(found // 10**6, minlength=100)).pvalue > 1e-3


def test_a_step_far_into_a_large_text_needs_none_of_those_before():
    tokens, length = 2_400_000_000, 1_024  # fineweb95m: 2,343,750 windows an epoch
    first = 32 * 10**7  # in the 137th epoch
    starts = window_starts(tokens, 0, first, 32, length)
    assert len(np.unique(starts)) == 32 and len({*(starts % length)}) <= 2
    assert (window_starts(tokens, 0, first + 5, 3, length) == starts[5:8]).all()
