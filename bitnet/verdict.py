"""What the runs of a study together say: paired tests over seeds, one outcome a cell.

A cell is all that runs have in common but their seed and their arm: size, peak LR, Stage-1 WD,
variant, optimizer, weights. Its unit is the seed: both arms (Stage-2 WD of the
treatment and of the control) branch from one trunk, so their difference is paired. The rule is the
one written down before the runs (SCIENCE.md, 'Verdict'). Differences are treatment - control, of
natural logarithms for diversity and of nats for loss.

    cells = judge(rows, Thresholds(), {"treatment": 0.0, "control": 0.05, "headline": {...}})
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bitnet.effects import Effect, corrected, effect
from bitnet.metrics import COLUMNS
from bitnet.runs import AXES, BASE, VARIANT
from bitnet.states import Thresholds, final, share, state, tally, trunk_state

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


def judge(rows: pd.DataFrame, thresholds: Thresholds, question: Mapping) -> pd.DataFrame:
    """One row a cell: states, paired effects, outcome.

    rows: the CSVs of all runs of a study, concatenated in any order.
    question: {"treatment": WD, "control": WD, "headline": {"hidden_size", "optimizer",
        "weights" and, where a study varies it, "peak_lr"}}.
    P is uncorrected. HolmP, which decides the outcome, is P itself for the headline cell and
    Holm-corrected among all others. P, TostP, Detectable belong to the effect named in Primary.
    Raises ValueError where rows cannot belong to one study or the headline is not one cell.
    """
    rows = _checked(rows)
    cells = [_cell(key, group, thresholds, question) for key, group in rows.groupby(CELL)]
    table = pd.DataFrame([_row(cell, cells, thresholds) for cell in cells])
    table["Headline"] = is_headline(table, question)
    table["HolmP"] = corrected(table["P"], table["Headline"])
    table["Outcome"] = [
        outcome(cell, row, thresholds)
        for cell, row in zip(cells, table.to_dict("records"), strict=True)
    ]
    return table


def outcome(cell: Cell, row: Mapping, thresholds: Thresholds) -> str:
    """Outcome of a cell, first match wins; `row` is its row of the verdict's table."""
    if row["Seeds"] < thresholds.no_verdict_under:
        return "no verdict"
    alpha, worth = 1 - thresholds.confidence, math.log(thresholds.equivalence_ratio)
    mean, significant = row[f"Delta{cell.primary}"], row["HolmP"] < alpha
    above, below = significant and mean > 0, significant and mean < 0
    was_collapsed = share(cell.trunk, "collapsed") > 0.5
    treated = share(cell.treatment["State"], "diverse")
    controlled = share(cell.control["State"], "diverse")
    if below and mean < -worth:
        return "harmful"
    if was_collapsed and treated > 0.5 and controlled < 0.5 and above:
        return "fixed"
    if was_collapsed and treated > 0.5 and controlled > 0.5:
        return "recovers either way"
    if row["TostP"] < alpha and row["TostValLossP"] < alpha:
        return "no effect" if was_collapsed else "no effect (nothing to fix)"
    return "helps" if above and mean > worth else "inconclusive"


def ternary_specific(cell: Cell, cells: Sequence[Cell], thresholds: Thresholds) -> str:
    """Whether the effect belongs to ternary weights: yes, no, undecided; n.a. without a twin."""
    twins = [c for c in cells if c.key[:-1] == cell.key[:-1] and c.key[-1] != TERNARY]
    if cell.key[-1] != TERNARY or len(twins) != 1:
        return "n.a."
    own, other = (c.deltas[cell.primary] for c in (cell, twins[0]))
    shared = own.index.intersection(other.index)
    own, gaps = own[shared].mean(), own[shared] - other[shared]
    gap = effect(gaps, math.log(thresholds.equivalence_ratio), thresholds.confidence)
    if gap.n < thresholds.no_verdict_under:
        return "undecided"
    alpha = 1 - thresholds.confidence
    if gap.p < alpha and gap.mean * own > 0 and abs(gap.mean) >= abs(own) / 2:
        return "yes"
    return "no" if gap.tost < alpha else "undecided"


