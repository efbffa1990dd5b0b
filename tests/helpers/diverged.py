"""Studies in which runs diverged: tables that end at the step where the loss was lost."""

import numpy as np
import pandas as pd

from bitnet.evaluation.metrics import RECORDED
from tests.helpers.figures import study

BEFORE, AFTER = 200, 500  # the last step of a trunk and of a branch that diverged
RUN = ["Optimizer", "Weights", "Stage2WD", "Seed"]
WHERE = {  # arms that diverge (None: trunks, and so both arms), and of how many seeds
    "treatment, some": ([0.0], "some"),
    "treatment, all": ([0.0], "all"),
    "control, some": ([0.05], "some"),
    "control, all": ([0.05], "all"),
    "both arms, all": ([0.0, 0.05], "all"),
    "trunks, some": (None, "some"),
    "trunks, all": (None, "all"),
}


def with_diverged(where: str, seeds: int, optimizers=("adam",)) -> pd.DataFrame:
    """Tables of a study whose runs under `adam` diverged as a key of `WHERE` says.

    "some" is the last seed, so of one seed all. A diverged run has no row after the step at which
    it diverged, and what was recorded there is not finite; that of a trunk ends both arms.
    """
    arms, seeds_lost = WHERE[where]
    rows = study((256,), optimizers, seeds=seeds)
    lost = (rows["Optimizer"] == "adam") & ((rows["Seed"] == seeds - 1) | (seeds_lost == "all"))
    lost &= rows["Stage2WD"].isin(arms or [0.0, 0.05])
    at = AFTER if arms else BEFORE
    rows = rows[~lost | (rows["Step"] <= at)]
    last = lost & (rows["Step"] == at)
    measured = [*(set(RECORDED) - {"Step", "LR", "WD"}), "ValLoss", "BitsPerByte"]
    rows = rows.astype(dict.fromkeys(measured, float))
    rows.loc[last, measured] = np.nan
    rows.loc[last, "GradNorm"] = np.inf
    return rows.assign(UniquePredictions=rows["UniquePredictions"].mask(last, 1))
