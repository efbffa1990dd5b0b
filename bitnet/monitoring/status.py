"""Status of the runs of a study, read from their logs and tables.

Pure functions of what was read, so that a study can be watched from any machine that sees its
files. A log is one stretch: a trunk's or, of the same name as its run, a branch's.
"""

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bitnet.common.errors import ERROR
from bitnet.config.budget import stretch_seconds
from bitnet.config.recipe import Recipe
from bitnet.config.speed import step_seconds
from bitnet.config.study import Study
from bitnet.monitoring.progress import DIVERGED, FINISHED, Progress

STATES = ("failed", "stalled", "training", "diverged", "waiting", "done")  # in the order shown
OVER = ("done", "diverged")
STALLED = 300  # seconds without a line; a training writes one every 10, if 10 steps take no longer
STAMP = len("2026-01-31 12:00:00 ")


@dataclass(frozen=True)
class Stretch:
    """What a log says."""

    state: str
    progress: Progress | None = None
    age: float = math.nan
    """Seconds since its last line."""


@dataclass(frozen=True)
class Row:
    """One run: its own stretch or, until that begins, its trunk's."""

    run: str
    state: str
    stage: int
    step: int
    steps: int
    loss: float = math.nan
    """Nats: of the step while it trains, mean of the last 100 steps once it is done."""
    unique: int | None = None
    rate: float = math.nan
    left: float = math.nan
    """Seconds to the end of the run."""
    age: float = math.nan


def read_log(text: str, age: float) -> Stretch:
    """State and progress of a stretch; a last line without its end is still being written."""
    state, progress = "training", None
    for line in text.split("\n")[:-1]:
        said = line[STAMP:]
        progress = Progress.read(said) or progress
        starts = {FINISHED: "done", DIVERGED: "diverged", ERROR: "failed"}
        state = next((word for start, word in starts.items() if said.startswith(start)), "training")
    if state == "training" and age > STALLED:
        state = "stalled"
    return Stretch(state, progress, age)


def read_table(text: str) -> dict[str, str] | None:
    """The last row of a run's table; None where there is none."""
    return next(reversed(list(csv.DictReader(text.splitlines()))), None)


def rows(
    study: Study, logs: Mapping[str, Stretch], tables: Mapping[str, Mapping[str, str]]
) -> list[Row]:
    """A row a run of the study: what wants attention first, then in the order of training.

    logs: by name of run or trunk, those that are there. tables: last rows by name of run, of
    those whose table is younger than their log.
    """
    found = [_row(study, run, logs, tables) for run in study.runs()]
    return sorted(found, key=lambda row: STATES.index(row.state))


def _row(study: Study, run: str, logs: Mapping, tables: Mapping) -> Row:
    c = study.recipe(run).training
    own, trunk = logs.get(run), logs.get(study.trunk(run))
    if run in tables:
        last, seen = tables[run], own.progress if own else None
        broken = not all(math.isfinite(float(last[key] or "nan")) for key in ("Loss", "ValLoss"))
        return Row(
            run,
            "diverged" if broken else "done",
            2,
            int(last["Step"]),
            c.steps,
            float(last["Loss"] or "nan"),
            int(last["UniquePredictions"]),
            seen.rate if seen else math.nan,
        )
    stage, stretch = (2, own) if own else (1, trunk)
    if stretch is None:
        return Row(run, "waiting", 1, 0, c.steps)
    if stage == 1 and stretch.state in OVER:
        return Row(run, "waiting", 2, c.wd_switch, c.steps)
    now, tokens = stretch.progress, c.batch_size * c.sequence_length
    if now is None:
        first = c.wd_switch if stage == 2 else 0
        return Row(run, stretch.state, stage, first, c.steps, age=stretch.age)
    left = (c.steps - now.step) * tokens / now.rate if now.rate else math.nan
    return Row(
        run,
        stretch.state,
        stage,
        now.step,
        c.steps,
        now.loss,
        now.unique,
        now.rate,
        math.nan if stretch.state in OVER else left,
        stretch.age,
    )


def summary(found: Sequence[Row]) -> str:
    """How many runs are in which state."""
    counts = {state: sum(row.state == state for row in found) for state in STATES}
    return f"{len(found)} runs: " + ", ".join(f"{n} {state}" for state, n in counts.items() if n)


def seconds_left(study: Study, found: Sequence[Row], logs: Mapping[str, Stretch]) -> float:
    """Expected seconds until all is trained; NaN before the first training says how fast it is.

    What has not begun is taken to be as fast, beside the plan of `bitnet.config.budget`, as what
    has, and as many at a time as are training now.
    """
    gpu = bool(study.settings["gpu"])
    names = {row.run for row in found if row.state not in OVER}
    names |= {study.trunk(run) for run in names}
    recipes = {name: study.recipe(name) for name in names}
    known = {name: log for name, log in logs.items() if log.progress and log.progress.rate}
    factors = [
        _seconds(study.recipe(name), log) / step_seconds(study.recipe(name), gpu)
        for name, log in known.items()
    ]
    if not factors:
        return math.nan
    total, at_once = 0.0, 0
    for name, recipe in recipes.items():
        log = logs.get(name)
        if log and log.state in OVER:
            continue
        at_once += bool(log and log.state == "training")
        if name in known:
            total += (known[name].progress.last - known[name].progress.step) * _seconds(recipe, log)
        else:
            total += stretch_seconds(recipe, gpu) * median(factors)
    return total / max(1, at_once)


def _seconds(recipe: Recipe, log: Stretch) -> float:
    """Measured seconds of a step."""
    c = recipe.training
    return c.batch_size * c.sequence_length / log.progress.rate
