"""The verdict's rule: paired tests over seeds, and one outcome for each cell of a study.

The rule was fixed before the runs; the legend of every verdict states it. Differences are
treatment - control: of natural logarithms for counts and PDR, in nats for loss, and in its own unit
for any other metric that a question names.

    cells = judge(rows, Thresholds(), Question(treatment=0.0, control=0.05, headline={...}))
"""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from bitnet.config.question import RATIOS, STAGE2, Question
from bitnet.config.run_names import AXES, BASE, VARIANT
from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.states import share, tally
from bitnet.verdict.cells import (
    CELL,
    EFFECTS,
    Cell,
    armed,
    checked,
    effects,
    make_cell,
    sound,
    with_twin,
)
from bitnet.verdict.headline import named
from bitnet.verdict.statistics import Effect, corrected, effect


def judge(rows: pd.DataFrame, thresholds: Thresholds, question: Question) -> pd.DataFrame:
    """Table with one row per cell: states, paired effects, tests, outcome.

    rows: the CSVs of all runs of a study, concatenated in any order.

    P is uncorrected. HolmP, which decides the outcome, is P itself for the headline cell and
    Holm-corrected among all others. P, TostP and Detectable belong to the effect named in Primary.

    ValueError in one line where rows do not belong to one study, where the arms of a seed end at
    different steps, and where the headline fits several cells.
    """
    rows = armed(checked(rows), question)
    cells = [make_cell(key, group, thresholds, question) for key, group in rows.groupby(CELL)]
    table = pd.DataFrame([_row(cell, cells, thresholds) for cell in cells])
    table["Headline"] = is_headline(table, question)
    table["HolmP"] = corrected(table["P"], table["Headline"])
    table["Outcome"] = [
        named(outcome(cell, row, thresholds), question)
        for cell, row in zip(cells, table.to_dict("records"), strict=True)
    ]
    return table


def outcome(cell: Cell, row: Mapping, thresholds: Thresholds) -> str:
    """Outcome of a cell: the first that matches. row: the cell's row in the table of `judge`."""
    if row["Seeds"] < thresholds.no_verdict_under:
        return "no verdict"
    alpha, worth = 1 - thresholds.confidence, cell.metric.bound(thresholds)
    mean, significant = cell.metric.sign * row[f"Delta{cell.primary}"], row["HolmP"] < alpha
    above, below = significant and mean > 0, significant and mean < 0
    was_collapsed = share(cell.before, "collapsed") > 0.5
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
    """Whether an effect is specific to ternary weights: "yes", "no", "undecided" or "n.a.".

    It is, if the difference to the twin's effect is significant, in the effect's direction and at
    least half of it. It is not, if both are equivalent (TOST). "n.a.": the cell has no twin.
    """
    pair = with_twin(cell, cells)
    if pair is None:
        return "n.a."
    own, gaps = pair[0].mean(), pair[0] - pair[1]
    gap = effect(gaps, cell.metric.bound(thresholds), thresholds.confidence)
    if gap.n < thresholds.no_verdict_under:
        return "undecided"
    alpha = 1 - thresholds.confidence
    if gap.p < alpha and gap.mean * own > 0 and abs(gap.mean) >= abs(own) / 2:
        return "yes"
    return "no" if gap.tost < alpha else "undecided"


def confidence(cell: Cell, primary: Effect, thresholds: Thresholds) -> str:
    """Confidence in a cell: "High", "Medium" or "Low" if all, two or fewer of three hold.

    The three: enough seeds; one state for all runs of each arm (and for all shared trunks); an
    interval wholly inside or wholly outside the equivalence margin. Low without a verdict.
    """
    worth = cell.metric.bound(thresholds)
    parts = [list(cell.control["State"]), list(cell.treatment["State"])]
    parts += [cell.trunk] * cell.question.shares_trunk
    agree = (max(share(states, name) for name in states) == 1 for states in parts if states)
    low, high = primary.low, primary.high
    held = [
        primary.n >= thresholds.few_seeds,
        all(agree),
        low > worth or high < -worth or -worth < low <= high < worth,
    ]
    points = sum(held) if primary.n >= thresholds.no_verdict_under else 0
    return {3: "High", 2: "Medium"}.get(points, "Low")


