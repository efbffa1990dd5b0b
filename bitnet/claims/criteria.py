"""Criteria that decide the original reports' claims, each on the runs of one study.

A criterion returns None where the study lacks the runs, else a `Found`: whether the claim holds
(None: undecided), the evidence in words, and the number of seeds.
"""

import math
from collections.abc import Callable

import numpy as np
import pandas as pd

from bitnet.claims.evidence import Evidence, most
from bitnet.evaluation.states import tally
from bitnet.verdict.rule import scaling

LEGACY_VOCABULARY = 30_000  # at least; the reports' losses of 10 and 11 belong to such a size
NEAR = 0.1  # share of ln V within which a loss counts as stuck there
KIND = ["HiddenSize", "PeakLR", "Stage1WD", "Variant", "Optimizer", "Stage2WD"]

Found = tuple[bool | None, str, int]


def collapse_in_stage_1(e: Evidence) -> Found | None:
    """Holds if most trunks of the headline cell are collapsed at the switch."""
    trunks = e.trunks()
    if trunks.empty:
        return None
    count, n = list(trunks["TrunkState"]).count("collapsed"), len(trunks)
    return count * 2 > n, f"{count} of {n} trunks collapsed at the switch", n


def loss_falls_meanwhile(e: Evidence) -> Found | None:
    """Holds if in most trunks ValLoss and distinct predictions fall from step 0 to the switch."""
    trunks = e.trunks()
    if trunks.empty:
        return None
    both = (trunks["TrunkValLoss"] < trunks["StartValLoss"]) & (
        trunks["TrunkUniquePredictions"] < trunks["StartUniquePredictions"]
    )
    mean = trunks.mean(numeric_only=True)
    figure = (
        f"ValLoss {mean['StartValLoss']:.2f} to {mean['TrunkValLoss']:.2f}, distinct predictions "
        f"{mean['StartUniquePredictions']:,.0f} to {mean['TrunkUniquePredictions']:,.1f}"
    )
    return bool(both.mean() > 0.5), figure, len(trunks)


def reduced_rate_recovers(e: Evidence) -> Found | None:
    """Holds if most trunks at the lower peak LR nearest 5e-4 are diverse or recovering.

    Undecided if most trunks at the headline's peak LR did not collapse.
    """
    base = e.trunks()
    lower = {label: c for label, c in e.neighbours().items() if "PeakLR" in c}
    own = _own_rate(e)
    lower = {label: c for label, c in lower.items() if c["PeakLR"] < own}
    if base.empty or not lower:
        return None
    label, change = min(lower.items(), key=lambda item: abs(item[1]["PeakLR"] - 5e-4))
    trunks = e.trunks(**change)
    figure = f"{label}: {_trunks(trunks)} at the switch, against {_trunks(base)}"
    if not most(base["TrunkState"], "collapsed"):
        return None, f"nothing to recover from; {figure}", len(trunks)
    return most(trunks["TrunkState"], "diverse", "recovering"), figure, len(trunks)


def _own_rate(e: Evidence) -> float:
    return e.headline.get("PeakLR", e.runs["PeakLR"].mode().iloc[0])


def variant(prefix: str, worse: bool) -> Callable[[Evidence], Found | None]:
    """Criterion on the change of the protocol whose label starts with `prefix`.

    It compares distinct predictions at the switch with the headline's, paired by seed. The claim
    is that they become fewer if `worse`, else that they are equivalent.
    """

    def decide(e: Evidence) -> Found | None:
        found = [c for label, c in e.neighbours().items() if label.startswith(prefix)]
        if not found:
            return None
        bound = math.log(e.thresholds.equivalence_ratio)
        left, right = (
            np.log(trunks.set_index("Seed")["TrunkUniquePredictions"])
            for trunks in (e.trunks(**found[0]), e.trunks())
        )
        gap = e.compare(left, right, bound)
        ratios = [math.exp(value) for value in (gap.mean, gap.low, gap.high)]
        figure = "ratio of counts {:.2f} [{:.2f}, {:.2f}]".format(*ratios)
        alpha = 1 - e.thresholds.confidence
        differs, equal = gap.p < alpha, gap.tost < alpha
        if worse:
            holds = True if differs and gap.mean < 0 else False if equal or differs else None
        else:
            holds = True if equal else False if differs else None
        return holds, figure, gap.n

    return decide


