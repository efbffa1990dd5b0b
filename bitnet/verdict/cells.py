"""Cells of a study: its runs as states (one a run) and paired differences (one a seed).

The runs of a cell agree in size, peak LR, Stage-1 WD, variant, optimizer and weights; they differ
only in seed and arm (treatment or control of the question). The two arms of a seed share it, and
with Stage-2 WD also a trunk, so their difference is paired and the seed is the unit of statistics.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bitnet.config.question import COUNT, ORIGINAL, RATIOS, STAGE2, Metric, Question
from bitnet.config.run_names import BASE, VARIANT, spell_number
from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.metrics import AGREE, check_one_study
from bitnet.evaluation.states import COLUMNS, Rows, effective, final, state, trunk_state

CELL = ["HiddenSize", "PeakLR", "Stage1WD", "Variant", "Optimizer", "Weights"]
DATA = [*AGREE, "UniqueTargets", "UnigramLoss", "BigramLoss", "TrigramLoss"]
DATA += ["BigramUniquePredictions", "TrigramUniquePredictions", "TrigramPDR"]
EFFECTS = ["UniquePredictions", "PDR", "ValLoss"]
TERNARY = "ternary"


@dataclass
class Cell:
    """The runs of one cell, reduced to states (one a run) and paired differences (one a seed)."""

    key: tuple
    trunk: list[str]
    """States at the switch: of the trunks or, where arms share none, of the runs of both."""
    control: pd.DataFrame
    treatment: pd.DataFrame
    deltas: pd.DataFrame
    """Index: the seeds that can be compared; columns: `effects` (ln, ln, nats, as recorded).

    That of the corpus's measure of diversity is of effective values (`states.effective`)."""
    data: dict
    raw: pd.Series = field(default_factory=lambda: pd.Series(dtype=float))
    """Differences of `primary` as recorded, for rule 1."""
    notes: list[str] = field(default_factory=list)
    question: Question = ORIGINAL

    @property
    def metric(self) -> Metric:
        """What the question is decided by."""
        return self.question.metric

    @property
    def primary(self) -> str:
        """Counts mean nothing on a blind corpus (its bigram predicts under 100 tokens)."""
        return self.measure if self.metric.column == COUNT else self.metric.column

    @property
    def measure(self) -> str:
        """The measure of diversity on this corpus."""
        return "PDR" if self.data["Blind"] else COUNT

    @property
    def before(self) -> list[str]:
        """States of what the treatment is up against: trunks, or the runs of the control."""
        return self.trunk if self.question.shares_trunk else list(self.control["State"])


