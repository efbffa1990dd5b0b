"""Evidence for a claim: one study's runs, a line a run, and the selections that criteria need.

The unit is a seed, as in the verdict. `trunk` values are means of the last evaluations up to the
switch, `end` values of the last evaluations of an arm.
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
    """Tables of a study with its question and thresholds."""

    rows: pd.DataFrame
    question: Question
    thresholds: Thresholds

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The study's verdict."""
        return judge(self.rows, self.thresholds, self.question)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One line a run: its cell, Seed, Stage2WD, states, and values at start, switch and end."""
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
        """Columns and values of the cell the study is about, as far as its question names it."""
        wanted = {"variant": BASE, **self.question.headline}
        return {COLUMNS[key]: value for key, value in wanted.items()}

    def cell(self, **changes) -> pd.DataFrame:
        """Runs of the headline's cell, or of the one that differs from it in these columns."""
        return self.select({**self.headline, **changes})

    def select(self, wanted: Mapping) -> pd.DataFrame:
        """Runs with these values."""
        found = self.runs
        for column, value in wanted.items():
            found = found[found[column] == value]
        return found

    def trunks(self, **changes) -> pd.DataFrame:
        """The same, one line a trunk: its arms share it."""
        return self.cell(**changes).drop_duplicates("Seed")

    def arm(self, name: str, **changes) -> pd.DataFrame:
        """Runs of `treatment` or `control`, by seed."""
        runs = self.cell(**changes)
        return runs[np.isclose(runs["Stage2WD"], self.question.value(name))].set_index("Seed")

    def neighbours(self) -> dict[str, dict]:
        """What is unlike the headline in exactly one column, beside size and weights, by label."""
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
        """Effect of left - right over the seeds that both have."""
        shared = left.index.intersection(right.index)
        gaps = (left[shared] - right[shared]).dropna()
        return effect(gaps, bound, self.thresholds.confidence)


def most(states: pd.Series, *names: str) -> bool:
    """Whether more than half are in one of these states."""
    return sum(share(list(states), name) for name in names) > 0.5
