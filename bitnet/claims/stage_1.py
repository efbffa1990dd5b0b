"""Criteria on trunks: whether stage 1 collapses, and what changes that. Each is on one study.

A criterion returns None where the study lacks the runs, else a `Found`. Counts are effective ones
(`states.effective`): that of a model no better than the unigram decides nothing.
"""

import math
from collections.abc import Callable

import numpy as np

from bitnet.claims.evidence import Evidence, Found, judged, listed, most, select, sound
from bitnet.evaluation.states import tally
from bitnet.verdict.statistics import Effect

LEGACY_VOCABULARY = 30_000  # at least; the reports' losses of 10 and 11 belong to such a size
NEAR = 0.1  # share of ln V within which a loss counts as stuck there


def collapse_in_stage_1(e: Evidence) -> Found | None:
    """Holds if most trunks of the headline cell are collapsed at the switch."""
    states = e.states("Trunk")
    if not states:
        return None
    return most(sound(states), "collapsed"), f"trunks {tally(states)} at the switch", judged(states)


def loss_falls_meanwhile(e: Evidence) -> Found | None:
    """Holds if in most trunks ValLoss and the count fall from step 0 to the switch."""
    trunks = e.trunks()
    if trunks.empty:
        return None
    both = (trunks["TrunkValLoss"] < trunks["StartValLoss"]) & (
        trunks["TrunkEffective"] < trunks["StartUniquePredictions"]
    )
    mean = trunks.mean(numeric_only=True)
    figure = (
        f"ValLoss {mean['StartValLoss']:.2f} to {mean['TrunkValLoss']:.2f}, distinct predictions "
        f"{mean['StartUniquePredictions']:,.0f} to {mean['TrunkUniquePredictions']:,.1f} "
        f"(effective count {mean['TrunkEffective']:,.1f})"
    )
    return bool(both.mean() > 0.5), figure, len(trunks)


def reduced_rate_recovers(e: Evidence) -> Found | None:
    """Holds if most trunks at the lower peak LR nearest 5e-4 are diverse or recovering.

    Undecided if most trunks at the headline's peak LR did not collapse.
    """
    base, own = e.states("Trunk"), _own_rate(e)
    lower = {label: c for label, c in e.neighbours().items() if c.get("PeakLR", own) < own}
    if not base or not lower:
        return None
    label, change = min(lower.items(), key=lambda item: abs(item[1]["PeakLR"] - 5e-4))
    trunks = e.states("Trunk", **change)
    figure = f"{label}: {tally(trunks)} at the switch, against {tally(base)}"
    if not most(base, "collapsed"):
        return None, f"nothing to recover from; {figure}", len(trunks)
    return most(sound(trunks), "diverse", "recovering"), figure, judged(trunks, base)


def does_not_help(prefix: str) -> Callable[[Evidence], Found | None]:
    """Criterion on the change of the protocol whose label starts with `prefix`.

    Holds if, at the switch and paired by seed, counts with it are equivalent or lower.
    """

    def decide(e: Evidence) -> Found | None:
        found = _changed(e, prefix)
        if found is None:
            return None
        count, _, figure, alpha = found
        worth = math.log(e.thresholds.equivalence_ratio)
        differs = count.p < alpha
        if count.tost < alpha or (differs and count.mean < 0):
            return True, figure, count.n
        return (False if differs and count.mean > worth else None), figure, count.n

    return decide


def makes_it_worse(prefix: str) -> Callable[[Evidence], Found | None]:
    """Criterion on the change of the protocol whose label starts with `prefix`.

    Holds if, at the switch and paired by seed, counts are lower or ValLoss is higher with it, and
    the other is not better. Refuted if neither is worse; undecided where that is not shown.
    """

    def decide(e: Evidence) -> Found | None:
        found = _changed(e, prefix)
        if found is None:
            return None
        count, loss, figure, alpha = found
        ratio, margin = math.log(e.thresholds.equivalence_ratio), e.thresholds.equivalence_loss
        # Of either: +1 worse, -1 better, 0 equal, None not shown.
        signs = [_sign(count, -1, ratio, alpha), _sign(loss, 1, margin, alpha)]
        if 1 in signs:
            return (None if -1 in signs else True), figure, count.n
        return (None if None in signs else False), figure, count.n

    return decide


def _sign(gap: Effect, worse: int, margin: float, alpha: float) -> int | None:
    if gap.tost < alpha:
        return 0
    if gap.p < alpha and abs(gap.mean) > margin:
        return worse if gap.mean > 0 else -worse
    return None


