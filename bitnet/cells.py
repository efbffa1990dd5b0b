"""Cells of a study: its runs reduced to states (one a run) and paired differences (one a seed).

A cell is all that runs have in common but their seed and their arm: size, peak LR, Stage-1 WD,
variant, optimizer, weights. Its unit is the seed: both arms (Stage-2 WD of the treatment and of the
control) branch from one trunk, so their difference is paired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bitnet.metrics import COLUMNS
from bitnet.states import Thresholds, final, state, trunk_state

CELL = ["HiddenSize", "PeakLR", "Stage1WD", "Variant", "Optimizer", "Weights"]
AGREE = ["N", "VocabSize", "DataHash", "Blind"]  # what every row of a table must share
DATA = [*AGREE, "UniqueTargets", "UnigramLoss", "BigramLoss", "TrigramLoss"]
DATA += ["BigramUniquePredictions", "TrigramUniquePredictions", "TrigramPDR"]
EFFECTS = ["UniquePredictions", "PDR", "ValLoss"]
TERNARY = "ternary"


@dataclass
class Cell:
    """The runs of one cell, reduced to states (one a run) and paired differences (one a seed)."""

    key: tuple
    trunk: list[str]
    control: pd.DataFrame
    treatment: pd.DataFrame
    deltas: pd.DataFrame
    """Index: the seeds that can be compared; columns: `EFFECTS` (ln, ln, nats)."""
    data: dict
    notes: list[str] = field(default_factory=list)

    @property
    def primary(self) -> str:
        """Counts mean nothing on a blind corpus (its bigram predicts under 100 tokens)."""
        return "PDR" if self.data["Blind"] else "UniquePredictions"


def checked(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows in one order, whatever order they came in; refused where they do not fit together."""
    if missing := [column for column in COLUMNS if column not in rows]:
        raise ValueError(f"results lack the columns {', '.join(missing)}")
    if rows.empty:
        raise ValueError("results hold no rows to judge")
    for column in AGREE:
        if len(values := sorted(rows[column].map(str).unique())) > 1:
            raise ValueError(f"results disagree in {column}: {', '.join(values)}")
    run = [*CELL, "Seed", "Stage2WD"]
    if unnamed := [column for column in [*CELL, "Seed"] if rows[column].isna().any()]:
        raise ValueError(f"results have rows without {', '.join(unnamed)}")
    twice = rows[rows.duplicated([*run, "Step"])]
    if len(twice):
        name = ", ".join(f"{column} {twice.iloc[0][column]}" for column in [*run, "Step"])
        raise ValueError(f"results hold two rows of one run and step: {name}")
    return rows.sort_values([*run, "Step"], na_position="first", ignore_index=True)


def make_cell(key: tuple, rows: pd.DataFrame, thresholds: Thresholds, question: Mapping) -> Cell:
    """The runs of one cell; ValueError where the arms of a seed end at different steps."""
    control, treatment = (_arm(rows, question[arm], thresholds) for arm in ("control", "treatment"))
    # Arms repeat their trunk's rows: keep each step once, the trunk's own file first.
    trunk = [
        trunk_state(run.drop_duplicates("Step"), thresholds) for _, run in rows.groupby("Seed")
    ]
    cell = Cell(key, trunk, control, treatment, pd.DataFrame(), rows.iloc[0][DATA].to_dict())
    _pair(cell, question, thresholds)
    before = rows[rows["Step"] <= rows["SwitchStep"]]
    if (before.groupby(["Seed", "Step"])["ValLoss"].nunique() > 1).any():
        cell.notes.append("arms differ before the switch: not one trunk")
    return cell


def _arm(rows: pd.DataFrame, weight_decay: float, thresholds: Thresholds) -> pd.DataFrame:
    """State, end values and last step of each run of one arm; index: Seed."""
    runs = {
        seed: {
            "State": state(run, thresholds),
            **{column: final(run, column, thresholds) for column in EFFECTS},
            "LastStep": run["Step"].max(),
        }
        for seed, run in rows[np.isclose(rows["Stage2WD"], weight_decay)].groupby("Seed")
    }
    columns = ["State", *EFFECTS, "LastStep"]
    return pd.DataFrame.from_dict(runs, orient="index", columns=columns)


def sound(arm: pd.DataFrame) -> pd.DataFrame:
    """Runs that can be compared: neither invalid nor diverged."""
    return arm[~arm["State"].isin(["invalid", "diverged"])]


def _pair(cell: Cell, question: Mapping, thresholds: Thresholds) -> None:
    """Differences of the seeds that have two sound arms, and notes on those that have not."""
    arms = {f"WD {question[arm]:g}": getattr(cell, arm) for arm in ("treatment", "control")}
    seeds = sorted({seed for arm in arms.values() for seed in arm.index})
    for name, arm in arms.items():
        if arm.empty:
            cell.notes.append(f"no run with {name}")
            continue
        absent = [str(seed) for seed in seeds if seed not in arm.index]
        cell.notes += [f"no {name} for seed {', '.join(absent)}"] if absent else []
        for seed, bad in arm.loc[~arm.index.isin(sound(arm).index), "State"].items():
            cell.notes.append(f"seed {seed} left out ({name} {bad})")
    treatment, control = (sound(arm) for arm in arms.values())
    shared = treatment.index.intersection(control.index).sort_values()
    treatment, control = treatment.loc[shared], control.loc[shared]
    if len(uneven := shared[treatment["LastStep"] != control["LastStep"]]):
        ends = f"{treatment['LastStep'][uneven[0]]} and {control['LastStep'][uneven[0]]}"
        name = "/".join(map(str, cell.key))
        raise ValueError(f"cell {name}, seed {uneven[0]}: arms end at different steps, {ends}")
    logs = [np.log(arm[EFFECTS[:2]].astype(float)) for arm in (treatment, control)]
    cell.deltas = (logs[0] - logs[1]).assign(ValLoss=treatment["ValLoss"] - control["ValLoss"])
    if len(shared) < thresholds.no_verdict_under:
        cell.notes.append(f"no verdict under {thresholds.no_verdict_under} seeds ({len(shared)})")
    elif len(shared) < thresholds.few_seeds:
        cell.notes.append(f"few seeds ({len(shared)})")
    if cell.data["Blind"]:
        cell.notes.append("blind corpus: ln PDR is the primary effect")


def with_twin(cell: Cell, cells: Sequence[Cell]) -> tuple[pd.Series, pd.Series] | None:
    """Primary differences of a ternary cell and of its twin, of the seeds that both have."""
    twins = [c for c in cells if c.key[:-1] == cell.key[:-1] and c.key[-1] != TERNARY]
    if cell.key[-1] != TERNARY or len(twins) != 1:
        return None
    own, other = (c.deltas[cell.primary] for c in (cell, twins[0]))
    shared = own.index.intersection(other.index)
    return own[shared], other[shared]
