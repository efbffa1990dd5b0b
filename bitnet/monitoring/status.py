"""Status of a study's runs, from their logs and tables.

Pure functions of file contents, so that a study can be watched from any machine that has its files.
A log is that of one stretch: a trunk, or a branch, whose log is named like its run.
"""

import csv
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from bitnet.common.errors import ERROR
from bitnet.config.budget import stretch_seconds
from bitnet.config.recipe import Recipe
from bitnet.config.speed import step_seconds
from bitnet.config.study import Study
from bitnet.monitoring.progress import DIVERGED, FINISHED, Progress, read_process

# In the order shown. Stopped: its process is gone, as after Ctrl-C; the same command goes on.
STATES = ("failed", "stopped", "stalled", "training", "diverged", "waiting", "done")
OVER, RUNS = ("done", "diverged"), ("training", "stalled")
STALLED = 300  # seconds without a line; a training writes one every 10 seconds or 10 steps
STAMP = len("2026-01-31 12:00:00 ")


@dataclass(frozen=True)
class Stretch:
    """Status of one stretch, from its log."""

    state: str
    progress: Progress | None = None
    age: float = math.nan
    """Seconds since its last line."""
    process: tuple[int, str] | None = None
    """Number of the process that trains, and the name of its machine."""


@dataclass(frozen=True)
class Row:
    """Status of one run: of its own stretch or, until that begins, of its trunk."""

    run: str
    state: str
    stage: int
    step: int
    steps: int
    loss: float = math.nan
    """Training loss in nats: of the last step or, once done, the mean of the last 100."""
    unique: int | None = None
    rate: float = math.nan
    left: float = math.nan
    """Seconds to the end of the run."""


def read_log(text: str, age: float) -> Stretch:
    """Status of a stretch from the text of its log and the seconds since its last change.

    A last line without a line break is ignored, as it is still being written.
    """
    state, progress, process = "training", None, None
    for line in text.split("\n")[:-1]:
        said = line[STAMP:]
        progress = Progress.read(said) or progress
        process = read_process(said) or process
        starts = {FINISHED: "done", DIVERGED: "diverged", ERROR: "failed"}
        state = next((word for start, word in starts.items() if said.startswith(start)), "training")
    if state == "training" and age > STALLED:
        state = "stalled"
    return Stretch(state, progress, age, process)


def read_table(text: str) -> dict[str, str] | None:
    """Last row of a run's CSV, by column; None if it has no rows."""
    return next(reversed(list(csv.DictReader(text.splitlines()))), None)


def rows(
    study: Study, logs: Mapping[str, Stretch], tables: Mapping[str, Mapping[str, str]]
) -> list[Row]:
    """Status of every run of a study, sorted by STATES (failed first), then in training order.

    logs: existing logs by name of run or trunk. tables: last rows by name of run, for runs whose
    table is newer than their log.
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
        return Row(run, stretch.state, stage, first, c.steps)
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
        left if stretch.state in RUNS else math.nan,
    )


def summary(found: Sequence[Row]) -> str:
    """Line with the number of runs in each state."""
    counts = {state: sum(row.state == state for row in found) for state in STATES}
    return f"{len(found)} runs: " + ", ".join(f"{n} {state}" for state, n in counts.items() if n)


def seconds_left(study: Study, found: Sequence[Row], logs: Mapping[str, Stretch]) -> float:
    """Expected seconds until all runs are trained; NaN before the first measured speed.

    Stretches without a speed get the seconds of `bitnet.config.budget`, corrected by the median
    ratio of measured to expected speed. As many run at a time as are training now.
    """
    names = {row.run for row in found if row.state not in OVER}
    names |= {study.trunk(run) for run in names}
    recipes = {name: study.recipe(name) for name in {*names, *logs}}
    return training_left(recipes, names, logs, bool(study.settings["gpu"]))


def training_left(
    recipes: Mapping[str, Recipe],
    names: Iterable[str],
    logs: Mapping[str, Stretch],
    gpu: bool,
    workers: int = 1,
) -> float:
    """Expected seconds until the stretches with these names are trained, as `seconds_left`.

    recipes: of these and of all that have a log, by name. workers: how many are trained at once
    while there are as many; between two of them fewer seem to be.
    """
    known = {name: log for name, log in logs.items() if log.progress and log.progress.rate}
    factors = [
        _seconds(recipes[name], log) / step_seconds(recipes[name], gpu)
        for name, log in known.items()
    ]
    if not factors:
        return math.nan
    total, at_once, unfinished = 0.0, 0, 0
    for name in names:
        recipe, log = recipes[name], logs.get(name)
        if log and log.state in OVER:
            continue
        unfinished += 1
        at_once += bool(log and log.state == "training")
        if name in known:
            total += (known[name].progress.last - known[name].progress.step) * _seconds(recipe, log)
        else:
            total += stretch_seconds(recipe, gpu) * median(factors)
    return total / max(1, at_once, min(workers, unfinished))


def _seconds(recipe: Recipe, log: Stretch) -> float:
    """Measured seconds per step."""
    c = recipe.training
    return c.batch_size * c.sequence_length / log.progress.rate
