"""Statistics of paired differences: mean, t-interval, t-test, equivalence test, power."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd
from scipy.stats import fisher_exact, ttest_1samp
from statsmodels.stats.power import TTestPower
from statsmodels.stats.weightstats import DescrStatsW

POWER = 0.8  # of the smallest detectable effect
TIE = 1e-12  # spread up to which differences count as all equal


@dataclass(frozen=True)
class Effect:
    """Statistics of n paired differences, in their unit; NaN where n is too small for one."""

    n: int
    mean: float = math.nan
    low: float = math.nan
    high: float = math.nan
    p: float = math.nan
    """p of the two-sided t-test against 0."""
    tost: float = math.nan
    """p of the equivalence test (TOST, Schuirmann 1987) within +- bound."""
    detectable: float = math.nan
    """Smallest effect that n pairs with this spread detect with a power of 0.8."""


def effect(deltas: Sequence[float], bound: float, confidence: float) -> Effect:
    """Paired t statistics of differences, one per seed.

    bound: half-width of the equivalence region, in their unit. confidence: level of the interval
    (0.95); the detectable effect is that of a test at one minus it.
    """
    values = np.asarray(deltas, dtype=float)
    n = len(values)
    if n < 2:
        return Effect(n, *values)
    mean = float(values.mean())
    if np.ptp(values) <= TIE:  # no spread: t is 0/0 or infinite
        p, tost = float(abs(mean) <= TIE), float(abs(mean) >= bound)
        return Effect(n, mean, mean, mean, p, tost, detectable=0.0)
    test = ttest_1samp(values, 0.0)
    low, high = test.confidence_interval(confidence)
    tost = DescrStatsW(values).ttost_mean(-bound, bound)[0]
    detectable = _detectable(n, 1 - confidence) * values.std(ddof=1)
    return Effect(n, mean, *map(float, (low, high, test.pvalue, tost, detectable)))


def more_often(one: Sequence[bool], other: Sequence[bool]) -> float:
    """p of Fisher's exact test, one-sided, that something is true more often of `one`."""
    table = [[sum(found), len(found) - sum(found)] for found in (one, other)]
    return float(fisher_exact(table, "greater").pvalue)


@cache
def _detectable(n: int, alpha: float) -> float:
    """Smallest effect, in standard deviations, that n differences detect with POWER."""
    return float(TTestPower().solve_power(nobs=n, alpha=alpha, power=POWER))


def corrected(p: pd.Series, families: pd.Series) -> pd.Series:
    """P values after Holm's correction within each family.

    families: a label for each p. NaN stays NaN and does not count; a family of one is not changed.
    """
    holm = p.copy()
    for _, family in p.dropna().sort_values(kind="stable").groupby(families):
        times = np.arange(len(family), 0, -1)
        holm[family.index] = np.minimum(np.maximum.accumulate(family * times), 1)
    return holm
