"""The verdict's rule: paired tests over seeds, and one outcome for each cell of a study.

This is rule 2, written in November 2026 before any run of 10,000 steps or more; the legend of every
verdict states it. Differences are treatment - control: of natural logarithms for effective counts
(`bitnet.evaluation.states.effective`) and PDR, in nats for loss, and in its own unit for any other
metric that a question names.

    cells = judge(rows, Thresholds(), Question(treatment=0.0, control=0.05, headline={...}))
"""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from bitnet.config.question import RATIOS, STAGE2, Question
from bitnet.config.run_names import AXES, BASE, VARIANT
from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.states import share, tally
from bitnet.verdict.cells import CELL, EFFECTS, Cell, armed, checked, effects, make_cell, sound
from bitnet.verdict.outcomes import named
from bitnet.verdict.rule1 import outcome_by_rule_1
from bitnet.verdict.statistics import TIE, Effect, corrected, effect, more_often
from bitnet.verdict.ternary import collapse_is_ternary, effect_is_ternary

POINT = ["HiddenSize", "PeakLR", "Stage1WD", VARIANT]
NO_CLAIM = ("no verdict", "inconclusive")
BY_STATES = ("diverges", "control diverges", "stays collapsed", "temporary recovery")
"""Outcomes that need no interval: states alone decide them."""


def judge(rows: pd.DataFrame, thresholds: Thresholds, question: Question) -> pd.DataFrame:
    """Table with one row per cell: states, paired effects, tests, outcome.

    rows: the CSVs of all runs of a study, concatenated in any order.

    P is uncorrected; HolmP, corrected within `families`, decides the outcome. P, TostP and
    Detectable belong to the effect named in Primary. OutcomeRule1 is what rule 1 would say.

    ValueError in one line where rows do not belong to one study, where the arms of a seed end at
    different steps, and where the headline fits several cells.
    """
    rows = armed(checked(rows), question)
    cells = [make_cell(key, group, thresholds, question) for key, group in rows.groupby(CELL)]
    table = pd.DataFrame([_row(cell, thresholds) for cell in cells])
    table["Headline"] = is_headline(table, question)
    table["HolmP"] = corrected(table["P"], families(table))
    raw = [_effect(cell, cell.raw, thresholds) for cell in cells]
    holm = corrected(pd.Series([found.p for found in raw], dtype=float), table["Headline"])
    for i, (cell, row) in enumerate(zip(cells, table.to_dict("records"), strict=True)):
        said = outcome(cell, row, thresholds)
        first = outcome_by_rule_1(cell, raw[i], holm[i], row["TostValLossP"], thresholds)
        table.loc[i, "Outcome"] = named(said, question)
        table.loc[i, "OutcomeRule1"] = named(first, question)
        table.loc[i, "CollapseTernary"] = collapse_is_ternary(cell, cells, thresholds)
        table.loc[i, "EffectTernary"] = effect_is_ternary(cell, cells, row, thresholds)
        table.loc[i, "Confidence"] = confidence(cell, row, said, thresholds)
    return table


def outcome(cell: Cell, row: Mapping, thresholds: Thresholds) -> str:
    """Outcome of a cell: the first that matches. row: the cell's row in the table of `judge`."""

    def most(states: Sequence[str], name: str) -> bool:
        return share(states, name) > 0.5

    control, treatment = cell.control["State"], cell.treatment["State"]
    alpha = 1 - thresholds.confidence
    crashed, control_crashed = most(treatment, "diverged"), most(control, "diverged")
    if crashed != control_crashed and len(control) and len(treatment):
        broken = [[state == "diverged" for state in arm] for arm in (treatment, control)]
        if more_often(*broken[:: 1 if crashed else -1]) <= alpha + TIE:
            return "diverges" if crashed else "control diverges"
    if row["Seeds"] < thresholds.no_verdict_under or crashed or control_crashed:
        return "no verdict"
    was_collapsed = most(cell.before, "collapsed")
    if was_collapsed and most(control, "collapsed") and most(treatment, "collapsed"):
        return "stays collapsed"
    if most(treatment, "temporary"):
        return "temporary recovery"
    worth = cell.metric.bound(thresholds)
    gain, significant = cell.metric.sign * row[f"Delta{cell.primary}"], row["HolmP"] < alpha
    more, less = significant and gain > worth, significant and gain < -worth
    better, worse = _loss(cell, row, thresholds)
    diverse, control_diverse = most(treatment, "diverse"), most(control, "diverse")
    if less and not better:
        return "harmful"
    if was_collapsed and diverse and not control_diverse and more and not worse:
        return "fixed"
    if was_collapsed and diverse and control_diverse:
        return "recovers either way"
    equal = row["TostP"] < alpha
    if equal and row["TostValLossP"] < alpha:
        return "no effect" if was_collapsed else "no effect (nothing to fix)"
    if more and not worse:
        return "helps"
    if more or less:
        return "trade-off"
    if equal and (better or worse):
        return "lower loss" if better else "higher loss"
    return "inconclusive"


