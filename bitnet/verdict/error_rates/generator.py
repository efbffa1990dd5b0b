"""Synthetic studies, drawn from a generator that is fitted to the runs of a measured one.

A run is its trunk up to the switch and one arm after it. In each of these segments its
y = (ln UniquePredictions, ln PDR, ValLoss) at evaluation t is

    y(t) = mean(t) + spread * (seed + branch + batch(t) + step(t))

with the mean of the measured seeds at each evaluation, one standard deviation between seeds a
segment and variable, and the normal parts of `bitnet.verdict.error_rates.variance_components`.
Counts are rounded to integers from 1 up. A trunk's rows are the same in both arms, and its level is
tied to theirs by `seed`.

Fitted to deviations from the mean over the last half of each arm's evaluations and as many of the
trunk's. Few seeds carry little: mean and spread are each cell's own, the parts' covariances (in
units of the spread) are pooled over a cell and its twin, the autocorrelation over the whole study;
nothing is shrunk beyond that. Limits: what is drawn holds for the fitted values as if these were
exact; tails are normal; the spread before the last evaluations is taken to be that of the last
ones; and a second branch with the same weight decay was never measured, so arms that do not differ
are taken to part as far as the measured arms do. A bootstrap of the few seeds would need none of
this, but it repeats seeds, and repeated pairs understate the spread.

    cells = fit(rows, question)
    runs = draw(cells[key], 1000, 3, np.random.default_rng(0))  # 1,000 studies of 3 seeds
    rows = table(cells[key], {name: runs[name][0] for name in SEGMENTS})  # for `verdict.judge`
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bitnet.config.question import Question
from bitnet.verdict.cells import CELL, EFFECTS
from bitnet.verdict.error_rates.variance_components import (
    Noise,
    autocorrelation,
    components,
    normal,
)

ARMS = ("control", "treatment")
SEGMENTS = ("trunk", *ARMS)


@dataclass(frozen=True)
class Path:
    """What the runs of one segment have in common, and how far they stray from it."""

    mean: np.ndarray
    """(E, 3): ln UniquePredictions, ln PDR, ValLoss."""
    spread: np.ndarray
    """(3,): standard deviations between seeds."""
    copying: np.ndarray
    """(E,): mean CopyShare, which states read; it is not drawn."""


@dataclass(frozen=True)
class FittedCell:
    """Generator of one cell. With other paths it is another scenario."""

    key: tuple
    trunk: Path
    control: Path
    treatment: Path
    noise: Noise
    seeds: int
    """Seeds that it was fitted to."""
    rows: Mapping[str, pd.DataFrame]
    """The first seed's run of either arm, trunk included: columns that are not drawn are its."""


