"""Axes of a chart: places, ticks, labels apart."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitnet.report.scale import MOST_TICKS, Scale, apart, tick, written

POSITIVE = st.floats(1e-6, 1e6)


def test_places_by_hand():
    assert Scale(0, 200).share(50) == 0.25
    assert Scale(1, 100, log=True).share(10) == pytest.approx(0.5)


@given(st.lists(POSITIVE, min_size=1), st.booleans())
def test_an_axis_holds_its_values_and_a_few_ticks(values, log):
    scale = Scale.around(values, log)
    assert all(0 < scale.share(value) < 1 for value in values)
    ticks = scale.ticks()
    assert len(ticks) <= MOST_TICKS + 1
    assert all(-1e-9 <= scale.share(value) <= 1 + 1e-9 for value in ticks)


def test_what_cannot_be_drawn_moves_no_axis():
    assert Scale.around([2, 4, math.nan, math.inf], False) == Scale.around([2, 4], False)
    assert Scale.around([2, 4, 0, -1], True) == Scale.around([2, 4], True)
    assert Scale.around([math.nan], False).ticks()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
def test_labels_are_apart_in_order_and_within_the_plot(places):
    moved = apart(places, 0.1)
    for (one, to), (other, there) in itertools.pairwise(sorted(zip(places, moved, strict=True))):
        assert to <= there + 1e-9 or one == other
        assert abs(there - to) >= 0.1 - 1e-9
    assert min(moved) >= -1e-9 and max(moved) <= 1 + 1e-9


def test_a_label_with_room_stays_where_it_is():
    assert apart([0.8, 0.2, 0.5], 0.1) == [0.8, 0.2, 0.5]


def test_numbers_in_words():
    assert [tick(v) for v in (0.1, 2000, 20_000, 1.5e6)] == ["0.1", "2,000", "20k", "1.5M"]
    assert [written(v) for v in (37.94, 7.0, 4096, 0.00123, math.nan)] == [
        "37.9",
        "7",
        "4,096",
        "0.00123",
        "–",
    ]
