"""The figures: everything that was run is on them, at the right height, in its own colour."""

import functools
import io
import itertools
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Annotation, Text

from bitnet.metrics import COLUMNS
from bitnet.plots import ARM_COLOURS, FIGURES, PANEL, arm_colours, draw, save
from bitnet.records import record_of, write_record
from bitnet.states import Thresholds
from workflow.scripts import figures as script

LIMITS = Thresholds()
STEPS = np.array([0, 100, 200, 300, 400, 500, 600])
SWITCH = 300
ALL = list(FIGURES)


def run(size, optimizer, weights, decay, seed, **columns) -> pd.DataFrame:
    """A run whose every count is (seed + 1) * 4 up to the switch; then WD 0 counts tenfold."""
    tenfold = 10 if decay == 0 else 1
    count = (seed + 1) * 4 * np.where(STEPS > SWITCH, tenfold, 1)
    values = dict.fromkeys(COLUMNS, 1.0) | {
        "Step": STEPS,
        "Loss": np.where(STEPS > 0, 5.0, np.nan),
        "UniquePredictions": count,
        "ValLoss": 5.0 + seed,
        "PDR": count / 700,
        "UniqueTargets": 732,
        "Optimizer": optimizer,
        "Weights": weights,
        "Seed": seed,
        "HiddenSize": size,
        "Stage2WD": decay,
        "PeakLR": 1.5e-3,
        "Variant": "base",
        "SwitchStep": SWITCH,
        "N": 4096,
        "VocabSize": 2048,
        "DataHash": "1234abcd5678",
        "UnigramLoss": 6.0,
        "BigramLoss": 4.5,
        "TrigramLoss": 4.25,
        "BigramUniquePredictions": 210,
        "TrigramUniquePredictions": 340,
        "TrigramPDR": 0.5,
        "Blind": False,
    }
    return pd.DataFrame(values | columns)


def study(sizes=(256, 512), optimizers=("adam", "adamw"), decays=(0.05, 0.0), seeds=3, **columns):
    """The runs of a grid, ternary and full precision."""
    weights = ("ternary", "full_precision")
    grid = itertools.product(sizes, optimizers, weights, decays, range(seeds))
    return pd.concat(run(*point, **columns) for point in grid)


@functools.cache
def whole(name):
    """A figure of the whole study, drawn once for all tests that only look at it."""
    return draw(name, study(), LIMITS, "A title")


def lines(axes) -> dict:
    """Curves of a panel by name, references left out."""
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def texts(figure) -> set[str]:
    """All text beside and in the panels, title, footer and legend."""
    panels = (text.get_text() for axes in figure.axes for text in axes.texts)
    legend = (text.get_text() for text in figure.legends[0].get_texts())
    return {text.strip() for text in (*panels, *legend, *(t.get_text() for t in figure.texts))}


def heights(axes) -> set[float]:
    """Where a panel's horizontal reference lines are."""
    return {line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1]}


def drawn(name, rows, format="svg") -> bytes:
    file = io.BytesIO()
    save(draw(name, rows, LIMITS, "A title"), file, format)
    return file.getvalue()


@pytest.mark.parametrize("name", ALL)
def test_every_arm_twin_and_seed_is_drawn_in_every_panel(name):
    figure = whole(name)
    assert len(figure.axes) == 4
    parts = itertools.product(
        ("trunk", "wd0", "wd0.05"),
        ("ternary", "full_precision"),
        ("seed0", "seed1", "seed2", "mean"),
    )
    expected = {" ".join(part) for part in parts}
    for axes in figure.axes:
        assert set(lines(axes)) == expected


def test_panels_say_what_they_show():
    figure = whole("loss")
    assert [axes.get_title() for axes in figure.axes[:2]] == ["HiddenSize 256", "HiddenSize 512"]
    labels = [figure.axes[index].get_ylabel() for index in (0, 2)]
    assert labels == ["Optimizer adam\nValLoss", "Optimizer adamw\nValLoss"]
    assert figure.get_suptitle() == "A title"
    shown = texts(figure)
    assert {"N = 4,096 held-out positions, data 1234abcd", "switch"} <= shown
    assert {"Stage2WD 0", "Stage2WD 0.05", "Weights ternary", "Weights full_precision"} <= shown


def test_a_varying_learning_rate_has_its_own_columns():
    rows = pd.concat([study((256,)), study((256,), ("adam",), PeakLR=5e-4)])
    figure = draw("pdr", rows, LIMITS)
    titles = [axes.get_title() for axes in figure.axes[:2]]
    assert titles == ["HiddenSize 256\nPeakLR 0.0005", "HiddenSize 256\nPeakLR 0.0015"]
    assert "no runs" in {text.get_text() for text in figure.axes[2].texts}  # adamw at 5e-4


def test_an_arm_has_one_colour_in_every_panel_and_figure():
    for name, decays in itertools.product(ALL, [(0.05, 0.0), (0.1, 0.05, 0.0)]):
        rows = study((64, 128), ("adam",), decays, seeds=1)
        for axes in draw(name, rows, LIMITS).axes:
            for label, line in lines(axes).items():
                for arm, colour in ARM_COLOURS.items():
                    assert (line.get_color() == colour) == (label.split()[0] == f"wd{arm:g}")


def test_many_arms_have_as_many_colours():
    decays = [0.0, 0.05, *np.linspace(0.1, 0.5, 9)]
    colours = arm_colours(study((64,), ("adam",), decays, seeds=1))
    assert list(colours) == decays
    assert len(set(map(str, colours.values()))) == len(decays)


