"""Curves over the steps: everything that was run is on them, at the right height, in its colour."""

import functools
import itertools
import math

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Annotation, Text

from bitnet.config.thresholds import Thresholds
from bitnet.figures.draw import draw
from bitnet.figures.rows import prepared
from bitnet.figures.style import ARM_COLOURS, Page, arm_colours
from bitnet.figures.trajectories import QUANTITIES
from tests.helpers.figures import (
    LIMITS,
    assert_nothing_cut_off_or_covered,
    diverging,
    drawn,
    heights,
    lines,
    one_change_at_a_time,
    study,
    texts,
    titles,
)

ALL = list(QUANTITIES)


@functools.cache
def whole(name):
    """A figure of the whole study, drawn once for all tests that only look at it."""
    return draw(name, study(), LIMITS, "A title")


@pytest.mark.parametrize("name", ALL)
def test_every_arm_twin_and_seed_is_drawn_in_every_panel(name):
    figure = whole(name)
    assert len(figure.axes) == 4
    parts = itertools.product(
        ("trunk", "Stage2WD 0", "Stage2WD 0.05"),
        ("ternary", "full_precision"),
        ("seed0", "seed1", "seed2", "mean"),
    )
    expected = {" ".join(part) for part in parts}
    for axes in figure.axes:
        assert set(lines(axes)) == expected


def test_panels_say_what_they_show():
    figure = whole("loss")
    assert titles(figure) == ["HiddenSize 256", "HiddenSize 512"]
    labels = [figure.axes[index].get_ylabel() for index in (0, 2)]
    assert labels == ["Optimizer adam\nValLoss", "Optimizer adamw\nValLoss"]
    assert figure.get_suptitle() == "A title"
    shown = texts(figure)
    assert {"N = 4,096 held-out positions, data 1234abcd", "switch"} <= shown
    assert {"Stage2WD 0", "Stage2WD 0.05", "Weights ternary", "Weights full_precision"} <= shown


def test_what_varies_in_a_full_cross_is_named_above_its_column():
    rows = pd.concat([study((256,)), study((256,), PeakLR=5e-4)])
    figure = draw("pdr", rows, LIMITS)
    assert titles(figure) == ["HiddenSize 256\nPeakLR 0.0005", "HiddenSize 256\nPeakLR 0.0015"]
    rows = pd.concat([study((64,)), study((64,), Variant="clip0.1", Stage1WD=0.0)])
    expected = ["Stage1WD 0\nVariant clip0.1", "Stage1WD 0.1\nVariant base"]
    assert titles(draw("pdr", rows, LIMITS)) == [f"HiddenSize 64\n{text}" for text in expected]


SPECIAL = {  # the panels of one_change_at_a_time, and the loss that all its runs have there
    "adam": 5,
    "adamw": 5,
    "adamw-unscaled": 5,
    "adam, clip0.1": 5.5,
    "adam, lr5e-4": 5,
    "adam, switchwd450": 5,
    "adamw, stage1wd0": 3.5,
}


def test_without_a_full_cross_each_panel_names_what_is_special_about_it():
    figure = draw("loss", one_change_at_a_time(), LIMITS)
    assert titles(figure) == list(SPECIAL)
    assert len(figure.axes) == len(SPECIAL)  # the places left over are empty
    rows = {axes.get_subplotspec().rowspan.start for axes in figure.axes}
    assert rows == {0, 1}
    shown = [axes.get_xlabel() != "" for axes in figure.axes]
    assert shown == [False] * 2 + [True] * 5  # the lowest of each column
    assert [axes.get_ylabel() for axes in figure.axes] == ["ValLoss", *[""] * 4, "ValLoss", ""]


def test_runs_of_two_protocols_are_never_in_one_panel():
    figure = draw("loss", one_change_at_a_time(), LIMITS)
    for axes in figure.axes:
        seen = {value for line in lines(axes).values() for value in line.get_ydata()}
        assert seen == {SPECIAL[axes.get_title()]}
        trunk = lines(axes)["trunk ternary seed0"].get_xdata()
        assert trunk[-1] == (400 if "switchwd450" in axes.get_title() else 300)