def _loss(cell: Cell, row: Mapping, thresholds: Thresholds) -> tuple[bool, bool]:
    """Whether the treatment's loss is better, and worse: by its whole interval, beyond the margin.

    Neither where loss is itself what the question is decided by.
    """
    if cell.primary == "ValLoss":
        return False, False
    margin = thresholds.equivalence_loss
    return row["DeltaValLossHigh"] < -margin, row["DeltaValLossLow"] > margin


def confidence(cell: Cell, row: Mapping, said: str, thresholds: Thresholds) -> str:
    """Confidence in a claim: "High", "Medium" or "Low" if all, two or fewer of three hold.

    The three: enough seeds; one state for all runs of each arm (and for all shared trunks); an
    interval wholly inside or wholly outside the equivalence margin, which outcomes `BY_STATES` do
    not need. Empty where the outcome, `said`, claims nothing.
    """
    if said in NO_CLAIM:
        return ""
    arms = [list(cell.control["State"]), list(cell.treatment["State"])]
    seeds = min(map(len, arms)) if said.endswith("diverges") else row["Seeds"]
    parts = [*arms, cell.trunk] if cell.question.shares_trunk else arms
    worth = cell.metric.bound(thresholds)
    low, high = (row[f"Delta{cell.primary}{end}"] for end in ("Low", "High"))
    held = [
        seeds >= thresholds.few_seeds,
        all(len(set(states)) == 1 for states in parts),
        said in BY_STATES or low > worth or high < -worth or -worth < low <= high < worth,
    ]
    return {3: "High", 2: "Medium"}.get(sum(held), "Low")


def families(cells: pd.DataFrame) -> pd.Series:
    """Family of tests that each cell is corrected in: "headline", "beside" or "other".

    cells: the table of `judge` as far as its column Headline. Beside the headline, which stays
    uncorrected, stand its twin and the other optimizers at its point, fixed in advance.
    """
    found = pd.Series("other", index=cells.index)
    for _, own in cells[cells["Headline"]].iterrows():
        here = (cells[POINT] == own[POINT]).all(axis=1)
        same = [cells[column] == own[column] for column in ("Optimizer", "Weights")]
        found[here & (same[0] ^ same[1])] = "beside"
        found[here & same[0] & same[1]] = "headline"
    return found


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


def _row(cell: Cell, thresholds: Thresholds) -> dict:
    bounds = dict.fromkeys(RATIOS, math.log(thresholds.equivalence_ratio))
    bounds |= {"ValLoss": thresholds.equivalence_loss}
    primary = _effect(cell, cell.deltas[cell.primary], thresholds)
    found = {
        name: _effect(cell, cell.deltas[name], thresholds, bounds.get(name))
        for name in effects(cell.question)
    }
    extra = [name for name in found if name not in EFFECTS]
    row = dict(zip(CELL, cell.key, strict=True))
    row |= {"Headline": False, "Outcome": "", "OutcomeRule1": ""}  # `judge` sets what is empty
    row |= {"Seeds": primary.n, "TrunkStates": tally(cell.trunk)}
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
    row |= {"CollapseTernary": "", "EffectTernary": "", "Confidence": ""}
    return row | {"Note": "; ".join(cell.notes)} | cell.data


def _effect(
    cell: Cell, deltas: pd.Series, thresholds: Thresholds, bound: float | None = None
) -> Effect:
    """Statistics of differences; bound None: the margin of the metric that decides."""
    bound = cell.metric.bound(thresholds) if bound is None else bound
    return effect(deltas, bound, thresholds.confidence)


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
    return next((state for state, share in _shares(tally).items() if share > 0.5), "")


def survived(tally: str) -> bool:
    """Whether more than half of the runs of a tally ended diverse or recovering."""
    shares = _shares(tally)
    return shares.get("diverse", 0) + shares.get("recovering", 0) > 0.5


def _shares(tally: str) -> dict[str, float]:
    """Share of the runs in each state of a tally."""
    shares = {}
    for part in filter(None, tally.split(", ")):
        state, _, counts = part.rpartition(" ")
        count, total = map(int, counts.split("/"))
        shares[state] = count / total
    return shares


def order(states: list[str]) -> str:
    """A, B, C or none for the states of growing sizes."""
    if not all(states):
        return "none"
    changes = [i for i in range(1, len(states)) if states[i] != states[i - 1]]
    if not changes:
        return "B"
    return "A" if len(changes) == 1 and states[-1] == "diverse" else "C"
