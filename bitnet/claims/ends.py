"""Criteria on how runs end: controls, the fix, sizes, what is possible. Each is on one study.

A criterion returns None where the study lacks the runs, else a `Found`.
"""

import math
from collections.abc import Callable

import pandas as pd

from bitnet.claims.evidence import Evidence, Found, judged, listed, most, select, sound
from bitnet.evaluation.states import tally
from bitnet.verdict.cells import TERNARY
from bitnet.verdict.rule import scaling

REFUTED = ("no effect", "harmful", "stays collapsed", "temporary recovery", "diverges")
ARMS = ("Control", "Treatment")


def control(arm: str, collapsed: bool, **changes) -> Callable[[Evidence], Found | None]:
    """Criterion on a control: whether most runs of an arm are collapsed, as they must (not) be.

    arm: "Treatment" or "Control". collapsed: the known answer. changes: columns and values in
    which the cell differs from the headline. A criterion that does not hold means that the rule
    for states is wrong.
    """

    def decide(e: Evidence) -> Found | None:
        states = e.states(arm, **changes)
        if not states:
            return None
        return most(sound(states), "collapsed") == collapsed, tally(states), judged(states)

    return decide


def decay_fixes(e: Evidence) -> Found | None:
    """Holds if the headline cell's outcome is "fixed", refuted if it is one of REFUTED.

    Undecided in all other cases: what helps is less than a fix and no proof that there is none.
    """
    row = e.cell()
    return None if row.empty else _fixed(row.iloc[0])


def _fixed(row: pd.Series) -> Found:
    holds = True if row["Outcome"] == "fixed" else False if row["Outcome"] in REFUTED else None
    mean = row[f"Delta{row['Primary']}"]
    ratio = f", ratio {math.exp(mean):.2f}" if math.isfinite(mean) else ""
    ends = [f"{row[f'{arm}States'] or 'no run'}" for arm in ARMS]
    figure = f"hidden {row['HiddenSize']}: {row['Outcome']}{ratio} ({ends[0]} to {ends[1]})"
    crashed = row["Outcome"] == "diverges"  # its seeds are those that were tried
    return holds, figure, len(listed(row["TreatmentStates"])) if crashed else row["Seeds"]


def at_every_size(e: Evidence) -> Found | None:
    """Holds if the verdict is "fixed" at every hidden size of the study, of at least two."""
    wanted = {key: value for key, value in e.headline.items() if key != "HiddenSize"}
    rows = select(e.cells, wanted)
    if rows["HiddenSize"].nunique() < 2:
        return None
    found = [_fixed(row) for _, row in rows.sort_values("HiddenSize").iterrows()]
    answers = [holds for holds, _, _ in found]
    holds = False if False in answers else None if None in answers else True
    return holds, "; ".join(figure for _, figure, _ in found), min(n for *_, n in found)


def larger_models_avoid_it(e: Evidence) -> Found | None:
    """Holds if the scaling outcome of the control arm is A, refuted if all sizes are collapsed."""
    wanted = {key: value for key, value in e.headline.items() if key != "HiddenSize"}
    found = select(scaling(e.cells), wanted)
    if found.empty:
        return None
    row = found[found["Part"] == "control"].iloc[0]
    states = ", ".join(
        f"{n} {s or 'mixed'}" for n, s in zip(row["Sizes"], row["States"], strict=True)
    )
    holds = True if row["Scaling"] == "A" else None
    holds = False if set(row["States"]) == {"collapsed"} else holds
    ends = [listed(text) for text in select(e.cells, wanted)["ControlStates"]]
    return holds, f"outcome {row['Scaling']}: {states}", judged(*ends)


def can_be_diverse(e: Evidence) -> Found | None:
    """Holds if most runs of an arm of some ternary cell end diverse."""
    return _some_end_diverse(select(e.cells, {"Weights": TERNARY}), "kinds of run")


def something_is_fixable(e: Evidence) -> Found | None:
    """Holds if most runs of an arm of some ternary cell with collapsed trunks end diverse."""
    ternary = select(e.cells, {"Weights": TERNARY})
    sick = ternary[[most(listed(text), "collapsed") for text in ternary["TrunkStates"]]]
    return _some_end_diverse(sick, "kinds of run with collapsed trunks")


def _some_end_diverse(cells: pd.DataFrame, kinds: str) -> Found | None:
    ends = [listed(text) for arm in ARMS for text in cells[f"{arm}States"] if text]
    if not ends:
        return None
    diverse = [states for states in ends if most(states, "diverse")]
    figure = f"{len(diverse)} of {len(ends)} {kinds} end diverse"
    return bool(diverse), figure, max(map(len, diverse or ends))


def loss_is_not_the_issue(e: Evidence) -> Found | None:
    """Holds if collapsed control runs and diverse treated ones have equivalent ValLoss (TOST).

    Refuted if the collapsed runs' loss is higher by more than `equivalence_loss` nats, with its
    whole interval.
    """
    if not (most(e.states("Control"), "collapsed") and most(e.states("Treatment"), "diverse")):
        return None
    row = e.cell().iloc[0]
    mean, high, low = (-row[f"DeltaValLoss{end}"] for end in ("", "Low", "High"))
    equal = row["TostValLossP"] < 1 - e.thresholds.confidence
    holds = True if equal else False if low > e.thresholds.equivalence_loss else None
    figure = f"collapsed runs' ValLoss is {mean:+.2f} nats [{low:+.2f}, {high:+.2f}]"
    return holds, figure.replace(" [nan, nan]", ""), row["Seeds"]


def dynamics_not_architecture(e: Evidence) -> Found | None:
    """Holds if the full-precision twin collapses too, and ternary weights under AdamW do not.

    Refuted if the twin does not collapse; undecided in all other cases.
    """
    changes = ({}, {"Weights": "full_precision"}, {"Optimizer": "adamw"})
    own, twin, other = trunks = [e.states("Trunk", **change) for change in changes]
    if not all(trunks):
        return None
    figure = f"at the switch: {tally(own)}; twin {tally(twin)}; ternary with adamw {tally(other)}"
    collapsed = tuple(most(sound(states), "collapsed") for states in trunks)
    answers = {(True, True, False): True, (True, False, False): False, (True, False, True): False}
    return answers.get(collapsed), figure, judged(*trunks)