def is_headline(cells: pd.DataFrame, question: Question) -> pd.Series:
    """Boolean series that is true for the headline cell; all false where it has no runs.

    ValueError in one line where the headline fits several cells.
    """
    names = {axis.key: axis.column for axis in AXES if axis.column in CELL} | {"variant": VARIANT}
    wanted = {"variant": BASE, **question.headline}
    chosen = pd.Series(True, index=cells.index)
    wanted.pop(STAGE2, None)  # other values of it are variants
    for name, value in wanted.items():
        chosen &= cells[names[name]] == value
    if chosen.sum() > 1:
        labels = ["/".join(map(str, key)) for key in cells.loc[chosen, CELL].itertuples(False)]
        raise ValueError(f"headline {dict(wanted)} fits {len(labels)} cells: {', '.join(labels)}")
    return chosen


def _row(cell: Cell, cells: Sequence[Cell], thresholds: Thresholds) -> dict:
    bounds = dict.fromkeys(RATIOS, math.log(thresholds.equivalence_ratio))
    bounds |= {"ValLoss": thresholds.equivalence_loss}
    primary_bound = cell.metric.bound(thresholds)
    found = {
        name: effect(cell.deltas[name], bounds.get(name, primary_bound), thresholds.confidence)
        for name in effects(cell.question)
    }
    primary = effect(cell.deltas[cell.primary], primary_bound, thresholds.confidence)
    extra = [name for name in found if name not in EFFECTS]
    row = dict(zip(CELL, cell.key, strict=True))
    row |= {"Headline": False, "Outcome": "", "Seeds": primary.n}  # `judge` sets the first two
    row |= {"TrunkStates": tally(cell.trunk)}
    for name, arm in (("Control", cell.control), ("Treatment", cell.treatment)):
        row[f"{name}States"] = tally(arm["State"])
        row[f"{name}Unique"] = sound(arm)["UniquePredictions"].mean()
        row[f"{name}ValLoss"] = sound(arm)["ValLoss"].mean()
        row |= {f"{name}{column}": sound(arm)[column].mean() for column in extra}
    row["Primary"] = cell.primary
    for name, seen in found.items():
        row |= {f"Delta{name}": seen.mean}
        row |= {f"Delta{name}Low": seen.low, f"Delta{name}High": seen.high}
    row |= {"P": primary.p, "HolmP": math.nan, "TostP": primary.tost}
    row |= {"TostValLossP": found["ValLoss"].tost, "Detectable": primary.detectable}
    row["TernarySpecific"] = ternary_specific(cell, cells, thresholds)
    row["Confidence"] = confidence(cell, primary, thresholds)
    return row | {"Note": "; ".join(cell.notes)} | cell.data


MEANINGS = {
    "A": "larger models avoid it",
    "B": "not a matter of size",
    "C": "no order by size",
    "none": "some size has no state that most runs share",
}
SERIES = ["Optimizer", "Weights", "PeakLR", "Stage1WD", VARIANT]
PARTS = {"at the switch": "TrunkStates", "control": "ControlStates", "treatment": "TreatmentStates"}


def scaling(cells: pd.DataFrame) -> pd.DataFrame:
    """One row a series of sizes and part of the runs: Sizes, States, Scaling, MinimumSize.

    cells: the verdict's table. Series of one size are left out: they order nothing.
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
    """The state that more than half of the runs of a tally are in; empty where there is none."""
    for part in filter(None, tally.split(", ")):
        state, _, counts = part.rpartition(" ")
        count, total = map(int, counts.split("/"))
        if 2 * count > total:
            return state
    return ""


def order(states: list[str]) -> str:
    """A, B, C or none for the states of growing sizes."""
    if not all(states):
        return "none"
    changes = [i for i in range(1, len(states)) if states[i] != states[i - 1]]
    if not changes:
        return "B"
    return "A" if len(changes) == 1 and states[-1] == "diverse" else "C"
