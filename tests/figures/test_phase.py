"""The phase diagram: each cell has the colour, the count and the tally of its runs."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from bitnet.evaluation.states import STATES
from bitnet.figures.draw import draw
from bitnet.figures.phase import STATE_COLOURS
from tests.helpers.figures import LIMITS, assert_nothing_cut_off_or_covered, run, texts, titles

RATES, DECAYS = (5e-4, 1.5e-3, 5e-3), (0.0, 0.1)


def plane(ends: dict, seeds: int = 1, size: int = 64, optimizer: str = "adam") -> pd.DataFrame:
    """Runs over the plane. ends: (PeakLR, Stage1WD) to (count at the switch, end WD 0.05, WD 0)."""
    found = []
    for (rate, decay), counts in ends.items():
        for arm, seed in itertools.product((0.05, 0.0), range(seeds)):
            rows = run(size, optimizer, "ternary", arm, seed, PeakLR=rate, Stage1WD=decay)
            late = counts[1 if arm else 2]
            count = np.where(rows["Step"] > 300, late, counts[0])
            found.append(rows.assign(UniquePredictions=count, ValLoss=5.0))
    return pd.concat(found, ignore_index=True)


def cells(axes) -> dict[tuple[float, float], tuple[str, str]]:
    """A panel's cells, (column, row) to (state by its colour, text)."""
    [mesh] = axes.collections
    height, width = mesh.get_array().shape
    axes.figure.draw_without_rendering()  # colours are worked out then
    faces = mesh.get_facecolors().reshape(height, width, 4)
    states = {colour.lower(): name for name, colour in STATE_COLOURS.items()}
    return {
        (int(x), int(y)): (states[to_hex(faces[int(y), int(x)])], text.get_text())
        for text in axes.texts
        for x, y in [text.get_position()]
    }


ENDS = {
    (5e-4, 0.0): (70, 100, 200),  # diverse throughout
    (1.5e-3, 0.0): (70, 8, 1234),
    (5e-3, 0.0): (3, 30, 60),
    (5e-4, 0.1): (4, 6, 20),
    (5e-3, 0.1): (2, 2.5, 9),
}  # at (1.5e-3, 0.1) nothing was run


def test_every_cell_has_the_state_and_the_count_of_its_runs():
    figure = draw("phase", plane(ENDS), LIMITS, "A title")
    assert titles(figure) == ["at the switch", "end, Stage2WD 0", "end, Stage2WD 0.05"]
    at_switch, treated, control = map(cells, figure.axes)
    assert at_switch == {
        (0, 0): ("diverse", "70"),
        (1, 0): ("diverse", "70"),
        (2, 0): ("collapsed", "3"),
        (0, 1): ("collapsed", "4"),
        (2, 1): ("collapsed", "2"),
    }
    assert treated == {
        (0, 0): ("diverse", "200"),
        (1, 0): ("diverse", "1,234"),
        (2, 0): ("diverse", "60"),
        (0, 1): ("recovering", "20"),
        (2, 1): ("collapsed", "9"),
    }
    assert {cell: state for cell, (state, _) in control.items()} == {
        (0, 0): "diverse",
        (1, 0): "collapsed",  # never diverse after the switch: not temporary
        (2, 0): "recovering",
        (0, 1): "collapsed",
        (2, 1): "collapsed",
    }
    assert {"diverse", "collapsed", "recovering"} <= texts(figure)
    assert "diverged" not in texts(figure)
    assert_nothing_cut_off_or_covered(figure)


def test_axes_are_named_by_their_values_as_runs_are():
    axes = draw("phase", plane(ENDS), LIMITS).axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["5e-4", "0.0015", "5e-3"]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["0", "0.1"]
    assert axes.get_xlabel() == "PeakLR" and axes.get_ylabel().endswith("Stage1WD")


def test_of_several_seeds_the_commonest_state_and_the_geometric_mean_are_shown():
    rows = plane({(1e-3, 0.1): (4, 4, 100)}, seeds=3)
    lucky = (rows["Seed"] == 1) & (rows["Stage2WD"] == 0.05) & (rows["Step"] > 300)
    rows.loc[lucky, "UniquePredictions"] = 4 * 27
    at_switch, treated, control = map(cells, draw("phase", rows, LIMITS).axes)
    assert at_switch == {(0, 0): ("collapsed", "4\n3/3")}  # a trunk counts once, not once an arm
    assert treated == {(0, 0): ("diverse", "100\n3/3")}
    assert control == {(0, 0): ("collapsed", "12\n2/3")}  # (4 x 108 x 4) ^ (1/3)


def test_a_panel_a_size_and_optimizer():
    parts = itertools.product((64, 32), ("adamw", "adam"))
    rows = pd.concat(plane(ENDS, size=size, optimizer=name) for size, name in parts)
    figure = draw("phase", rows, LIMITS, "A title")
    assert len(figure.axes) == 4 * 3
    expected = [f"{size} {name} ternary" for size in (32, 64) for name in ("adam", "adamw")]
    found = [" ".join(axes.get_ylabel().split("\n")[:3]) for axes in figure.axes[::3]]
    assert [text.replace("HiddenSize ", "") for text in found] == expected
    assert_nothing_cut_off_or_covered(figure)


def test_diverged_and_invalid_runs_are_shown_as_such():
    rows = plane({(1e-3, 0.0): (70, 70, 70), (2e-3, 0.0): (70, 70, 0)})
    rows.loc[(rows["PeakLR"] == 1e-3) & (rows["Step"] > 400), "ValLoss"] = np.nan
    at_switch, treated, _ = map(cells, draw("phase", rows, LIMITS).axes)
    assert {state for state, _ in at_switch.values()} == {"diverse"}
    assert [state for state, _ in treated.values()] == ["diverged", "invalid"]


def test_every_state_has_a_colour_of_its_own():
    assert set(STATE_COLOURS) == set(STATES)
    assert len(set(STATE_COLOURS.values())) == len(STATES)


@pytest.mark.parametrize("arms", [(0.05,), (0.0,)])
def test_a_missing_arm_has_no_column(arms):
    rows = plane(ENDS)
    figure = draw("phase", rows[rows["Stage2WD"].isin(arms)], LIMITS)
    assert titles(figure) == ["at the switch", f"end, Stage2WD {arms[0]:g}"]
