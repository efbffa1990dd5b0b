"""Tables as the runs of a study leave them, made by hand: one for every outcome of the rule."""

import numpy as np
import pandas as pd

from bitnet.config.question import Question
from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.metrics import COLUMNS
from bitnet.verdict.rule import judge

LIMITS = Thresholds()
QUESTION = Question(
    treatment=0.0,
    control=0.05,
    headline={"hidden_size": 256, "optimizer": "adam", "weights": "ternary"},
)


def other(question: Question, **fields) -> Question:
    """The same question with other fields, as config.yaml has them."""
    return Question.from_dict(question.to_dict() | fields)


WARMUP = Question.from_dict(
    {
        "axis": "warmup_steps",
        "treatment": 100,
        "control": 0,
        "default": 100,
        "headline": {**QUESTION.headline, "stage2_weight_decay": 0},
    }
)
LOSS = {"metric": {"column": "ValLoss", "better": "lower", "margin": 0.1}}


def run(seed, decay, trunk, end, loss=4.0, **columns) -> pd.DataFrame:
    """A run that counts `trunk` up to the switch at step 300 and `end` after it."""
    steps = np.arange(0, 700, 100)
    after = steps > 300
    values = dict.fromkeys(COLUMNS, 1.0) | {
        "Step": steps,
        "Loss": np.where(steps > 0, 4.0, np.nan),
        "UniquePredictions": np.where(after, end, trunk),
        "ValLoss": np.where(after, loss, 4.0),
        "PDR": np.where(after, end, trunk) / 700,
        "CopyShare": 0.1,
        "UniqueTargets": 732,
        "Optimizer": "adam",
        "Weights": "ternary",
        "Seed": seed,
        "HiddenSize": 256,
        "Stage2WD": decay,
        "PeakLR": 1.5e-3,
        "Variant": "base",
        "SwitchStep": 300,
        "N": 4096,
        "VocabSize": 2048,
        "DataHash": "0123456789ab",
        "UnigramLoss": 6.0,
        "BigramLoss": 4.5,
        "TrigramLoss": 4.2,
        "BigramUniquePredictions": 210,
        "TrigramUniquePredictions": 340,
        "TrigramPDR": 0.8,
        "Blind": False,
    }
    return pd.DataFrame(values | columns)


def cell(trunk, control, treatment, control_loss=4.0, treatment_loss=4.0, **columns):
    """Both arms of a cell, a seed for each count given."""
    seeds = range(len(control))
    losses = (np.broadcast_to(loss, len(control)) for loss in (control_loss, treatment_loss))
    arms = zip((0.05, 0.0), (control, treatment), losses, strict=True)
    return pd.concat(
        run(seed, decay, trunk, counts[seed], loss[seed], **columns)
        for decay, counts, loss in arms
        for seed in seeds
    )


def verdict(*cells, question=QUESTION, limits=LIMITS) -> pd.DataFrame:
    return judge(pd.concat(cells), limits, question)


def broken(rows: pd.DataFrame, decay: float) -> pd.DataFrame:
    """Rows in which every run of an arm diverged at its last evaluation."""
    last = (rows["Stage2WD"] == decay) & (rows["Step"] == 600)
    return rows.assign(ValLoss=rows["ValLoss"].mask(last, np.nan))


FIVE_LOW, FIVE_HIGH = [8, 9, 7, 8, 9], [88, 92, 80, 95, 89]
OUTCOMES = {
    "harmful": cell(80, [90, 88, 95, 91, 92], [30, 35, 28, 33, 31]),
    "fixed": cell(8, FIVE_LOW, FIVE_HIGH),
    "recovers either way": cell(8, [80, 85, 82, 90, 88], FIVE_HIGH),
    "no effect": cell(8, [30, 31, 30, 32, 30], [31, 30, 30, 31, 32]),
    "no effect (nothing to fix)": cell(80, [90, 91, 92, 90, 93], [91, 90, 92, 93, 90]),
    "helps": cell(8, FIVE_LOW, [20, 25, 19, 22, 24]),
    "inconclusive": cell(8, [8, 20, 9, 30, 12], [12, 9, 25, 11, 30]),
    "no verdict": cell(8, [8, 9], [88, 92]),
    "diverges": broken(cell(8, FIVE_LOW, FIVE_HIGH), 0.0),
    "control diverges": broken(cell(8, FIVE_LOW, FIVE_HIGH), 0.05),
    "stays collapsed": cell(8, FIVE_LOW, [8, 3, 9, 5, 2]),
    "temporary recovery": cell(8, FIVE_LOW, [[8, 8, 8, 8, end, 40, 4] for end in FIVE_HIGH]),
    "trade-off": cell(8, FIVE_LOW, FIVE_HIGH, treatment_loss=4.5),
    "lower loss": cell(80, [90, 91, 92, 90, 93], [91, 90, 92, 93, 90], treatment_loss=3.5),
    "higher loss": cell(80, [90, 91, 92, 90, 93], [91, 90, 92, 93, 90], treatment_loss=4.5),
}


def twin(rows, **columns) -> pd.DataFrame:
    return rows.assign(Weights="full_precision", **columns)


TWINS = {
    "no": twin(OUTCOMES["fixed"]),
    "yes": twin(cell(80, FIVE_HIGH, FIVE_HIGH)),
    "undecided": twin(cell(8, FIVE_LOW, [20, 90, 12, 25, 150])),
}