def only_the_rate_matters(e: Evidence) -> Found | None:
    """Holds if, of all single changes to the headline cell, only a peak LR prevents collapse.

    Refuted by any other such change; undecided if none prevents it, or nothing collapsed.
    """
    base, others = e.trunks(), e.neighbours()
    if base.empty or not others:
        return None
    if not most(base["TrunkState"], "collapsed"):
        return None, f"nothing to change: {_trunks(base)} at the switch", len(base)
    moved = {
        label: _trunks(e.trunks(**change))
        for label, change in others.items()
        if not most(e.trunks(**change)["TrunkState"], "collapsed")
    }
    kept = [label for label in others if label not in moved]
    says = "; ".join(f"{label}: {tally}" for label, tally in moved.items()) or "none"
    figure = f"not collapsed with {says}; still collapsed with {', '.join(kept) or 'none'}"
    rate = [label for label in moved if "PeakLR" in others[label]]
    if any("PeakLR" not in others[label] for label in moved):
        return False, figure, len(base)
    return (True if rate else None), figure, len(base)


def decay_fixes(e: Evidence) -> Found | None:
    """Holds if the headline cell's outcome is "fixed"; undecided if that is not decided."""
    row = e.cells[e.cells["Headline"]]
    if row.empty:
        return None
    return _fixed(row.iloc[0])


def _fixed(row: pd.Series) -> Found:
    holds = {"fixed": True, "inconclusive": None, "no verdict": None}.get(row["Outcome"], False)
    ratio = math.exp(row[f"Delta{row['Primary']}"])
    return holds, f"hidden {row['HiddenSize']}: {row['Outcome']}, ratio {ratio:.2f}", row["Seeds"]


def at_every_size(e: Evidence) -> Found | None:
    """Holds if the verdict is "fixed" at every hidden size of the study, of at least two."""
    wanted = {key: value for key, value in e.headline.items() if key != "HiddenSize"}
    rows = e.cells
    for column, value in wanted.items():
        rows = rows[rows[column] == value]
    if rows["HiddenSize"].nunique() < 2:
        return None
    found = [_fixed(row) for _, row in rows.sort_values("HiddenSize").iterrows()]
    answers = [holds for holds, _, _ in found]
    holds = False if False in answers else None if None in answers else True
    return holds, "; ".join(figure for _, figure, _ in found), min(n for *_, n in found)


def larger_models_avoid_it(e: Evidence) -> Found | None:
    """Holds if the scaling outcome of the control arm is A, refuted if it is B (see `scaling`)."""
    found = scaling(e.cells)
    for column, value in e.headline.items():
        if column in found:
            found = found[found[column] == value]
    if found.empty:
        return None
    row = found[found["Part"] == "control"].iloc[0]
    states = ", ".join(
        f"{n} {s or 'mixed'}" for n, s in zip(row["Sizes"], row["States"], strict=True)
    )
    holds = {"A": True, "B": False}.get(row["Scaling"])
    return holds, f"outcome {row['Scaling']}: {states}", int(e.cells["Seeds"].min())


def can_be_diverse(e: Evidence) -> Found | None:
    """Holds if some kind of ternary run (same values of KIND) ends diverse in most seeds."""
    ternary = e.runs[(e.runs["Weights"] == "ternary")]
    if ternary.empty:
        return None
    groups = ternary.groupby(KIND)["State"]
    diverse = [key for key, states in groups if most(states, "diverse")]
    n = int(groups.size().max())
    return bool(diverse), f"{len(diverse)} of {len(groups)} kinds of run end diverse", n


def loss_is_not_the_issue(e: Evidence) -> Found | None:
    """Holds if collapsed control runs and diverse treated ones have equivalent ValLoss (TOST).

    Refuted if the collapsed runs' loss is higher by more than `equivalence_loss` nats.
    """
    collapsed, diverse = e.arm("control"), e.arm("treatment")
    if not (most(collapsed["State"], "collapsed") and most(diverse["State"], "diverse")):
        return None
    bound = e.thresholds.equivalence_loss
    gap = e.compare(collapsed["EndValLoss"], diverse["EndValLoss"], bound)
    alpha = 1 - e.thresholds.confidence
    holds = True if gap.tost < alpha else False if gap.p < alpha and gap.mean > bound else None
    figure = f"collapsed runs' ValLoss is {gap.mean:+.2f} nats [{gap.low:+.2f}, {gap.high:+.2f}]"
    return holds, figure, gap.n


