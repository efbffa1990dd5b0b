"""The figure of the price: each arm's losses at its best rate over sizes, and at every rate."""

import functools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from bitnet.figures.draw import draw
from bitnet.figures.style import GREEN, PURPLE
from tests.helpers.figures import LIMITS, assert_nothing_cut_off_or_covered, texts, titles
from tests.helpers.rates import PRICED, RATES, TERNARY, TWIN, WEIGHTS, chosen, priced
from tests.helpers.tables import QUESTION

COLOURS = {TERNARY: PURPLE, TWIN: GREEN}
SIZES = (64, 128, 256)


def figure_of(rows: pd.DataFrame, question=WEIGHTS):
    return draw("price", rows, LIMITS, "A title", question)


@functools.cache
def whole():
    return figure_of(priced())


def drawn(axes, weights: str, kind: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """(x, y) of what is drawn of an arm. kind: "line", "best", "other" or "cross"."""

    def kind_of(line) -> str:
        if line.get_marker() == "x":
            return "cross"
        if line.get_linestyle() != "None":
            return "line"
        return "best" if line.get_alpha() > 0.5 else "other"

    own = [line for line in axes.lines if to_hex(line.get_color()) == COLOURS[weights].lower()]
    found = [line.get_data() for line in own if kind_of(line) == kind]
    return [(np.asarray(x), np.asarray(y)) for x, y in found if len(x)]


def seeds(axes, weights: str, kind: str) -> list[float]:
    return sorted(float(value) for _, y in drawn(axes, weights, kind) for value in y)


def test_the_first_panel_has_both_arms_at_their_best_rates_over_sizes():
    first = whole().axes[0]
    for weights, means in {TERNARY: [5.0, 4.6, 4.4], TWIN: [4.8, 4.5, 4.3]}.items():
        [(x, y)] = drawn(first, weights, "line")
        assert y == pytest.approx(means) and np.abs(np.log2(x / SIZES)).max() < 0.1
    best = [mean + more for mean in (4.4, 4.6, 5.0) for more in (-0.02, 0, 0.02)]
    assert seeds(first, TERNARY, "best") == pytest.approx(best)
    assert len(seeds(first, TERNARY, "other")) == 3 * 2 * 3


def test_a_panel_a_size_has_every_rate():
    assert titles(whole()) == ["each arm's best rate", "hidden 64", "hidden 128", "hidden 256"]
    for size, axes in zip(SIZES, whole().axes[1:], strict=True):
        for weights in COLOURS:
            [(x, y)] = drawn(axes, weights, "line")
            middle = 0.0  # of what the seeds add
            assert y == pytest.approx([loss + middle for loss in PRICED[size, weights]])
            assert np.abs(np.log2(x / RATES)).max() < 0.1
            assert len(seeds(axes, weights, "best")) == 3
            assert len(seeds(axes, weights, "other")) == 6
        assert [text.get_text() for text in axes.get_xticklabels()] == ["1e-3", "2e-3", "4e-3"]


def test_the_scale_of_the_first_panel_is_that_of_the_best_rates():
    low, high = whole().axes[0].get_ylim()
    assert 4.0 < low < 4.29 and 5.02 < high < 5.3  # and not 5.8, the loss at a bad rate


def test_names_stand_on_the_page():
    assert {"Weights ternary", "Weights full_precision", "seed, other rate"} <= texts(whole())
    assert "diverged" not in texts(whole())
    assert_nothing_cut_off_or_covered(whole())


def test_a_diverged_run_is_a_cross_and_its_rate_is_not_the_best():
    rows = priced()
    lost = chosen(rows, 128, TERNARY, 2e-3, seed=1) & (rows["Step"] >= 500)
    figure = figure_of(rows.assign(ValLoss=rows["ValLoss"].mask(lost)))
    axes = figure.axes[2]
    [(x, _)] = drawn(axes, TERNARY, "cross")
    assert len(x) == 1 and abs(np.log2(x[0] / 2e-3)) < 0.1 and "diverged" in texts(figure)
    assert seeds(axes, TERNARY, "best") == pytest.approx([4.68, 4.7, 4.72])  # at 4e-3
    [(x, y)] = drawn(axes, TERNARY, "line")
    assert y == pytest.approx([5.0, 4.7])  # no mean of the two that are left
    assert_nothing_cut_off_or_covered(figure)


def test_an_arm_that_diverged_at_every_rate_has_no_line():
    rows = priced()
    lost = (rows["Weights"] == TERNARY) & (rows["Step"] >= 500)
    first = figure_of(rows.assign(ValLoss=rows["ValLoss"].mask(lost))).axes[0]
    assert drawn(first, TERNARY, "line") == [] and len(drawn(first, TWIN, "line")) == 1


def test_a_row_a_series_where_the_arms_are_others_than_the_weights():
    rows = pd.concat([priced(), priced().assign(Stage2WD=0.05)])
    figure = figure_of(rows, QUESTION)
    labels = [axes.get_ylabel().split("\n")[0] for axes in figure.axes[::4]]
    assert labels == ["Weights full_precision", "Weights ternary"] and len(figure.axes) == 8
    assert {"Stage2WD 0", "Stage2WD 0.05"} <= texts(figure)
    assert_nothing_cut_off_or_covered(figure)


def test_one_size_and_one_seed_are_enough():
    rows = priced()
    figure = figure_of(rows[(rows["HiddenSize"] == 64) & (rows["Seed"] == 0)])
    assert len(figure.axes) == 2 and seeds(figure.axes[0], TWIN, "best") == pytest.approx([4.79])