def fit(rows: pd.DataFrame, question: Question) -> dict[tuple, FittedCell]:
    """A generator for each cell of a study, by the cell's key (columns `cells.CELL`).

    rows: as `rule.judge` accepts them, in any order. Seeds without two sound arms are
    left out. Raises ValueError where fewer than two are left in a cell, or where its runs were
    evaluated at different steps or fewer than twice on a side of the switch.
    """
    runs, values = {}, {}
    for key, group in rows.groupby(CELL):
        runs[key], values[key] = _runs(key, group, question)
    lengths = [y.shape[1] for segments in values.values() for y in segments.values()]
    window = max(2, min(lengths) // 2)
    paths, strays = {}, {}
    for key, segments in values.items():
        fitted = {name: _path(y, window) for name, y in segments.items()}
        paths[key] = {name: path for name, (path, _) in fitted.items()}
        strays[key] = {name: stray for name, (_, stray) in fitted.items()}
    rho = autocorrelation([stray for parts in strays.values() for stray in parts.values()])
    cells = {}
    for key in runs:
        twins = [tuple(strays[k][arm] for arm in ARMS) for k in strays if k[:-1] == key[:-1]]
        seeds = len(values[key]["trunk"])
        noise = components(twins, rho)
        cells[key] = FittedCell(key, **paths[key], noise=noise, seeds=seeds, rows=runs[key])
    return cells


def draw(
    cell: FittedCell, draws: int, seeds: int, rng: np.random.Generator
) -> dict[str, np.ndarray]:
    """Runs of `draws` studies of one cell: (draws, seeds, E, 3) a segment.

    The last axis is UniquePredictions (integers from 1 to what vocabulary and probe allow), PDR
    and ValLoss. Seed i of both arms branches from trunk i.
    """
    noise, size = cell.noise, (draws, seeds)
    most = cell.rows["control"][["VocabSize", "N"]].iloc[0].min()

    def series(part: str, length: int) -> np.ndarray:
        return normal(rng, size, getattr(noise, part), length, noise.autocorrelation)

    level = normal(rng, size, noise.seed, 1)
    before, after = (series("batch", len(path.mean)) for path in (cell.trunk, cell.control))
    runs = {}
    for name in SEGMENTS:
        path = getattr(cell, name)
        own = normal(rng, size, noise.branch, 1) + series("step", len(path.mean))
        y = path.mean + path.spread * (level + own + (before if name == "trunk" else after))
        y[..., :2] = np.exp(y[..., :2])
        y[..., 0] = np.clip(np.rint(y[..., 0]), 1, most)
        runs[name] = y
    return runs


def table(cell: FittedCell, runs: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Drawn runs of one study, (seeds, E, 3) a segment, as rows of the pipeline's CSV files."""
    tables = []
    for arm, rows in cell.rows.items():
        copying = np.concatenate([cell.trunk.copying, getattr(cell, arm).copying])
        for seed, y in enumerate(np.concatenate([runs["trunk"], runs[arm]], axis=1)):
            drawn = dict(zip(EFFECTS, y.T, strict=True))
            tables.append(rows.assign(**drawn, CopyShare=copying, Seed=seed))
    return pd.concat(tables, ignore_index=True).astype({"UniquePredictions": int})


def _runs(key: tuple, rows: pd.DataFrame, question: Question) -> tuple[dict, dict]:
    """The first seed's run of either arm; y and CopyShare of all seeds, (n, E, 4) a segment."""
    name, steps = "/".join(map(str, key)), np.sort(rows["Step"].unique())
    after = steps > rows["SwitchStep"].iloc[0]
    arms = {arm: rows[np.isclose(rows["Stage2WD"], question.value(arm))] for arm in ARMS}
    trained = np.isfinite(rows["Loss"]) | (rows["Step"] == 0)
    sound = trained & np.isfinite(rows["ValLoss"]) & (rows["UniquePredictions"] > 0)
    seeds = set(rows["Seed"]) - set(rows.loc[~sound, "Seed"])
    seeds = sorted(seeds.intersection(*(runs["Seed"] for runs in arms.values())))
    if len(seeds) < 2:
        raise ValueError(f"cell {name} has {len(seeds)} seeds with two sound arms, needed are 2")
    if min(after.sum(), (~after).sum()) < 2:
        raise ValueError(f"cell {name} has fewer than two evaluations on a side of the switch")
    first, values = {}, {}
    for arm, runs in arms.items():
        runs = runs[runs["Seed"].isin(seeds)].sort_values(["Seed", "Step"])
        if len(runs) != len(seeds) * len(steps):
            raise ValueError(f"runs of cell {name} were evaluated at different steps")
        first[arm] = runs[runs["Seed"] == seeds[0]]
        y = runs[[*EFFECTS, "CopyShare"]].to_numpy(float).reshape(len(seeds), len(steps), 4)
        y[..., :2] = np.log(y[..., :2])
        values |= {"trunk": y[:, ~after], arm: y[:, after]}
    return first, {name: values[name] for name in SEGMENTS}


def _path(values: np.ndarray, window: int) -> tuple[Path, np.ndarray]:
    """Path of a segment (n, E, 4), and the last deviations from it in units of its spread."""
    mean = values.mean(axis=0)
    strays = (values - mean)[:, -window:, :3]
    spread = np.sqrt((strays**2).mean(axis=1).sum(axis=0) / (len(values) - 1))
    unit = np.divide(strays, spread, out=np.zeros_like(strays), where=spread > 0)
    return Path(mean[:, :3], spread, mean[:, 3]), unit
