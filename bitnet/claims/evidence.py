"""Evidence for claims: one study's verdict and its runs.

What states decide is read from the verdict's table (one row per cell). The unit of statistics is
the seed, as in the verdict. In `runs`, columns `Start...` are values at step 0, `Trunk...` those at
the end of stage 1, `End...` those at the end of the run.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from bitnet.config.question import Question
from bitnet.config.run_names import AXES, BASE, VARIANT
from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.states import effective, final, state, trunk_state
from bitnet.verdict.cells import CELL
from bitnet.verdict.rule import judge
from bitnet.verdict.statistics import Effect, effect

COLUMNS = {axis.key: axis.column for axis in AXES} | {"variant": VARIANT}
MEASURED = ("UniquePredictions", "ValLoss", "Loss", "Unique20")
KEY = [*CELL, "Seed", "Stage2WD"]
LOST = ("invalid", "diverged")  # states of which nothing else can be said

Found = tuple[bool | None, str, int]
"""Whether a claim holds (None: undecided), the evidence in words, the seeds that can be judged."""


@dataclass(frozen=True)
class Evidence:
    """A study: all its rows, its question, the thresholds."""

    rows: pd.DataFrame
    question: Question
    thresholds: Thresholds

    @cached_property
    def cells(self) -> pd.DataFrame:
        """The table of `bitnet.verdict.rule.judge`, one row per cell."""
        return judge(self.rows, self.thresholds, self.question)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row per run: KEY, states, values at start, switch and end."""
        return self._runs(self.rows)

    def _runs(self, rows: pd.DataFrame) -> pd.DataFrame:
        lines = map(self._run, rows.groupby(KEY))
        parts = [f"{when}{name}" for when in ("Start", "Trunk", "End") for name in MEASURED]
        return pd.DataFrame(lines, columns=[*KEY, "TrunkState", "State", *parts, "TrunkEffective"])

    def _run(self, group: tuple) -> dict:
        key, rows = group
        rows = rows.sort_values("Step")
        before = rows[rows["Step"] <= rows["SwitchStep"]]
        line = dict(zip(KEY, key, strict=True))
        line |= {"TrunkState": trunk_state(rows, self.thresholds)}
        line |= {"State": state(rows, self.thresholds)}
        line |= {"TrunkEffective": effective(before, self.thresholds)}
        for name in MEASURED:
            line[f"Start{name}"] = before[name].iloc[0]
            line[f"Trunk{name}"] = final(before, name, self.thresholds)
            line[f"End{name}"] = final(rows, name, self.thresholds)
        return line

    @property
    def headline(self) -> dict:
        """Columns and values of the headline cell, as far as the question states them."""
        wanted = {"variant": BASE, **self.question.headline}
        return {COLUMNS[key]: value for key, value in wanted.items()}

    def states(self, part: str, **changes) -> list[str]:
        """States of the headline cell, or of the one that differs from it in these columns.

        part: "Trunk", "Control" or "Treatment". Empty where the study has no such runs.
        """
        return listed(", ".join(self.cell(**changes)[f"{part}States"]))

    def cell(self, **changes) -> pd.DataFrame:
        """Row of the headline's cell, or of the one that differs from it in these columns."""
        return select(self.cells, {**self.headline, **changes})

    def trunks(self, **changes) -> pd.DataFrame:
        """Rows of `runs`, one per trunk of a cell, indexed by Seed; without those that diverged."""
        own = select(self.rows, {**self.headline, **changes})  # of a large study a few runs
        runs = self._runs(own).drop_duplicates("Seed")
        return runs[~runs["TrunkState"].isin(LOST)].set_index("Seed")

    def neighbours(self) -> dict[str, dict]:
        """Cells that differ from the headline in one column other than size and weights.

        Maps a label ("PeakLR 0.0005", a variant's or optimizer's name) to {column: value}.
        """
        columns = ["PeakLR", "Stage1WD", VARIANT, "Optimizer"]
        kept = {name: self.headline[name] for name in ("HiddenSize", "Weights")}
        own = select(self.cells, kept)
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

    def compare(self, left: pd.Series, right: pd.Series, bound: float) -> Effect:
        """Paired statistics of left - right, two series by seed, over the seeds of both.

        bound: half-width of the equivalence region in their unit.
        """
        shared = left.index.intersection(right.index)
        gaps = (left[shared] - right[shared]).astype(float)
        return effect(gaps, bound, self.thresholds.confidence)


def select(table: pd.DataFrame, wanted: Mapping) -> pd.DataFrame:
    """Rows whose columns, of those that the table has, equal `wanted` (column: value) exactly."""
    chosen = pd.Series(True, index=table.index)
    for column, value in wanted.items():
        if column in table:
            chosen &= table[column] == value
    return table[chosen]


def listed(tally: str) -> list[str]:
    """States of a tally: ['collapsed', 'collapsed', 'diverse'] of 'collapsed 2/3, diverse 1/3'."""
    parts = [part.rpartition(" ") for part in tally.split(", ") if part]
    return [name for name, _, counts in parts for _ in range(int(counts.split("/")[0]))]


def sound(states: Sequence[str]) -> list[str]:
    """The states of runs that can be judged: neither invalid nor diverged."""
    return [name for name in states if name not in LOST]


def most(states: Sequence[str], *names: str) -> bool:
    """Whether more than half of the runs are in one of these states."""
    return 2 * sum(name in names for name in states) > len(states)


def judged(*groups: Sequence[str]) -> int:
    """Seeds that can be judged in the smallest of these groups of states."""
    return min(len(sound(states)) for states in groups)
