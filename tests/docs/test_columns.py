"""docs/results.md explains each column of the tables that a study writes."""

import csv
import re
from pathlib import Path

import pytest

from bitnet.evaluation.metrics import COLUMNS

DOCS = Path(__file__).resolve().parents[2] / "docs"


def of_verdict() -> list[str]:
    """Columns of a verdict that the repository shows."""
    with open(DOCS / "wd_fix_cpu" / "verdict.csv", newline="") as file:
        return next(csv.reader(file))


@pytest.mark.parametrize("columns", [COLUMNS, of_verdict()], ids=["run", "verdict"])
def test_each_column_is_explained(columns):
    named = set(re.findall(r"`(\w+)`", (DOCS / "results.md").read_text(encoding="utf-8")))
    assert [column for column in columns if column not in named] == []