def something_is_fixable(e: Evidence) -> Found | None:
    """Holds if some kind of ternary run whose trunk collapsed ends diverse in most seeds."""
    sick = e.runs[(e.runs["Weights"] == "ternary") & (e.runs["TrunkState"] == "collapsed")]
    if sick.empty:
        return None
    groups = sick.groupby(KIND)
    cured = [(key, states) for key, states in groups["State"] if most(states, "diverse")]
    n = int(groups.size().max())
    figure = f"{len(cured)} of {len(groups)} kinds of run with collapsed trunks end diverse"
    return bool(cured), figure, n


def dynamics_not_architecture(e: Evidence) -> Found | None:
    """Holds if the full-precision twin collapses too, and ternary weights under AdamW do not.

    Refuted if the twin does not collapse; undecided in all other cases.
    """
    own, twin, other = e.trunks(), e.trunks(Weights="full_precision"), e.trunks(Optimizer="adamw")
    if own.empty or twin.empty or other.empty:
        return None
    figure = (
        f"at the switch: {_trunks(own)}; twin {_trunks(twin)}; ternary with adamw {_trunks(other)}"
    )
    collapsed = [most(trunks["TrunkState"], "collapsed") for trunks in (own, twin, other)]
    answers = {(True, True, False): True, (True, False, False): False, (True, False, True): False}
    holds = answers.get(tuple(collapsed))
    return holds, figure, min(len(own), len(twin), len(other))


def larger_models_need_lower_rates(e: Evidence) -> Found | None:
    """Holds if the highest peak LR without collapse is lower at the largest than smallest size."""
    sizes = sorted(e.runs["HiddenSize"].unique())
    highest: dict[int, float] = {}
    for size in sizes:
        runs = e.select({**e.headline, "HiddenSize": size} | {"PeakLR": _own_rate(e)})
        if runs.empty or e.runs["PeakLR"].nunique() < 2:
            return None
        wanted = {key: v for key, v in e.headline.items() if key not in ("HiddenSize", "PeakLR")}
        trunks = e.select({**wanted, "HiddenSize": size}).drop_duplicates(["PeakLR", "Seed"])
        by_rate = trunks.groupby("PeakLR")["TrunkState"]
        sound = [rate for rate, states in by_rate if not most(states, "collapsed", "diverged")]
        highest[size] = max(sound, default=0.0)
    if len(sizes) < 2:
        return None
    figure = ", ".join(f"hidden {size}: {rate:g}" for size, rate in highest.items())
    first, last = highest[sizes[0]], highest[sizes[-1]]
    n = int(e.cells["Seeds"].min())
    return last < first, f"highest LR whose trunk does not collapse: {figure}", n


def control(arm: str, collapsed: bool, **changes) -> Callable[[Evidence], Found | None]:
    """Criterion on a control: whether most runs of an arm are collapsed, as they must (not) be.

    arm: "treatment" or "control". collapsed: the known answer. changes: columns and values in
    which the cell differs from the headline. A criterion that does not hold means that the rule
    for states is wrong.
    """

    def decide(e: Evidence) -> Found | None:
        runs = e.arm(arm, **changes)
        if runs.empty:
            return None
        return most(runs["State"], "collapsed") == collapsed, tally(runs["State"]), len(runs)

    return decide


def counts_fall_from_20_to_2(e: Evidence) -> Found | None:
    """Holds if Unique20 falls from over 15 at step 0 to under 4 at the switch, on average.

    Needs a vocabulary of at least LEGACY_VOCABULARY.
    """
    trunks = e.trunks()
    if trunks.empty or e.rows["VocabSize"].iloc[0] < LEGACY_VOCABULARY:
        return None
    start, end = (trunks[f"{when}Unique20"].mean() for when in ("Start", "Trunk"))
    holds = bool(start > 15 and end < 4)
    return holds, f"of 20 random contexts: {start:.1f} to {end:.1f} at the switch", len(trunks)


def loss_stays_near_ln_v(e: Evidence) -> Found | None:
    """Holds if the mean training loss at the switch is within NEAR of ln V (share of ln V).

    Needs a vocabulary of at least LEGACY_VOCABULARY.
    """
    vocabulary, trunks = e.rows["VocabSize"].iloc[0], e.trunks()
    if trunks.empty or vocabulary < LEGACY_VOCABULARY:
        return None
    loss, ceiling = trunks["TrunkLoss"].mean(), math.log(vocabulary)
    figure = f"training loss {loss:.2f} at the switch, ln V = {ceiling:.2f}"
    return bool(abs(loss - ceiling) < NEAR * ceiling), figure, len(trunks)


def _trunks(trunks: pd.DataFrame) -> str:
    return tally(trunks["TrunkState"])
