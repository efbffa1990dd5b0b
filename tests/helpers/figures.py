"""Tables as the runs of a study leave them, made by hand, and what can be read off a figure."""

import io
import itertools

import numpy as np
import pandas as pd

from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.metrics import COLUMNS
from bitnet.figures.draw import draw
from bitnet.figures.style import save

LIMITS = Thresholds()
STEPS = np.array([0, 100, 200, 300, 400, 500, 600])
SWITCH = 300
WEIGHTS = ("ternary", "full_precision")


def run(size, optimizer, weights, decay, seed, **columns) -> pd.DataFrame:
    """A run whose every count is (seed + 1) * 4 up to the switch; then WD 0 counts tenfold."""
    tenfold = 10 if decay == 0 else 1
    count = (seed + 1) * 4 * np.where(STEPS > SWITCH, tenfold, 1)
    twin = np.nan if weights == "full_precision" else 1.0
    trained = np.where(STEPS > 0, 1.0, np.nan)
    values = dict.fromkeys(COLUMNS, 1.0) | {
        "Step": STEPS,
        "Loss": 5.0 * trained,
        "UniquePredictions": count,
        "ValLoss": 5.0 + seed,
        "PDR": count / 700,
        "UniqueTargets": 732,
        "LR": 1e-3 * trained,
        "WD": np.where(STEPS > SWITCH, decay, 0.1),
        "FlipRate": 0.2 * trained * twin,
        "ZeroShare": 0.3 * twin,
        "NearThreshold": 0.1 * twin,
        "WeightNorm": 20 - STEPS / 60,
        "EmbedNorm": 8.0,
        "HeadNorm": 8.0,
        "LinearGradNorm": 2 * trained,
        "EmbedGradNorm": 4 * trained,
        "GainGradNorm": trained,
        "Optimizer": optimizer,
        "Weights": weights,
        "Seed": seed,
        "HiddenSize": size,
        "Stage2WD": decay,
        "PeakLR": 1.5e-3,
        "Stage1WD": 0.1,
        "Variant": "base",
        "SwitchStep": SWITCH,
        "N": 4096,
        "VocabSize": 2048,
        "DataHash": "1234abcd5678",
        "CopyShare": 0.0,
        "UnigramLoss": 6.0,
        "BigramLoss": 4.5,
        "TrigramLoss": 4.25,
        "BigramUniquePredictions": 210,
        "TrigramUniquePredictions": 340,
        "TrigramPDR": 0.5,
        "Blind": False,
    }
    return pd.DataFrame(values | columns)


def study(
    sizes=(256, 512), optimizers=("adam", "adamw"), decays=(0.05, 0.0), seeds=3, **columns
) -> pd.DataFrame:
    """The runs of a grid, ternary and full precision."""
    grid = itertools.product(sizes, optimizers, WEIGHTS, decays, range(seeds))
    return pd.concat([run(*point, **columns) for point in grid], ignore_index=True)


def diverging(step, **columns) -> pd.DataFrame:
    """Three seeds, the last of which is NaN from a step on in its WD 0 arm."""
    rows = study((256,), ("adam",), **columns)
    lost = (rows["Seed"] == 2) & (rows["Stage2WD"] == 0) & (rows["Step"] >= step)
    return rows.assign(ValLoss=rows["ValLoss"].mask(lost), Loss=rows["Loss"].mask(lost))


def one_change_at_a_time() -> pd.DataFrame:
    """A study with variants: three optimizers, four changes of one of them."""
    return pd.concat(
        [
            study((64,), ("adam", "adamw", "adamw-unscaled"), seeds=1),
            study((64,), ("adam",), seeds=1, Variant="clip0.1", ValLoss=5.5),
            study((64,), ("adam",), seeds=1, Variant="switchwd450", SwitchStep=400),
            study((64,), ("adam",), seeds=1, PeakLR=5e-4),
            study((64,), ("adamw",), seeds=1, Stage1WD=0.0, ValLoss=3.5),
        ],
        ignore_index=True,
    )


def lines(axes) -> dict:
    """Curves of a panel by name, references left out."""
    return {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}


def titles(figure) -> list[str]:
    """Titles of the panels that have one."""
    return [axes.get_title() for axes in figure.axes if axes.get_title()]


def texts(figure) -> set[str]:
    """All text beside and in the panels, title, footer and legend."""
    panels = (text.get_text() for axes in figure.axes for text in axes.texts)
    legend = (text.get_text() for text in figure.legends[0].get_texts())
    return {text.strip() for text in (*panels, *legend, *(t.get_text() for t in figure.texts))}


def heights(axes) -> set[float]:
    """Where a panel's horizontal reference lines are."""
    return {line.get_ydata()[0] for line in axes.lines if list(line.get_xdata()) == [0, 1]}


def assert_nothing_cut_off_or_covered(figure) -> None:
    """Titles, labels and legend lie on the page, and the legend on none of them."""
    figure.draw_without_rendering()
    page = figure.bbox
    named = [axes.title for axes in figure.axes]
    named += [axes.yaxis.label for axes in figure.axes] + [axes.xaxis.label for axes in figure.axes]
    boxes = [text.get_window_extent() for text in named if text.get_text()]
    boxes += [text.get_window_extent() for axes in figure.axes for text in axes.texts]
    legend = figure.legends[0].get_window_extent()
    for box in (*boxes, legend):
        assert page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1
    assert not any(legend.overlaps(box) for box in boxes)
    assert not legend.overlaps(figure._suptitle.get_window_extent())


def drawn(name, rows, format="svg") -> bytes:
    """The bytes of a figure's file."""
    file = io.BytesIO()
    save(draw(name, rows, LIMITS, "A title"), file, format)
    return file.getvalue()
