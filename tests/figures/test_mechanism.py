"""The mechanism's panels: a column an optimizer and Weights, each quantity as defined by hand."""

import functools

import numpy as np
import pandas as pd
import pytest

from bitnet.figures.draw import draw
from bitnet.figures.mechanism import COUPLED
from bitnet.training.optim import DECAYS
from tests.helpers.figures import (
    LIMITS,
    STEPS,
    assert_nothing_cut_off_or_covered,
    diverging,
    heights,
    lines,
    one_change_at_a_time,
    study,
    texts,
    titles,
)

ROWS = (
    "norm of the embedding",
    "norm of the linear layers",
    "RMSNorm gains",
    "embedding: WD × norm",
    "linear layers: WD × norm",
    "effective LR",
    "ternary values changed",
    "ternary values at 0",
    "weights near rounding to",
    "cosine of hidden states",
    "distinct predictions",
)


@functools.cache
def tied():
    """The figure of adam and adamw at one size, drawn once."""
    return draw("mechanism", study((64,), seeds=2), LIMITS, "A title")


def panel(figure, row: str, column: int = 0):
    """A panel by what its row is called."""
    [first] = [axes for axes in figure.axes if axes.get_ylabel().startswith(row)]
    return figure.axes[figure.axes.index(first) + column]


def test_a_column_is_an_optimizer_and_its_weights_and_a_row_a_quantity():
    figure = tied()
    expected = [f"{o}\n{w}" for o in ("adam", "adamw") for w in ("ternary", "full_precision")]
    assert titles(figure) == expected
    shown = [axes.get_ylabel().split("\n")[0] for axes in figure.axes[::4]]
    assert shown == list(ROWS) and len(figure.axes) == 4 * len(ROWS)
    assert_nothing_cut_off_or_covered(figure)


def test_norms_are_multiples_of_step_0_and_means_of_the_seeds():
    rows = study((64,), ("adam",), seeds=2)
    rows["WeightNorm"] *= 1 + rows["Seed"]  # which a ratio to step 0 does not show
    curves = lines(panel(draw("mechanism", rows, LIMITS), "norm of the linear layers"))
    early, late = (curves[f"{part} ternary mean"].get_ydata() for part in ("trunk", "Stage2WD 0"))
    assert [*early, *late[1:]] == pytest.approx((20 - STEPS / 60) / 20)


def test_decay_is_set_against_the_gradient():
    early = lines(panel(tied(), "linear layers"))["trunk ternary mean"]
    assert list(early.get_xdata()) == [100, 200, 300]  # there is no gradient at step 0
    assert early.get_ydata() == pytest.approx(0.1 * (20 - STEPS[1:4] / 60) / 2)
    curves = lines(panel(tied(), "embedding"))
    assert curves["Stage2WD 0.05 ternary mean"].get_ydata()[1:] == pytest.approx([0.05 * 8 / 4] * 3)
    assert len(curves["Stage2WD 0 ternary mean"].get_xdata()) == 1  # WD 0 has no logarithm
    assert heights(panel(tied(), "embedding")) == {1}


def test_an_untied_head_has_a_row_and_counts_in_the_decay():
    figure = draw("mechanism", study((64,), seeds=1, HeadNorm=6.0), LIMITS)
    assert len(figure.axes) == 4 * (len(ROWS) + 1) and panel(figure, "norm of the head")
    curve = lines(panel(figure, "embedding"))["trunk ternary mean"]
    assert curve.get_ydata() == pytest.approx([0.1 * 10 / 4] * 3)  # 6, 8 and 10: a right triangle


def test_decay_that_is_not_in_the_gradient_is_marked():
    for name, decay in DECAYS.items():
        parts = {part for part in decay.reach if part != "gain"}  # no row shows gains' gradients
        assert set(COUPLED.get(name, ())) == (parts if decay.coupled else set())
    for row in ("embedding", "linear layers"):
        notes = [
            "not in the gradient" in {text.get_text() for text in panel(tied(), row, column).texts}
            for column in range(4)
        ]
        assert notes == [False, False, True, True]


def test_a_twin_has_no_ternary_values_and_says_so():
    for row in ROWS[6:9]:
        ternary, twin = (panel(tied(), row, column) for column in (0, 1))
        assert len(lines(ternary)["Stage2WD 0 ternary mean"].get_xdata()) == 4
        assert all(len(line.get_xdata()) == 0 for line in lines(twin).values())
        assert [text.get_text() for text in twin.texts] == ["none"]


def test_variants_and_other_protocols_are_left_out():
    rows = one_change_at_a_time()
    rows.loc[rows["Variant"] != "base", "Gain"] = 7.0
    rows.loc[(rows["PeakLR"] < 1e-3) | (rows["Stage1WD"] == 0), "Gain"] = 7.0
    figure = draw("mechanism", rows, LIMITS)
    assert titles(figure)[::2] == [f"{o}\nternary" for o in ("adam", "adamw", "adamw-unscaled")]
    for column in range(6):
        curves = lines(panel(figure, "RMSNorm gains", column)).values()
        assert {value for line in curves for value in line.get_ydata()} == {1}


def test_of_several_sizes_the_smallest_is_shown_and_named():
    rows = study((128, 64, 256), ("adam",), seeds=1)
    rows["Gain"] = rows["HiddenSize"].astype(float)
    figure = draw("mechanism", rows, LIMITS, "scaling")
    assert figure.get_suptitle() == "scaling, HiddenSize 64 (the smallest)"
    curve = lines(panel(figure, "RMSNorm gains"))["trunk ternary mean"]
    assert curve.get_ydata() == pytest.approx([64] * 4)


def test_thresholds_stand_beside_the_counts():
    assert heights(panel(tied(), "distinct predictions")) == {10, 50}
    assert {"collapsed < 10", "diverse > 50", "decay =\ngradient"} <= texts(tied())


def test_a_diverged_run_is_left_out_of_the_mean_and_ends_with_a_cross():
    curves = lines(panel(draw("mechanism", diverging(500), LIMITS), "cosine"))
    assert list(curves["Stage2WD 0 ternary seed2 diverged"].get_xdata()) == [400]
    assert list(curves["Stage2WD 0 ternary mean"].get_xdata()) == [300, 400, 500, 600]


@pytest.mark.parametrize(
    "rows",
    [
        study((64,), ("adam",), decays=(0.05,), seeds=1),
        study((64,), ("adam",), seeds=1).query("Weights == 'full_precision'"),
        study((64,), ("adam",), seeds=1, ValLoss=np.nan, HeadNorm=np.nan, EmbedNorm=np.nan),
    ],
    ids=["one arm", "twins alone", "all diverged"],
)
def test_what_is_missing_does_not_stop_the_figure(rows: pd.DataFrame):
    draw("mechanism", rows, LIMITS).draw_without_rendering()
