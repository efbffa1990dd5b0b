"""How often the verdict's rule says what, in studies whose truth is known.

Every decision is `bitnet.verdict.rule`'s own (`outcome`, `corrected`, `ternary_specific`), beside
it that of `bitnet.verdict.error_rates.proposal`.

    for scenario in scenarios(fit(rows, question), headline, thresholds):
        row = rates(scenario, headline, 5, 1000, rng, thresholds)  # 1,000 studies of 5 seeds
"""

import gc
import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from bitnet.config.thresholds import Thresholds
from bitnet.verdict import rule as verdict
from bitnet.verdict.error_rates import proposal
from bitnet.verdict.error_rates.draws import DrawnCell
from bitnet.verdict.error_rates.generator import FittedCell, draw
from bitnet.verdict.error_rates.scenarios import Scenario
from bitnet.verdict.headline import MEANINGS
from bitnet.verdict.statistics import corrected

# 'no effect' with or without '(nothing to fix)' is one answer here.
OUTCOMES = tuple(dict.fromkeys(name.split(" (")[0] for name in MEANINGS))
CLAIMS = {"fixed", "helps", "harmful"}  # outcomes that say the arms differ
CLAIM = "any claim"
ANSWERS = ("yes", "no", "undecided")
PROPOSED = "proposed "
LEVEL = 0.95  # of the intervals of the shares

Said = tuple[list[str], str]


"""Outcomes of a study's cells, and whether the headline's effect is specific to ternary weights."""


def rates(
    scenario: Scenario,
    headline: tuple,
    seeds: int,
    draws: int,
    rng: np.random.Generator,
    thresholds: Thresholds,
) -> dict:
    """Share of drawn studies of so many seeds with each outcome, and its Wilson interval.

    In a scenario of several cells: share of draws in which at least one cell has that outcome.
    TernaryYes, TernaryNo, TernaryUndecided: what is said of the headline cell, NaN without a twin.
    The same columns with Proposed before them: by the rule of
    `bitnet.verdict.error_rates.proposal`.
    """
    row = {"Truth": scenario.truth, "Scenario": scenario.name, "Cells": len(scenario.cells)}
    row |= {"Seeds": seeds, "Draws": draws}
    said = list(judge_draws(scenario.cells, headline, draws, seeds, rng, thresholds))
    for prefix, by_draw in zip(("", PROPOSED), zip(*said, strict=True), strict=True):
        names, answers = zip(*by_draw, strict=True)
        outcomes = [{name.split(" (")[0] for name in study} for study in names]
        for name in (*OUTCOMES, proposal.STAYS):
            row |= _share(prefix + name, sum(name in study for study in outcomes), draws)
        claims = sum(not CLAIMS.isdisjoint(study) for study in outcomes)
        row |= _share(prefix + CLAIM, claims, draws)
        with_twin = draws - answers.count("n.a.")
        for name in ANSWERS:
            row |= _share(f"{prefix}ternary {name}", answers.count(name), with_twin)
    return row


def differences(
    cell: FittedCell, draws: int, rng: np.random.Generator, thresholds: Thresholds
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of drawn seeds' differences at the end, (3,) each: `EFFECTS`.

    Beside the measured ones they tell whether the generator fits.
    """
    deltas = DrawnCell.of(cell, draw(cell, 1, draws, rng), thresholds).deltas[0]
    return deltas.mean(axis=0), deltas.std(axis=0)


def column(name: str) -> str:
    """Column of an outcome's share: 'no effect' -> NoEffect."""
    return name.title().replace(" ", "")


def judge_draws(
    cells: Sequence[FittedCell],
    headline: tuple,
    draws: int,
    seeds: int,
    rng: np.random.Generator,
    thresholds: Thresholds,
) -> Iterator[tuple[Said, Said]]:
    """What is said of each drawn study, by the rule in force and by the rule proposed."""
    gc.freeze()  # statsmodels collects garbage at every correction: not all that is loaded
    drawn = [DrawnCell.of(cell, draw(cell, draws, seeds, rng), thresholds) for cell in cells]
    own = pd.Series([cell.key == headline for cell in cells])
    for i in range(draws):
        judged, rows = [part.cell(i) for part in drawn], [part.row(i) for part in drawn]
        holm = corrected(pd.Series([row["P"] for row in rows]), own)
        rows = [row | {"HolmP": p} for row, p in zip(rows, holm, strict=True)]
        main = next((cell for cell in judged if cell.key == headline), None)
        said = []
        for rule in (verdict, proposal):
            pairs = zip(judged, rows, strict=True)
            outcomes = [rule.outcome(cell, row, thresholds) for cell, row in pairs]
            answer = rule.ternary_specific(main, judged, thresholds) if main else "n.a."
            said.append((outcomes, answer))
        yield tuple(said)


def _share(name: str, count: int, draws: int) -> dict:
    title = column(name)
    if not draws:
        return dict.fromkeys([title, f"{title}Low", f"{title}High"], math.nan)
    low, high = binomtest(count, draws).proportion_ci(LEVEL, method="wilson")
    return {title: count / draws, f"{title}Low": low, f"{title}High": high}