def test_twins_are_dashed_and_ternary_is_solid():
    for label, line in lines(whole("loss").axes[0]).items():
        assert (line.get_linestyle() == "--") == ("full_precision" in label)


def test_the_trunk_ends_and_the_arms_begin_at_the_switch():
    curves = lines(whole("pdr").axes[0])
    assert list(curves["trunk ternary seed1"].get_xdata()) == [0, 100, 200, 300]
    assert list(curves["wd0 ternary seed1"].get_xdata()) == [300, 400, 500, 600]


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
    figure.draw_without_rendering()
    page = figure.bbox
    titles = [axes.title.get_window_extent() for axes in figure.axes]
    legend = figure.legends[0].get_window_extent()
    labels = [text.get_window_extent() for axes in figure.axes for text in axes.texts]
    for box in (*titles, legend, *labels):
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1
    assert not any(legend.overlaps(box) for box in (*titles, *labels))
    assert not legend.overlaps(figure._suptitle.get_window_extent())
    inches = figure.axes[0].get_position().size * figure.get_size_inches()
    assert inches == pytest.approx(PANEL, rel=0.01)


def diverging(step, **columns) -> pd.DataFrame:
    """Three seeds, the last of which is NaN from a step on in its WD 0 arm."""
    rows = study((256,), ("adam",), **columns).reset_index(drop=True)
    lost = (rows["Seed"] == 2) & (rows["Stage2WD"] == 0) & (rows["Step"] >= step)
    return rows.assign(ValLoss=rows["ValLoss"].mask(lost), Loss=rows["Loss"].mask(lost))


@pytest.mark.parametrize("name", ALL)
def test_a_diverged_run_ends_with_a_cross_and_is_left_out_of_the_mean(name):
    figure = draw(name, diverging(500), LIMITS)
    curves = lines(figure.axes[0])
    cross = curves["wd0 ternary seed2 diverged"]
    assert (list(cross.get_xdata()), cross.get_marker()) == ([400], "x")
    assert list(curves["wd0 ternary seed2"].get_xdata()) == [300, 400]
    two = lines(draw(name, study((256,), ("adam",), seeds=2), LIMITS).axes[0])
    mean, without = (c["wd0 ternary mean"].get_ydata() for c in (curves, two))
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


@pytest.mark.parametrize("format", ["svg", "png", "pdf"])
@pytest.mark.parametrize("name", ALL)
def test_drawn_twice_in_any_order_of_rows_gives_the_same_bytes(name, format):
    rows = diverging(500).query("Seed > 0")
    first = drawn(name, rows, format)
    assert first == drawn(name, rows.sample(frac=1, random_state=0), format)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (study().drop(columns="PDR"), "lack the columns PDR"),
        (study()[:0], "no rows"),
        (pd.concat([study((256,)), study((512,), N=20)]), "disagree in N: 20, 4096"),
        (study().replace("ternary", "binary"), "unknown Weights 'binary'"),
    ],
)
def test_tables_that_are_no_study_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        draw("loss", rows, LIMITS)


RECIPE = {
    "model": {"hidden_size": 64, "num_heads": 2, "num_kv_heads": 1},
    "training": {"peak_lr": 1.5e-3, "switch_lr": 1e-3, "final_lr": 1.5e-5},
}
LINEAGE = {"train": {"recipe": RECIPE, "code": "0"}, "evaluate": {"code": "0"}}
MEASURED = {"data": "1234e5678901", "environment": {"device": "cpu"}}


def tables(folder: Path) -> list[str]:
    """The runs of a study as CSV files; the hash looks like a number."""
    paths = []
    for key, rows in study((64,), DataHash="1234e5678901").groupby(["Optimizer", "Stage2WD"]):
        paths.append(str(folder / f"{key}.csv"))
        rows.to_csv(paths[-1], index=False)
        write_record(record_of(paths[-1]), [Path(paths[-1])], LINEAGE, **MEASURED)
    return paths


def test_the_script_writes_what_its_outputs_name(tmp_path):
    inputs = tables(tmp_path)
    outputs = [tmp_path / "figures" / name for name in ("loss.svg", "loss.png", "pdr.svg")]
    options = ["--title", "Quick", "--dpi", "60", "--thresholds", '{"collapsed_below": 12}']
    script.main(["--inputs", *inputs, *options, "--outputs", *map(str, outputs)])
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {p.name for p in outputs}
    assert outputs[1].read_bytes().startswith(b"\x89PNG")
    assert "data 1234e567<" in outputs[2].read_text()


def test_the_script_refuses_an_unknown_figure_in_one_line(tmp_path):
    command = [sys.executable, "-m", "workflow.scripts.figures", "--inputs", *tables(tmp_path)]
    output = tmp_path / "ratio.svg"
    ran = subprocess.run([*command, "--outputs", str(output)], capture_output=True, text=True)
    assert (ran.returncode, output.exists()) == (1, False)
    message = "the figures are unique_predictions, loss, pdr"
    assert ran.stderr == f"error: output {output}: {message}\n"


@pytest.mark.parametrize("name", ["loss.gif", "loss"])
def test_the_script_refuses_an_unknown_format(name):
    with pytest.raises(ValueError, match="the formats are svg, pdf, png"):
        script.main(["--inputs", "absent.csv", "--outputs", name])
