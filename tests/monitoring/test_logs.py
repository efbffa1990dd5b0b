"""The log of a training says whether the process that writes it still lives."""

import json
import logging
import os
import platform
import subprocess
import sys
import time

import pytest
from tqdm import tqdm

from bitnet.config.recipe import Recipe
from bitnet.monitoring.logs import HEAD, TAIL, stretch_of
from bitnet.monitoring.progress import reporter
from tests.helpers import recipes

STAMP = "2026-01-31 12:00:00 "
LINE = f"{STAMP}step 5 of 10, loss 6.5000, UniquePredictions 7, 2560 tokens/s, 50 s left\n"


def dead() -> int:
    """Number of a process that was."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def written(tmp_path, pid: int, host: str, end: str = "") -> str:
    path = tmp_path / "h64.train.log"
    path.write_text(f"{STAMP}trained on cpu\n{STAMP}process {pid} on {host}\n{LINE}{end}")
    return str(path)


def test_a_training_whose_process_is_gone_has_stopped(tmp_path):
    here = platform.node()
    assert stretch_of(written(tmp_path, os.getpid(), here)).state == "training"
    assert stretch_of(written(tmp_path, dead(), here)).state == "stopped"
    assert stretch_of(written(tmp_path, dead(), f"not-{here}")).state == "training"  # who knows
    assert stretch_of(written(tmp_path, dead(), here, f"{STAMP}finished at step 10\n")).state == (
        "done"
    )
    assert stretch_of(tmp_path / "absent.log") is None and stretch_of(tmp_path) is None


def test_a_number_that_a_later_process_got_is_not_that_of_the_training(tmp_path):
    path = written(tmp_path, os.getpid(), platform.node())
    long_ago = time.time() - 10**6
    os.utime(path, (long_ago, long_ago))
    assert stretch_of(path).state == "stopped"


def test_of_a_long_log_the_ends_are_read(tmp_path):
    middle = LINE.replace("step 5", "step 4") * (2 * (HEAD + TAIL) // len(LINE))
    path = written(
        tmp_path, os.getpid(), platform.node(), middle + LINE.replace("step 5", "step 6")
    )
    found = stretch_of(path)
    assert (found.progress.step, found.process) == (6, (os.getpid(), platform.node()))
    assert os.path.getsize(path) > HEAD + TAIL


@pytest.mark.parametrize("seconds", [3, 15])
def test_a_training_of_seconds_says_how_far_it_is_every_second(seconds, tmp_path, monkeypatch):
    clock = iter([0.0, 0.0, *(i / 2 for i in range(1, 2 * seconds))])  # a report each half second
    monkeypatch.setattr("bitnet.monitoring.progress.CLOCK", lambda: next(clock))
    log, path = logging.getLogger("bitnet"), tmp_path / "a.log"
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter(f"{STAMP}%(message)s"))
    monkeypatch.setattr(log, "handlers", [handler])
    monkeypatch.setattr(log, "level", logging.INFO)
    recipe = Recipe.from_json(json.dumps(recipes.recipe()))
    with tqdm(disable=True) as bar:
        report = reporter(recipe, [{"prediction": [1, 2, 2]}], 100, bar, "a")
        for step in range(1, 2 * seconds):
            report(step, 6.0, 100.0)
    said = path.read_text().splitlines()
    assert said[0] == f"{STAMP}process {os.getpid()} on {platform.node()}"
    assert len(said) == seconds and stretch_of(path).progress.unique == 2
