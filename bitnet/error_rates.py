"""How often the verdict's rule says what, in studies whose truth is known.

Every decision is `bitnet.verdict`'s own: `outcome`, `corrected`, `ternary_specific`.

    for scenario in scenarios(fit(rows, question), headline, thresholds):
        row = rates(scenario, headline, 5, 1000, rng, thresholds)  # 1,000 studies of 5 seeds
"""

import gc
import math
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from bitnet import proposal
from bitnet.drawn import DrawnCell
from bitnet.scenarios import Scenario
from bitnet.simulate import FittedCell, draw
from bitnet.states import Thresholds
from bitnet.verdict import corrected, outcome, ternary_specific
from bitnet.verdict_text import MEANINGS

# 'no effect' with or without '(nothing to fix)' is one answer here.
OUTCOMES = tuple(dict.fromkeys(name.split(" (")[0] for name in MEANINGS))
CLAIMS = {"fixed", "helps", "harmful"}  # outcomes that say the arms differ
CLAIM = "any claim"
ANSWERS = ("yes", "no", "undecided")
LEVEL = 0.95  # of the intervals of the shares


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
    TernaryYes, TernaryNo, TernaryUndecided: what is said of the headline cell, NaN without a twin;
    ProposedYes and so on: what `bitnet.proposal` would say.
    """
    said = list(judge_draws(scenario.cells, headline, draws, seeds, rng, thresholds))
    outcomes = [{name.split(" (")[0] for name in names} for names, *_ in said]
    row = {"Scenario": scenario.name, "Cells": len(scenario.cells), "Seeds": seeds, "Draws": draws}
    for name in OUTCOMES:
        row |= _share(name, sum(name in names for names in outcomes), draws)
    row |= _share(CLAIM, sum(not CLAIMS.isdisjoint(names) for names in outcomes), draws)
    for rule, answers in zip(
        ("ternary", "proposed"), list(zip(*said, strict=True))[1:], strict=True
    ):
        with_twin = draws - answers.count("n.a.")
        for name in ANSWERS:
            row |= _share(f"{rule} {name}", answers.count(name), with_twin)
    return row


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
) -> Iterator[tuple[list[str], str, str]]:
    """Of each drawn study: its cells' outcomes, and whether the headline's effect is ternary's.

    The latter by the rule in force and as proposed; n.a. where the headline or its twin is absent.
    """
    gc.freeze()  # statsmodels collects garbage at every correction: not all that is loaded
    drawn = [DrawnCell.of(cell, draw(cell, draws, seeds, rng), thresholds) for cell in cells]
    own = pd.Series([cell.key == headline for cell in cells])
    for i in range(draws):
        judged, rows = [part.cell(i) for part in drawn], [part.row(i) for part in drawn]
        holm = corrected(pd.Series([row["P"] for row in rows]), own)
        outcomes = [
            outcome(cell, row | {"HolmP": p}, thresholds)
            for cell, row, p in zip(judged, rows, holm, strict=True)
        ]
        main = next((cell for cell in judged if cell.key == headline), None)
        rules = (ternary_specific, proposal.ternary_specific)
        answers = [rule(main, judged, thresholds) if main else "n.a." for rule in rules]
        yield outcomes, *answers


def _share(name: str, count: int, draws: int) -> dict:
    title = column(name)
    if not draws:
        return dict.fromkeys([title, f"{title}Low", f"{title}High"], math.nan)
    low, high = binomtest(count, draws).proportion_ci(LEVEL, method="wilson")
    return {title: count / draws, f"{title}Low": low, f"{title}High": high}
