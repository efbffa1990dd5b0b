"""Variance components of paired trajectories: what two arms share, level and step by step.

Two arms of one seed, as deviations x from their cell's mean over K evaluations:

    x(t) = seed + branch + batch(t) + step(t)

    seed      level that both arms share
    branch    level of one arm
    batch     what moves both arms at one evaluation: they read the same batches
    step      what moves one arm

Each has a covariance between the variables (UniquePredictions, PDR, ValLoss); batch and step are
AR(1) in t with one autocorrelation. All are estimated by moments.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import toeplitz
from scipy.optimize import brentq

MOST_CORRELATION = 0.95  # over a few evaluations no more can be told from a level


@dataclass(frozen=True)
class Noise:
    """Covariances (V, V) of the four parts, and the autocorrelation of batch and step."""

    seed: np.ndarray
    branch: np.ndarray
    batch: np.ndarray
    step: np.ndarray
    autocorrelation: float


def components(cells: Sequence[tuple[np.ndarray, np.ndarray]], rho: float) -> Noise:
    """Parts of both arms' deviations from the cell's mean, (n, K, V) an arm, pooled over cells.

    The half sum of the arms varies by what they share and half of what they do not, their
    difference by twice that. Scaled so that the parts add up to a variance of 1 (0 where there is
    none): deviations are to be given in units of each arm's spread.
    """
    half, gaps = zip(*(((one + other) / 2, one - other) for one, other in cells), strict=True)
    (level, steps), (level_gap, steps_gap) = (_level_and_step(part, rho) for part in (half, gaps))
    seed, batch = _covariance(level - level_gap / 4), _covariance(steps - steps_gap / 4)
    parts = [seed, level_gap / 2, batch, steps_gap / 2]
    total = np.sqrt(np.diag(sum(parts)))
    total[total == 0] = 1
    return Noise(*(part / np.outer(total, total) for part in parts), autocorrelation=rho)


def autocorrelation(strays: Sequence[np.ndarray]) -> float:
    """AR(1) coefficient of the steps in deviations (n, K, V), between 0 and MOST_CORRELATION.

    Steps are seen around their mean over K evaluations, where they correlate less: the coefficient
    is the one under which what is seen is expected (exact; to first order in 1 / K it is the bias
    of Marriott and Pope 1954). 0 where K is 2, which shows nothing of it.
    """
    length, lagged, square = strays[0].shape[1], 0.0, 0.0
    for stray in strays:
        steps = stray - stray.mean(axis=1, keepdims=True)
        lagged += (steps[:, 1:] * steps[:, :-1]).sum()
        square += (steps**2).sum()
    centring = np.eye(length) - 1 / length

    def excess(rho: float) -> float:
        seen = centring @ ar1(rho, length) @ centring
        return np.trace(seen, offset=1) / np.trace(seen) - lagged / square

    if length < 3 or square == 0 or excess(0) >= 0:
        return 0.0
    return brentq(excess, 0, MOST_CORRELATION) if excess(MOST_CORRELATION) > 0 else MOST_CORRELATION


def ar1(rho: float, length: int) -> np.ndarray:
    """Correlation matrix (length, length) of a stationary AR(1) series."""
    return toeplitz(rho ** np.arange(length))


def normal(
    rng: np.random.Generator, size: tuple, covariance: np.ndarray, length: int, rho: float = 0.0
) -> np.ndarray:
    """(*size, length, V) normal numbers: `covariance` between the V, AR(1) along the length."""
    along = np.linalg.cholesky(ar1(rho, length))
    return along @ rng.standard_normal((*size, length, len(covariance))) @ _root(covariance)


def _level_and_step(strays: Sequence[np.ndarray], rho: float) -> tuple[np.ndarray, np.ndarray]:
    """Covariances (V, V) of a constant level and of AR(1) steps around it: one-way ANOVA."""
    _, length, variables = strays[0].shape
    freedom = sum(len(stray) - 1 for stray in strays)
    of_mean = ar1(rho, length).mean()  # variance of the steps' mean, in units of theirs
    level, steps = np.zeros((2, variables, variables))
    for stray in strays:
        means = stray.mean(axis=1)
        around = (stray - means[:, None]).reshape(-1, variables)
        level += means.T @ means / freedom
        steps += around.T @ around / (freedom * length * (1 - of_mean))
    return _covariance(level - of_mean * steps), steps


def _covariance(matrix: np.ndarray) -> np.ndarray:
    """The nearest one: a difference of estimates may have negative variances."""
    root = _root(matrix)
    return root @ root


def _root(matrix: np.ndarray) -> np.ndarray:
    """The symmetric root of a matrix without its negative part."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