def test_several_sizes_are_named_in_a_panel_of_their_own_too():
    rows = pd.concat([study((64, 128), seeds=1), study((64,), ("adam",), PeakLR=5e-4, seeds=1)])
    expected = ["h64, adam", "h64, adamw", "h64, adam, lr5e-4", "h128, adam", "h128, adamw"]
    assert titles(draw("loss", rows, LIMITS)) == expected


@pytest.mark.parametrize("name", ALL)
def test_nothing_is_cut_off_or_covered_in_small_multiples(name):
    assert_nothing_cut_off_or_covered(draw(name, one_change_at_a_time(), LIMITS, "A title"))


def test_curves_are_the_means_of_the_table():
    rows = study((64,), ("adam",), seeds=3)
    rows["ValLoss"] = np.random.default_rng(0).uniform(3, 6, len(rows))
    curves = lines(draw("loss", rows, LIMITS).axes[0])
    own = rows[(rows["Weights"] == "full_precision") & (rows["Stage2WD"] == 0)]
    expected = own[own["Step"] >= 300].groupby("Step")["ValLoss"].mean()
    assert curves["Stage2WD 0 full_precision mean"].get_ydata() == pytest.approx(
        expected.to_numpy()
    )


def test_a_missing_arm_or_twin_leaves_the_others():
    rows = study((64,), ("adam",), seeds=1)
    rows = rows[(rows["Weights"] == "ternary") | (rows["Stage2WD"] == 0.05)]
    curves = lines(draw("loss", rows, LIMITS).axes[0])
    assert "Stage2WD 0 ternary mean" in curves and "Stage2WD 0 full_precision mean" not in curves


def test_an_arm_has_one_colour_in_every_panel_and_figure():
    for name, decays in itertools.product(ALL, [(0.05, 0.0), (0.1, 0.05, 0.0)]):
        rows = study((64, 128), ("adam",), decays, seeds=1)
        for axes in draw(name, rows, LIMITS).axes:
            for label, line in lines(axes).items():
                for arm, colour in ARM_COLOURS.items():
                    assert (line.get_color() == colour) == label.startswith(f"{arm} ")


def test_many_arms_have_as_many_colours():
    decays = [0.0, 0.05, *np.linspace(0.1, 0.5, 9)]
    colours = arm_colours(prepared(study((64,), ("adam",), decays, seeds=1)))
    assert list(colours) == [f"Stage2WD {decay:g}" for decay in decays]
    assert len(set(map(str, colours.values()))) == len(decays)


def test_twins_are_dashed_and_ternary_is_solid():
    for label, line in lines(whole("loss").axes[0]).items():
        assert (line.get_linestyle() == "--") == ("full_precision" in label)


def test_the_trunk_ends_and_the_arms_begin_at_the_switch():
    curves = lines(whole("pdr").axes[0])
    assert list(curves["trunk ternary seed1"].get_xdata()) == [0, 100, 200, 300]
    assert list(curves["Stage2WD 0 ternary seed1"].get_xdata()) == [300, 400, 500, 600]


def test_the_mean_is_of_logarithms_for_counts_and_of_nats_for_loss():
    rows = study((64,), ("adam",), seeds=2)  # counts 4 and 8, losses 5 and 6
    count = lines(draw("unique_predictions", rows, LIMITS).axes[0])["trunk ternary mean"]
    assert count.get_ydata() == pytest.approx([math.sqrt(32)] * 4)
    nats = lines(draw("loss", rows, LIMITS).axes[0])["trunk ternary mean"]
    assert nats.get_ydata() == pytest.approx([5.5] * 4)