def confidence(cell: Cell, primary: Effect, thresholds: Thresholds) -> str:
    """High, Medium or Low: of three conditions hold all, two, or fewer (or there is no verdict).

    Enough seeds; all runs of each arm in one state, and all trunks; an interval that is wholly
    inside or wholly outside what counts as equal.
    """
    worth = math.log(thresholds.equivalence_ratio)
    agree = (
        max(share(states, name) for name in states) == 1
        for states in (cell.trunk, list(cell.control["State"]), list(cell.treatment["State"]))
        if states
    )
    low, high = primary.low, primary.high
    held = [
        primary.n >= thresholds.few_seeds,
        all(agree),
        low > worth or high < -worth or -worth < low <= high < worth,
    ]
    points = sum(held) if primary.n >= thresholds.no_verdict_under else 0
    return {3: "High", 2: "Medium"}.get(points, "Low")


def is_headline(cells: pd.DataFrame, question: Mapping) -> pd.Series:
    """Which cell the question is about; none where it has no runs."""
    names = {axis.key: axis.column for axis in AXES if axis.column in CELL} | {"variant": VARIANT}
    wanted = {"variant": BASE, **question["headline"]}
    chosen = pd.Series(True, index=cells.index)
    for name, value in wanted.items():
        if name not in names:
            raise ValueError(f"headline: unknown key {name!r}, allowed are {', '.join(names)}")
        chosen &= cells[names[name]] == value
    if chosen.sum() > 1:
        labels = ["/".join(map(str, key)) for key in cells.loc[chosen, CELL].itertuples(False)]
        raise ValueError(f"headline {dict(wanted)} fits {len(labels)} cells: {', '.join(labels)}")
    return chosen


def _checked(rows: pd.DataFrame) -> pd.DataFrame:
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


def _cell(key: tuple, rows: pd.DataFrame, thresholds: Thresholds, question: Mapping) -> Cell:
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


def _sound(arm: pd.DataFrame) -> pd.DataFrame:
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
        for seed, bad in arm.loc[~arm.index.isin(_sound(arm).index), "State"].items():
            cell.notes.append(f"seed {seed} left out ({name} {bad})")
    treatment, control = (_sound(arm) for arm in arms.values())
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


def _row(cell: Cell, cells: Sequence[Cell], thresholds: Thresholds) -> dict:
    bounds = dict.fromkeys(EFFECTS, math.log(thresholds.equivalence_ratio))
    bounds["ValLoss"] = thresholds.equivalence_loss
    effects = {
        name: effect(cell.deltas[name], bounds[name], thresholds.confidence) for name in EFFECTS
    }
    primary = effects[cell.primary]
    row = dict(zip(CELL, cell.key, strict=True))
    row |= {"Headline": False, "Outcome": "", "Seeds": primary.n}  # judge fills in the first two
    row |= {"TrunkStates": tally(cell.trunk)}
    for name, arm in (("Control", cell.control), ("Treatment", cell.treatment)):
        row[f"{name}States"] = tally(arm["State"])
        row[f"{name}Unique"] = _sound(arm)["UniquePredictions"].mean()
        row[f"{name}ValLoss"] = _sound(arm)["ValLoss"].mean()
    row["Primary"] = cell.primary
    for name, found in effects.items():
        row |= {f"Delta{name}": found.mean}
        row |= {f"Delta{name}Low": found.low, f"Delta{name}High": found.high}
    row |= {"P": primary.p, "HolmP": math.nan, "TostP": primary.tost}
    row |= {"TostValLossP": effects["ValLoss"].tost, "Detectable": primary.detectable}
    row["TernarySpecific"] = ternary_specific(cell, cells, thresholds)
    row["Confidence"] = confidence(cell, primary, thresholds)
    return row | {"Note": "; ".join(cell.notes)} | cell.data
