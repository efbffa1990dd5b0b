"""Scaling outcome: how the states of otherwise equal cells change with HiddenSize.

A: larger models avoid collapse: there is one change along the sizes, to diverse, and the smallest
diverse size is the minimum viable one. B: every size ends in the same state. C: neither.
"""

import pandas as pd

from bitnet.config.run_names import VARIANT

MEANINGS = {
    "A": "larger models avoid it",
    "B": "not a matter of size",
    "C": "no order by size",
    "none": "some size has no state that most runs share",
}
SERIES = ["Optimizer", "Weights", "PeakLR", "Stage1WD", VARIANT]
PARTS = {"at the switch": "TrunkStates", "control": "ControlStates", "treatment": "TreatmentStates"}


def scaling(cells: pd.DataFrame) -> pd.DataFrame:
    """Table with one row per series of sizes and part of the runs.

    cells: the table of `judge`. Columns: those of SERIES, Part (a key of PARTS), Sizes, States,
    Scaling (A, B, C, none), MinimumSize (NA unless A). Series of one size are left out.
    """
    rows = []
    for key, series in cells.sort_values("HiddenSize").groupby(SERIES):
        sizes = series["HiddenSize"].tolist()
        if len(sizes) < 2:
            continue
        for part, column in PARTS.items():
            states = [majority(tally) for tally in series[column]]
            outcome = order(states)
            found = {"Part": part, "Sizes": sizes, "States": states, "Scaling": outcome}
            viable = sizes[states.index("diverse")] if outcome == "A" else pd.NA
            rows.append({**dict(zip(SERIES, key, strict=True)), **found, "MinimumSize": viable})
    columns = [*SERIES, "Part", "Sizes", "States", "Scaling", "MinimumSize"]
    return pd.DataFrame(rows, columns=columns)


def majority(tally: str) -> str:
    """State of more than half of the runs in a tally like 'collapsed 2/3, diverse 1/3', or ''."""
    for part in filter(None, tally.split(", ")):
        state, _, counts = part.rpartition(" ")
        count, total = map(int, counts.split("/"))
        if 2 * count > total:
            return state
    return ""


def order(states: list[str]) -> str:
    """Scaling outcome ("A", "B", "C" or "none") of states in the order of growing sizes."""
    if not all(states):
        return "none"
    changes = [i for i in range(1, len(states)) if states[i] != states[i - 1]]
    if not changes:
        return "B"
    return "A" if len(changes) == 1 and states[-1] == "diverse" else "C"
