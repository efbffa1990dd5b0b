"""workflow/schemas/columns.yaml, and so docs/columns.md, explains each column of each table."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bitnet.evaluation.metrics import COLUMNS
from bitnet.experiments import arithmetic, decision, pretraining, stories
from bitnet.verdict.best_rates import best_rates
from tests.experiments.test_arithmetic import run as answers
from tests.experiments.test_decision import record
from tests.experiments.test_decision import run as samples
from tests.helpers.project import ROOT
from tests.helpers.rates import WEIGHTS, priced
from tests.helpers.tables import LIMITS, OUTCOMES, verdict
from workflow.scripts.reference import columns

KINDS = columns(ROOT)


def pretrained() -> pretraining.Trained:
    """The least of a pretraining that its scores are made of."""
    recipe = {"model": {"weights": "ternary"}, "training": {"seed": 0}}
    made = {"recipe": recipe, "tokens_per_second": 1.0, "peak_memory_mib": 1.0}
    return SimpleNamespace(
        name="h64_wd0",
        record=made,
        seen={"step": np.array([0, 10])},
        losses=[2.0],
        bits=1.0,
        loss_of=lambda _: 1.0,
        odd=[],
    )


MADE = {
    "run": lambda: COLUMNS,
    "verdict": lambda: verdict(OUTCOMES["fixed"]),
    "best_rates": lambda: best_rates(priced(), LIMITS, WEIGHTS),
    "arithmetic": lambda: arithmetic.scores({"a": answers()}),
    "stories": lambda: stories.scores({"a": samples()}),
    "pretraining": lambda: pretraining.scores([pretrained()]),
    "sanity": lambda: decision.rows({"arithmetic": record(True, "a")}),
    "claims": lambda: pd.read_csv(ROOT / "results/claims/evidence.csv"),
    "error_rates": lambda: pd.read_csv(ROOT / "docs/error_rates.csv"),
}


@pytest.mark.parametrize("kind", MADE)
def test_each_column_is_explained_in_the_order_of_the_table(kind):
    assert list(KINDS[kind]["columns"]) == list(MADE[kind]())


def test_nothing_else_is_explained():
    assert {*KINDS} == {*MADE, "runtimes"}  # tests/export/test_runtimes.py makes that one


@pytest.mark.parametrize("kind", KINDS)
def test_each_column_has_a_meaning(kind):
    assert [name for name, says in KINDS[kind]["columns"].items() if not says] == []
