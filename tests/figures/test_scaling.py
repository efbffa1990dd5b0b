"""The scaling figure: means, seeds and states at every size, as the table has them."""

import functools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from bitnet.evaluation.states import STATES
from bitnet.figures.draw import draw
from bitnet.figures.scaling import MARKERS
from bitnet.figures.style import ARM_COLOURS, TRUNK_COLOUR
from tests.helpers.figures import (
    LIMITS,
    assert_nothing_cut_off_or_covered,
    heights,
    lines,
    study,
    texts,
    titles,
)

SIZES = (64, 128, 256)
SERIES = ("at the switch", "end, Stage2WD 0", "end, Stage2WD 0.05")


def growing(**columns) -> pd.DataFrame:
    """A study whose counts grow with size: 4, 8, 12 a seed at hidden 64, tenfold where rescued."""
    rows = study(SIZES, ValLoss=5.0, **columns)
    return rows.assign(UniquePredictions=rows["UniquePredictions"] * rows["HiddenSize"] // 64)


@functools.cache
def whole():
    return draw("scaling", growing(), LIMITS, "A title")


def means(axes, name) -> list[float]:
    return list(lines(axes)[f"{name} mean"].get_ydata())


def test_a_panel_an_optimizer_with_references_named():
    figure = whole()
    assert titles(figure) == ["Optimizer adam", "Optimizer adamw"]
    for axes in figure.axes:
        assert heights(axes) == {10, 50, 210, 340}
        assert [text.get_text() for text in axes.get_xticklabels()] == ["64", "128", "256"]
        assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert {"bigram 210", "trigram 340", "collapsed < 10", "diverse > 50"} <= texts(figure)
    assert_nothing_cut_off_or_covered(figure)


def test_means_are_geometric_over_seeds_of_the_last_evaluations():
    axes, seeds = whole().axes[0], (4 * 8 * 12) ** (1 / 3)
    for weights in ("ternary", "full_precision"):
        expected = [seeds, 2 * seeds, 4 * seeds]
        assert means(axes, f"at the switch {weights}") == pytest.approx(expected)
        assert means(axes, f"end, Stage2WD 0.05 {weights}") == pytest.approx(expected)
        rescued = means(axes, f"end, Stage2WD 0 {weights}")
        assert rescued == pytest.approx([10 * value for value in expected])


def test_every_seed_is_a_dot_beside_its_size():
    dots = lines(whole().axes[0])["end, Stage2WD 0 ternary"]
    assert sorted(dots.get_ydata()) == [40, 80, 80, 120, 160, 160, 240, 320, 480]
    assert np.abs(np.log2(dots.get_xdata() / np.repeat(SIZES, 3))).max() < 0.25
    places = {
        tuple(lines(axes)[f"{name} ternary mean"].get_xdata())
        for axes in whole().axes
        for name in SERIES
    }
    assert len(places) == len(SERIES)  # equal series stay visible


def test_colours_are_the_arms_and_dashes_the_twins():
    colours = dict(zip(SERIES, (TRUNK_COLOUR, *ARM_COLOURS.values()), strict=True))
    for name, line in lines(whole().axes[0]).items():
        [series] = [series for series in SERIES if f"{series} ".startswith(name[: len(series) + 1])]
        assert to_hex(line.get_color()) == to_hex(colours[series])
        if name.endswith("mean"):
            assert (line.get_linestyle() == "--") == ("full_precision" in name)


def test_a_marker_is_the_commonest_state():
    curves = whole().axes[0].lines

    def states(series):
        found = [line for line in curves if line.get_label().startswith(f"{series} ternary ")]
        return [line.get_marker() for line in found if line.get_marker() in MARKERS.values()]

    # 4, 8, 12: collapsed; 8, 16, 24 and 16, 32, 48: recovering
    expected = ["collapsed", "recovering", "recovering"]
    assert states("at the switch") == [MARKERS[name] for name in expected]
    assert states("end, Stage2WD 0") == [MARKERS["diverse"]] * 3
    assert {"collapsed", "recovering", "diverse"} <= texts(whole())
    assert set(MARKERS) == set(STATES) and len(set(MARKERS.values())) == len(STATES)


def test_variants_are_left_out():
    rows = pd.concat([growing(), growing(Variant="clip0.1", optimizers=("adam",))])
    rows.loc[rows["Variant"] != "base", "UniquePredictions"] = 999
    figure = draw("scaling", rows, LIMITS)
    assert 999 not in {
        value for axes in figure.axes for line in axes.lines for value in line.get_ydata()
    }


def test_a_diverged_run_is_no_part_of_a_mean():
    rows = growing(optimizers=("adam",))
    lost = (rows["Seed"] == 2) & (rows["Step"] > 400)
    rows["ValLoss"] = rows["ValLoss"].mask(lost)
    axes = draw("scaling", rows, LIMITS).axes[0]
    two = [10 * (4 * 8) ** 0.5 * factor for factor in (1, 2, 4)]
    assert means(axes, "end, Stage2WD 0 ternary") == pytest.approx(two)


def test_one_seed_one_arm_and_a_missing_twin_are_enough():
    rows = growing(seeds=1, decays=(0.0,), optimizers=("adam",))
    rows = rows[(rows["Weights"] == "ternary") | (rows["HiddenSize"] > 64)]
    axes = draw("scaling", rows, LIMITS).axes[0]
    assert len(means(axes, "end, Stage2WD 0 ternary")) == 3
    assert len(means(axes, "end, Stage2WD 0 full_precision")) == 2
