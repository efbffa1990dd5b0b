"""docs/results.md explains each column of the tables that a study writes."""

import re
from pathlib import Path

import pytest

from bitnet.evaluation.metrics import COLUMNS
from bitnet.verdict.best_rates import best_rates
from tests.helpers.rates import WEIGHTS, priced
from tests.helpers.tables import LIMITS, OUTCOMES, verdict

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize(
    "columns",
    [COLUMNS, list(verdict(OUTCOMES["fixed"])), list(best_rates(priced(), LIMITS, WEIGHTS))],
    ids=["run", "verdict", "best rates"],
)
def test_each_column_is_explained(columns):
    named = set(re.findall(r"`(\w+)`", (DOCS / "results.md").read_text(encoding="utf-8")))
    assert [column for column in columns if column not in named] == []
