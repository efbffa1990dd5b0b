"""The table of a page: a row for each cell, that of the headline marked.

On a phone each row is a card, so that the outcome is seen without scrolling sideways.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from bitnet.config.question import RATIOS
from bitnet.report.panels import decisive
from bitnet.report.scale import written
from bitnet.report.study import Study
from bitnet.verdict.headline import result

GOOD = ("fixed", "prevented", "helps", "lower loss")
SAME = ("no effect", "no effect (nothing to fix)", "no effect (nothing to prevent)")
BAD = ("diverges", "harmful", "higher loss", "stays collapsed", "temporary recovery")


@dataclass(frozen=True)
class Row:
    """A cell of the study: its name, its states with counts, and what the treatment did."""

    name: str
    states: Mapping[str, str]
    """By heading of the column."""
    outcome: str
    result: str
    """The outcome in plain words."""
    kind: str
    """"good", "bad", "same" or "open"."""
    headline: bool


def table(study: Study) -> list[Row]:
    """The rows, the headline's first."""
    return [_row(study, index) for index in study.order]


def _row(study: Study, index: int) -> Row:
    cell, column, question = study.cells.loc[index], decisive(study), study.question
    shown = "Unique" if column in RATIOS else column  # as in verdict.md
    states = {"at the switch": states_of(cell["TrunkStates"])}
    for arm in ("control", "treatment"):
        value = written(cell[f"{arm.title()}{shown}"])
        states[f"with {question.arm_name(arm)}"] = (
            f"{states_of(cell[f'{arm.title()}States'])}, {value}"
        )
    outcome = cell["Outcome"]
    kinds = {"good": GOOD, "bad": BAD, "same": SAME}
    kind = next((name for name, outcomes in kinds.items() if outcome in outcomes), "open")
    said = result(cell, question)
    return Row(study.names[index], states, outcome, said, kind, bool(cell["Headline"]))


def states_of(tally: str) -> str:
    """States of a cell's runs: the state alone where all share it, else with their numbers."""
    return tally if ", " in tally else tally.rpartition(" ")[0] or "–"
