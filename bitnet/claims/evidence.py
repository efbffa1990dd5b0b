"""Evidence for claims: one study's runs as a table with one row per run, and queries on it.

The unit of statistics is the seed, as in the verdict. Columns `Start...` are values at step 0,
`Trunk...` means of the last evaluations up to the switch, `End...` of the last evaluations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from bitnet.config.question import Question
from bitnet.config.run_names import AXES, BASE, VARIANT
from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.states import final, share, state, trunk_state
from bitnet.verdict.cells import CELL
from bitnet.verdict.rule import judge
from bitnet.verdict.statistics import Effect, effect

COLUMNS = {axis.key: axis.column for axis in AXES} | {"variant": VARIANT}


@dataclass(frozen=True)
class Evidence:
    """All rows of a study, its question and its thresholds."""

    rows: pd.DataFrame
    question: Question
    thresholds: Thresholds

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The table of `bitnet.verdict.rule.judge`, one row per cell."""
        return judge(self.rows, self.thresholds, self.question)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row per run: its cell, Seed, Stage2WD, states, values at start, switch and end."""
        lines = []
        by = [*CELL, "Seed", "Stage2WD"]
        for key, rows in self.rows.groupby(by):
            rows = rows.sort_values("Step")
            before = rows[rows["Step"] <= rows["SwitchStep"]]
            line = dict(zip(by, key, strict=True))
            line |= {"TrunkState": trunk_state(rows, self.thresholds)}
            line |= {"State": state(rows, self.thresholds)}
            for name in ("UniquePredictions", "ValLoss", "Loss", "Unique20"):
                line[f"Start{name}"] = before[name].iloc[0]
                line[f"Trunk{name}"] = final(before, name, self.thresholds)
                line[f"End{name}"] = final(rows, name, self.thresholds)
            lines.append(line)
        return pd.DataFrame(lines)

    @property
    def headline(self) -> dict:
        """Columns and values of the headline cell, as far as the question states them."""
        wanted = {"variant": BASE, **self.question.headline}
        return {COLUMNS[key]: value for key, value in wanted.items()}

    def cell(self, **changes) -> pd.DataFrame:
        """Runs of the headline cell, or of the cell that differs from it in these columns."""
        return self.select({**self.headline, **changes})

    def select(self, wanted: Mapping) -> pd.DataFrame:
        """Runs whose columns equal the values of `wanted` (column: value), floats exactly."""
        found = self.runs
        for column, value in wanted.items():
            found = found[found[column] == value]
        return found

    def trunks(self, **changes) -> pd.DataFrame:
        """One row per trunk of `cell(**changes)`: the first run of each seed, as arms share it."""
        return self.cell(**changes).drop_duplicates("Seed")

    def arm(self, name: str, **changes) -> pd.DataFrame:
        """Runs of the arm "treatment" or "control" of `cell(**changes)`, indexed by Seed."""
        runs = self.cell(**changes)
        return runs[np.isclose(runs["Stage2WD"], self.question.value(name))].set_index("Seed")

    def neighbours(self) -> dict[str, dict]:
        """Cells that differ from the headline in one column other than size and weights.

        Maps a label ("PeakLR 0.0005", a variant's or optimizer's name) to {column: value}.
        """
        columns = ["PeakLR", "Stage1WD", VARIANT, "Optimizer"]
        own = self.runs[(self.runs[["HiddenSize", "Weights"]] == self._kept()).all(axis=1)]
        if own.empty:
            return {}
        base = own[columns].mode().iloc[0].to_dict() | self.headline
        found = {}
        for point in own[columns].drop_duplicates().to_dict("records"):
            changes = {name: value for name, value in point.items() if value != base[name]}
            if len(changes) == 1:
                ((name, value),) = changes.items()
                found[value if isinstance(value, str) else f"{name} {value:g}"] = changes
        return found

    def _kept(self) -> pd.Series:
        return pd.Series({name: self.headline[name] for name in ("HiddenSize", "Weights")})

    def compare(self, left: pd.Series, right: pd.Series, bound: float) -> Effect:
        """Paired statistics of left - right, two series by seed, over the seeds of both.

        bound: half-width of the equivalence region in their unit.
        """
        shared = left.index.intersection(right.index)
        gaps = (left[shared] - right[shared]).dropna()
        return effect(gaps, bound, self.thresholds.confidence)


def most(states: pd.Series, *names: str) -> bool:
    """Whether more than half of the states are among `names`."""
    return sum(share(list(states), name) for name in names) > 0.5