def _changed(e: Evidence, prefix: str) -> tuple[Effect, Effect, str, float] | None:
    """Differences of ln count and of ValLoss at the switch, their words, the level of tests."""
    found = [c for label, c in e.neighbours().items() if label.startswith(prefix)]
    if not found:
        return None
    changed, own = e.trunks(**found[0]), e.trunks()
    level = math.log(e.thresholds.equivalence_ratio)
    counts = [np.log(trunks["TrunkEffective"].astype(float)) for trunks in (changed, own)]
    count = e.compare(*counts, level)
    bound = e.thresholds.equivalence_loss
    loss = e.compare(changed["TrunkValLoss"], own["TrunkValLoss"], bound)
    if not count.n:
        states = (e.states("Trunk", **found[0]), e.states("Trunk"))
        said = f"no pair to compare: trunks {tally(states[0])}, against {tally(states[1])}"
        return count, loss, said, 1 - e.thresholds.confidence
    ratios = [math.exp(value) for value in (count.mean, count.low, count.high)]
    figure = "ratio of counts {:.2f} [{:.2f}, {:.2f}]".format(*ratios)
    figure += f", ValLoss {loss.mean:+.2f} [{loss.low:+.2f}, {loss.high:+.2f}]"
    return count, loss, figure.replace(" [nan, nan]", ""), 1 - e.thresholds.confidence


def only_the_rate_matters(e: Evidence) -> Found | None:
    """Holds if, of all single changes to the headline cell, only a peak LR prevents collapse.

    Refuted by any other such change; undecided if none prevents it, or nothing collapsed.
    """
    base, others = e.states("Trunk"), e.neighbours()
    if not base or not others:
        return None
    if not most(base, "collapsed"):
        return None, f"nothing to change: {tally(base)} at the switch", judged(base)
    trunks = {label: e.states("Trunk", **change) for label, change in others.items()}
    moved = {label: s for label, s in trunks.items() if most(s, "diverse", "recovering")}
    kept = [label for label, states in trunks.items() if most(states, "collapsed")]
    parts = [
        f"not collapsed with {_and_states(moved) or 'none'}",
        f"still collapsed with {', '.join(kept) or 'none'}",
    ]
    rest = {label: s for label, s in trunks.items() if label not in (*moved, *kept)}
    figure = "; ".join([*parts, *([f"neither with {_and_states(rest)}"] if rest else [])])
    if any("PeakLR" not in others[label] for label in moved):
        return False, figure, judged(base)
    return (True if moved else None), figure, judged(base)


def _and_states(trunks: dict[str, list[str]]) -> str:
    return "; ".join(f"{label}: {tally(states)}" for label, states in trunks.items())


def larger_models_need_lower_rates(e: Evidence) -> Found | None:
    """Holds if the highest peak LR without collapse is lower at the largest than smallest size.

    Undecided where both sizes have none, or the highest of those tried: the true ones lie outside.
    """
    wanted = {key: v for key, v in e.headline.items() if key not in ("HiddenSize", "PeakLR")}
    cells = select(e.cells, wanted)
    if cells["HiddenSize"].nunique() < 2 or cells["PeakLR"].nunique() < 2:
        return None
    highest: dict[int, float] = {}
    for size, rows in cells.groupby("HiddenSize"):
        trunks = zip(rows["PeakLR"], map(listed, rows["TrunkStates"]), strict=True)
        lost = ("collapsed", "diverged", "invalid")
        highest[size] = max((rate for rate, states in trunks if not most(states, *lost)), default=0)
    figure = ", ".join(f"hidden {size}: {rate:g}" for size, rate in highest.items())
    first, last = highest[min(highest)], highest[max(highest)]
    at_the_edge = first == last and last in (0, cells["PeakLR"].max())
    n = min(len(listed(text)) for text in cells["TrunkStates"])
    figure = f"highest LR whose trunk does not collapse (0: none tried): {figure}"
    return (None if at_the_edge else last < first), figure, n


def _own_rate(e: Evidence) -> float:
    return e.headline.get("PeakLR", e.cells["PeakLR"].mode().iloc[0])


def counts_fall_from_20_to_2(e: Evidence) -> Found | None:
    """Holds if Unique20 falls from over 15 at step 0 to under 4 at the switch, on average.

    Undecided if it does not fall and most trunks are collapsed: that of a dead model is noise.
    Needs a vocabulary of at least LEGACY_VOCABULARY.
    """
    trunks = e.trunks()
    if trunks.empty or e.rows["VocabSize"].iloc[0] < LEGACY_VOCABULARY:
        return None
    start, end = (trunks[f"{when}Unique20"].mean() for when in ("Start", "Trunk"))
    holds: bool | None = bool(start > 15 and end < 4)
    if not holds and most(trunks["TrunkState"], "collapsed"):
        holds = None
    figure = f"of 20 random contexts: {start:.1f} to {end:.1f} at the switch"
    return holds, f"{figure}, trunks {tally(list(trunks['TrunkState']))}", len(trunks)


def loss_stays_near_ln_v(e: Evidence) -> Found | None:
    """Holds if the mean training loss at the switch is within NEAR of ln V (share of ln V).

    Needs a vocabulary of at least LEGACY_VOCABULARY.
    """
    trunks = e.trunks()
    if trunks.empty or e.rows["VocabSize"].iloc[0] < LEGACY_VOCABULARY:
        return None
    loss, ceiling = trunks["TrunkLoss"].mean(), math.log(e.rows["VocabSize"].iloc[0])
    figure = f"training loss {loss:.2f} at the switch, ln V = {ceiling:.2f}"
    return bool(abs(loss - ceiling) < NEAR * ceiling), figure, len(trunks)