REFERENCES = {
    "unique_predictions": {
        "collapsed < 10": 10,
        "diverse > 50": 50,
        "UniqueTargets 732": 732,
        "bigram 210": 210,
        "trigram 340": 340,
    },
    "loss": {
        "ln V 7.62": math.log(2048),
        "unigram 6.00": 6,
        "bigram 4.50": 4.5,
        "trigram 4.25": 4.25,
    },
    "pdr": {"targets 1": 1, "trigram 0.5": 0.5},
}


@pytest.mark.parametrize("name", ALL)
def test_references_are_at_their_height_named_and_in_sight(name):
    figure = whole(name)
    expected = set(REFERENCES[name].values())
    for axes in figure.axes:
        assert heights(axes) == expected
        low, high = axes.get_ylim()
        assert all(low < height < high for height in expected)
    assert set(REFERENCES[name]) <= texts(figure)


def test_thresholds_are_those_given_and_move_to_pdr_on_a_blind_corpus():
    limits = Thresholds(collapsed_below=12, blind_collapsed_share=0.2)
    assert 12 in heights(draw("unique_predictions", study((64,), ("adam",)), limits).axes[0])
    blind = study((64,), ("adam",), Blind=True)
    assert heights(draw("unique_predictions", blind, limits).axes[0]) == {210, 340, 732}
    assert heights(draw("pdr", blind, limits).axes[0]) == {0.1, 0.25, 0.5, 1}


def test_labels_of_close_references_do_not_overlap():
    rows = study((64,), BigramUniquePredictions=339, UniqueTargets=341)
    figure = draw("unique_predictions", rows, LIMITS)
    figure.draw_without_rendering()
    labels = [text for text in figure.axes[0].texts if isinstance(text, Annotation)]
    boxes = [Text.get_window_extent(label) for label in labels]  # without their leader lines
    assert len(boxes) == 5
    assert not any(one.overlaps(other) for one, other in itertools.combinations(boxes, 2))


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("sizes", [(64,), (256, 512, 768, 1024)])
def test_nothing_is_cut_off_or_covered(name, sizes):
    figure = draw(name, study(sizes, ("adam",), seeds=1, UniqueTargets=3210), LIMITS, "A title")
    assert_nothing_cut_off_or_covered(figure)
    inches = figure.axes[0].get_position().size * figure.get_size_inches()
    assert inches == pytest.approx(Page().panel, rel=0.01)


@pytest.mark.parametrize("name", ALL)
def test_a_diverged_run_ends_with_a_cross_and_is_left_out_of_the_mean(name):
    figure = draw(name, diverging(500), LIMITS)
    curves = lines(figure.axes[0])
    cross = curves["Stage2WD 0 ternary seed2 diverged"]
    assert (list(cross.get_xdata()), cross.get_marker()) == ([400], "x")
    assert list(curves["Stage2WD 0 ternary seed2"].get_xdata()) == [300, 400]
    two = lines(draw(name, study((256,), ("adam",), seeds=2), LIMITS).axes[0])
    mean, without = (c["Stage2WD 0 ternary mean"].get_ydata() for c in (curves, two))
    assert mean == pytest.approx(without)
    assert "diverged" in texts(figure)


@pytest.mark.parametrize("name", ALL)
def test_runs_that_all_diverged_do_not_stop_the_figure(name):
    rows = study((64,), ValLoss=np.nan)
    assert drawn(name, rows, "png").startswith(b"\x89PNG")


def test_a_huge_loss_does_not_flatten_the_others():
    rows = study((64,)).reset_index(drop=True)
    rows.loc[rows["Step"] == 600, "ValLoss"] = 1e6
    assert draw("loss", rows, LIMITS).axes[0].get_ylim()[1] < 2 * math.log(2048)


@pytest.mark.parametrize("name", ALL)
def test_one_seed_of_one_size_is_enough(name):
    rows = study((64,), ("adam",), seeds=1)
    curves = lines(draw(name, rows, LIMITS).axes[0])
    assert len(curves) == 2 * 3 * 2
    assert b">N = 4,096 held-out positions, data 1234abcd</text>" in drawn(name, rows)