def checked(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows in one order, whatever order they came in; refused where they do not fit together."""
    check_one_study(rows)
    run = [*CELL, "Seed", "Stage2WD"]
    if unnamed := [column for column in [*CELL, "Seed"] if rows[column].isna().any()]:
        raise ValueError(f"results have rows without {', '.join(unnamed)}")
    twice = rows[rows.duplicated([*run, "Step"])]
    if len(twice):
        name = ", ".join(f"{column} {twice.iloc[0][column]}" for column in [*run, "Step"])
        raise ValueError(f"results hold two rows of one run and step: {name}")
    return rows.sort_values([*run, "Step"], na_position="first", ignore_index=True)


def effects(question: Question) -> list[str]:
    """Columns in which the arms are compared: EFFECTS and the question's metric."""
    return list(dict.fromkeys([*EFFECTS, question.metric.column]))


def make_cell(key: tuple, rows: pd.DataFrame, thresholds: Thresholds, question: Question) -> Cell:
    """A cell from its rows, which must have passed `armed`. key: its values of CELL.

    ValueError in one line where the arms of a seed end at different steps.
    """
    parts = [of_arm(rows, question.value(arm)) for arm in ("control", "treatment")]
    control, treatment = (_arm(part, effects(question), thresholds) for part in parts)
    shared = question.shares_trunk
    # Arms repeat their trunk's rows: keep each step once, the trunk's own file first.
    trunk = [
        trunk_state(run, thresholds)
        for part in ([rows] if shared else parts)
        for run in _by_seed(part.drop_duplicates(["Seed", "Step"]), COLUMNS).values()
    ]
    data = rows.iloc[0][DATA].to_dict()
    cell = Cell(key, trunk, control, treatment, pd.DataFrame(), data, question=question)
    _pair(cell, thresholds)
    if not shared:
        return cell
    before = rows[rows["Step"] <= rows["SwitchStep"]]
    if (before.groupby(["Seed", "Step"])["ValLoss"].nunique() > 1).any():
        cell.notes.append("arms differ before the switch: not one trunk")
    return cell


def _arm(rows: pd.DataFrame, effects: Sequence[str], thresholds: Thresholds) -> pd.DataFrame:
    """States, end values and last step of each run of one arm; index: Seed."""
    runs = {}
    for seed, run in _by_seed(rows, [*COLUMNS, *effects]).items():
        runs[seed] = {
            "State": state(run, thresholds),
            "StateRule1": state(run, thresholds, rule=1),
            **{column: final(run, column, thresholds) for column in effects},
            "Effective": effective(run, thresholds),
            "LastStep": np.max(run["Step"]),
        }
    columns = ["State", "StateRule1", *effects, "Effective", "LastStep"]
    return pd.DataFrame.from_dict(runs, orient="index", columns=columns)


def _by_seed(rows: pd.DataFrame, columns: Sequence[str]) -> dict[int, Rows]:
    """Columns of each seed's rows, as arrays: a table a run would take most of a verdict's time."""
    whole = {name: rows[name].to_numpy() for name in columns}
    places = rows.groupby("Seed").indices
    return {seed: {name: whole[name][places[seed]] for name in whole} for seed in sorted(places)}


def sound(arm: pd.DataFrame) -> pd.DataFrame:
    """Runs of an arm that can be compared: neither invalid nor diverged."""
    return arm[~arm["State"].isin(["invalid", "diverged"])]


def _pair(cell: Cell, thresholds: Thresholds) -> None:
    """Set a cell's differences, of seeds with two sound arms, and note the seeds without."""
    arms = {cell.question.arm_name(arm): getattr(cell, arm) for arm in ("treatment", "control")}
    seeds = sorted({seed for arm in arms.values() for seed in arm.index})
    for name, arm in arms.items():
        if arm.empty:
            cell.notes.append(f"no run with {name}")
            continue
        absent = [str(seed) for seed in seeds if seed not in arm.index]
        cell.notes += [f"no {name} for seed {', '.join(absent)}"] if absent else []
        for bad in ("diverged", "invalid"):
            if left := [str(seed) for seed in arm.index[arm["State"] == bad]]:
                cell.notes.append(f"seed {', '.join(left)} left out ({name} {bad})")
    treatment, control = (sound(arm) for arm in arms.values())
    shared = treatment.index.intersection(control.index).sort_values()
    treatment, control = treatment.loc[shared], control.loc[shared]
    if len(uneven := shared[treatment["LastStep"] != control["LastStep"]]):
        ends = f"{treatment['LastStep'][uneven[0]]} and {control['LastStep'][uneven[0]]}"
        name = "/".join(map(str, cell.key))
        raise ValueError(f"cell {name}, seed {uneven[0]}: arms end at different steps, {ends}")
    deltas = {
        name: _measured(treatment[name], name) - _measured(control[name], name)
        for name in effects(cell.question)
    }
    cell.raw = deltas[cell.primary]
    levels = (_measured(arm["Effective"], cell.measure) for arm in (treatment, control))
    deltas[cell.measure] = next(levels) - next(levels)
    cell.deltas = pd.DataFrame(deltas)
    if len(shared) < thresholds.no_verdict_under:
        least = thresholds.no_verdict_under
        cell.notes.append(f"under {least} seeds that can be compared ({len(shared)})")
    elif len(shared) < thresholds.few_seeds:
        cell.notes.append(f"few seeds ({len(shared)})")
    if cell.data["Blind"]:
        cell.notes.append("blind corpus: ln PDR is the primary effect")


def _measured(values: pd.Series, column: str) -> pd.Series:
    return np.log(values.astype(float)) if column in RATIOS else values.astype(float)


def twin_of(cell: Cell, cells: Sequence[Cell]) -> Cell | None:
    """The full-precision twin of a ternary cell; None for a twin, and where there is not one."""
    twins = [c for c in cells if c.key[:-1] == cell.key[:-1] and c.key[-1] != TERNARY]
    return twins[0] if cell.key[-1] == TERNARY and len(twins) == 1 else None


def armed(rows: pd.DataFrame, question: Question) -> pd.DataFrame:
    """Rows with a column `Arm`, the value of the question's axis; its own column has the control's.

    So the runs of a cell differ in seed and arm alone, and a cell is named like its control. Where
    the axis is another than Stage-2 weight decay, runs whose Stage-2 weight decay is not the
    headline's are a variant.
    """
    axis = question.axis
    if axis.key == STAGE2:
        return rows.assign(Arm=rows["Stage2WD"])
    rows = rows[rows["Stage2WD"].notna()]  # a trunk's own table is none of a run
    if axis.column == VARIANT:
        found = {name: _split(name, axis, question.default) for name in rows[VARIANT].unique()}
        arms, names = (rows[VARIANT].map({k: v[i] for k, v in found.items()}) for i in (0, 1))
        rows = rows.assign(Arm=arms, Variant=names)
    else:
        rows = rows.assign(Arm=rows[axis.column], **{axis.column: question.control})
    other = ~np.isclose(rows["Stage2WD"], question.headline[STAGE2])
    decays = "_wd" + rows["Stage2WD"].map(spell_number)
    named = (rows[VARIANT] + decays).str.removeprefix(f"{BASE}_")
    return rows.assign(Variant=rows[VARIANT].mask(other, named))


def of_arm(rows: pd.DataFrame, value: float | str | bool) -> pd.DataFrame:
    """Rows whose `Arm` has a value; they must have passed `armed`."""
    arms = rows["Arm"]
    same = arms == value if isinstance(value, str | bool) else np.isclose(arms, value)
    return rows[same]


def _split(variant: str, axis, default) -> tuple:
    """The value of an axis in a variant's name, and the name without it."""
    parts = {part: axis.read(part) for part in variant.split("_")}
    value = next((value for value in parts.values() if value is not None), default)
    others = [part for part, value in parts.items() if value is None]
    return value, "_".join(others) or BASE
