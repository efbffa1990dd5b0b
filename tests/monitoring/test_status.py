"""How far a study is, told from logs and tables: constructed, half written, missing."""

import io
import math
import os
import re
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from bitnet.config.budget import stretch_seconds
from bitnet.config.study import Study
from bitnet.monitoring.progress import Every, Progress
from bitnet.monitoring.status import (
    STALLED,
    Stretch,
    read_log,
    read_table,
    rows,
    seconds_left,
    summary,
    training_left,
)
from tests.helpers.project import project_config
from workflow.scripts import watch

CONFIG = project_config()
QUICK = Study.of(CONFIG, "quick")  # 2,000 steps of 4 x 64 tokens, the switch at 1,000
HALF = Progress(500, 1000, 6.5, 7, 2560.0, 50.0)
LINE = (
    "2026-01-31 12:00:00 step 500 of 1000, loss 6.5000, UniquePredictions 7, "
    "2560 tokens/s, 50 s left\n"
)
FIRST = "2026-01-31 12:00:00 branched from models/quick/h64.trunk.safetensors at step 1000\n"
FINISHED = "2026-01-31 12:00:01 finished at step 1000\n"
TABLE = "Step,Loss,UniquePredictions,ValLoss\n0,,1,7.6\n2000,5.25,38,5.5\n"


@given(
    st.integers(0, 10**9),
    st.floats(0, 1e4) | st.sampled_from([math.nan, math.inf]),
    st.integers(1, 10**6),
)
def test_a_line_that_is_written_is_read_back(step, loss, count):
    said = Progress(step, 10**9, round(loss, 4), count, 12345.0, 67.0)
    found = Progress.read(str(said))
    assert str(found) == str(said) and (found.step, found.unique) == (step, count)


def test_a_line_says_what_a_watcher_needs():
    assert f"2026-01-31 12:00:00 {HALF}\n" == LINE and Progress.read(str(HALF)) == HALF
    assert Progress.read("branched from models/h64.trunk.safetensors at step 1000") is None


def test_lines_come_no_more_often_than_every_so_many_seconds():
    seconds = iter([0, 9, 10, 12, 19.5, 20])
    due = Every(10, clock=lambda: next(seconds))
    assert [due() for _ in range(5)] == [False, True, False, False, True]


def test_lines_of_a_long_training_come_less_often_but_often_enough():
    seconds = iter(range(100_000))
    due = Every(1, 10, 0.05, clock=lambda: next(seconds))
    at = [second for second in range(1, 100_000) if due()]
    assert at[:20] == list(range(1, 21))
    pauses = [later - earlier for earlier, later in pairwise(at)]
    assert pauses == sorted(pauses) and pauses[-1] == 10 and len(at) < 10_100


@pytest.mark.parametrize(
    ("text", "age", "state", "progress"),
    [
        ("", 1, "training", None),
        (FIRST, 1, "training", None),
        (LINE, 1, "training", HALF),
        (LINE + LINE.replace("500 of", "510 of")[:-1], 1, "training", HALF),  # half written
        (LINE[:-20], 1, "training", None),
        (LINE, STALLED + 1, "stalled", HALF),
        (LINE + FINISHED, STALLED + 1, "done", HALF),
        (LINE + FINISHED[:-1], 1, "training", HALF),
        (LINE + FINISHED.replace("finished", "diverged"), 1, "diverged", HALF),
        (LINE + f"2026-01-31 12:00:00 process {os.getpid()} on me\n", 1, "training", HALF),
        (LINE + "2026-01-31 12:00:00 error: out of memory on cpu; lower it\n", 1, "failed", HALF),
    ],
)
def test_the_last_whole_line_of_a_log_says_the_state(text, age, state, progress):
    process = (os.getpid(), "me") if "process" in text else None
    assert read_log(text, age) == Stretch(state, progress, age, process)


def test_the_last_row_of_a_table_counts_and_an_empty_one_is_none():
    assert read_table(TABLE)["UniquePredictions"] == "38"
    assert read_table("") is None


def row(name: str, logs=None, tables=None):
    return next(row for row in rows(QUICK, logs or {}, tables or {}) if row.run == name)


def test_a_run_goes_from_waiting_through_its_trunk_and_its_branch_to_done():
    assert (row("h64_wd0").state, row("h64_wd0").step) == ("waiting", 0)
    training = Stretch("training", HALF, 3.0)
    early = row("h64_wd0", {"h64": training})
    assert (early.state, early.stage, early.step, early.steps) == ("training", 1, 500, 2000)
    assert early.left == 1500 * 256 / 2560  # of the run, not of its first stage
    done = Stretch("done", HALF, 3.0)
    between = row("h64_wd0", {"h64": done})
    assert (between.state, between.stage, between.step) == ("waiting", 2, 1000)
    late = row("h64_wd0", {"h64": done, "h64_wd0": Stretch("training", None, 3.0)})
    assert (late.state, late.stage, late.step) == ("training", 2, 1000)
    over = row("h64_wd0", {"h64": done}, {"h64_wd0": read_table(TABLE)})
    assert (over.state, over.step, over.loss, over.unique) == ("done", 2000, 5.25, 38)
    assert math.isnan(over.left)
    lost = read_table(TABLE.replace("5.5", "nan"))
    assert row("h64_wd0", {}, {"h64_wd0": lost}).state == "diverged"


def test_both_arms_of_a_trunk_that_failed_have_failed_and_come_first():
    found = rows(QUICK, {"h64_seed1": Stretch("failed", HALF, 3.0)}, {})
    assert [r.run for r in found if r.state == "failed"] == [r.run for r in found[:2]]
    assert {r.run for r in found[:2]} == {"h64_wd0_seed1", "h64_wd0.05_seed1"}
    assert summary(found) == "24 runs: 2 failed, 22 waiting"


def test_the_time_left_is_that_of_all_trainings_by_how_many_train_at_once():
    """A speed ten times below the plan's makes everything that waits ten times as long."""
    assert math.isnan(seconds_left(QUICK, rows(QUICK, {}, {}), {}))
    recipe = QUICK.recipe("h64")
    planned = stretch_seconds(recipe, False)
    slow = 256 / (10 * (planned - 5) / 1000)  # tokens/s; a stretch is 1,000 steps, 5 s to start
    now = Stretch("training", Progress(600, 1000, 6.5, 7, slow, 0.0), 1.0)
    logs = {"h64": now, "h64_fp": now}
    found = seconds_left(QUICK, rows(QUICK, logs, {}), logs)
    waiting = 10 + 24  # trunks and branches of 3 seeds, 2 optimizers, twins; two have begun
    expected = (2 * 400 * 256 / slow + waiting * 10 * planned) / 2
    assert found == pytest.approx(expected)
    tables = {run: read_table(TABLE) for run in QUICK.runs()}
    assert seconds_left(QUICK, rows(QUICK, {}, tables), logs) == 0


def test_the_time_left_does_not_double_in_the_moment_between_two_trainings():
    recipes = {name: QUICK.recipe("h64") for name in ("a", "b", "c")}
    now = Stretch("training", Progress(500, 1000, 6.5, 7, 256.0, 0.0), 1.0)
    over = Stretch("done", Progress(1000, 1000, 6.5, 7, 256.0, 0.0), 1.0)
    two = training_left(recipes, recipes, {"a": now, "b": now}, False, 2)
    between = training_left(recipes, recipes, {"a": now, "b": over}, False, 2)
    assert between == pytest.approx(two - 250)  # 500 steps of a second, two at once
    last = training_left(recipes, recipes, {"a": now, "b": over, "c": over}, False, 2)
    assert last == pytest.approx(500)  # no other is left to be trained beside it


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Logs of a study on another corpus, and a table that is older than its log."""
    monkeypatch.chdir(tmp_path)
    for name, text in {
        "logs/quick@arithmetic/h64.train.log": LINE,
        "logs/quick@arithmetic/h64_wd0_fp.train.log": LINE + FINISHED,
        "logs/quick@arithmetic/h64_wd0.05_fp.train.log": LINE,
        "logs/data/text.log": "",
        "results/quick@arithmetic/h64_wd0_fp.csv": TABLE,
        "results/quick@arithmetic/h64_wd0.05_fp.csv": TABLE,
    }.items():
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text(text)
    old = time.time() - 100
    os.utime("results/quick@arithmetic/h64_wd0.05_fp.csv", (old, old))
    return tmp_path


def test_the_script_reads_what_changes_the_config(folder, capsys):
    Path("more.yaml").write_text("studies: {quick: {seeds: 1}}")
    watch.main(["quick", "--configfile", "more.yaml"])
    assert "8 runs: " in capsys.readouterr().out  # of 24


def shown(capsys) -> dict[str, list[str]]:
    """Lines of the table by run."""
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    return {line[0]: line[1:] for line in lines if line and re.match("h64|[0-9]", line[0])}


def test_the_script_finds_the_studies_with_logs_and_trusts_the_younger_file(folder, capsys):
    watch.main([])
    lines = shown(capsys)
    training = ["training", "500/2000", "6.500", "7", "2,560", "0:02:30"]
    assert lines["h64_wd0"] == training and lines["h64_wd0.05_fp"][:2] == training[:2]
    assert lines["h64_wd0_fp"][:4] == ["done", "2000/2000", "5.250", "38"]
    assert " ".join(lines["24"]).startswith("runs: 3 training, 20 waiting, 1 done; about")


def test_a_table_has_a_line_a_run_at_80_columns_and_names_that_tell_them_apart():
    study = Study.of(CONFIG, "decay_2x2")
    c = study.recipe(study.runs()[0]).training
    full = Stretch("training", Progress(c.steps - 9, c.steps, 10.5, 2048, 123456.0, 9.0), 1.0)
    found = rows(study, dict.fromkeys(study.runs(), full), {})
    console = Console(width=80, file=io.StringIO())
    console.print(watch.table("decay_2x2", found, console.width))
    _, header, *lines = console.file.getvalue().rstrip().split("\n")
    assert len(lines) == len(study.runs()) and max(map(len, lines)) <= 80
    names = [line.split()[0] for line in lines]
    assert len(set(names)) == len(names) and max(map(len, study.runs())) > 30
    assert header.split() == list(watch.COLUMNS) and all(len(line.split()) == 7 for line in lines)


def test_a_screen_has_the_runs_that_train_and_the_summary(folder):
    console = Console(width=80, file=io.StringIO())
    console.print(watch.look(CONFIG, ["quick@arithmetic"], 80, most=4)[0])
    lines = console.file.getvalue().rstrip().split("\n")
    assert [line.split()[1] for line in lines[2:6]] == ["training"] * 3 + ["waiting"]
    assert lines[6] == "and 20 more" and lines[7].startswith("24 runs: 3 training, 20 waiting, 1")
    assert len(lines) - 4 < watch.AROUND


def test_a_training_that_stopped_is_shown_as_such_and_has_no_time_left(tmp_path):
    stopped = row("h64_wd0", {"h64": Stretch("stopped", HALF, 3.0)})
    assert stopped.state == "stopped" and math.isnan(stopped.left)


def test_a_study_without_logs_waits_and_none_at_all_is_said(folder, capsys, monkeypatch, tmp_path):
    watch.main(["wd_fix"])
    assert "80 runs: 80 waiting" in capsys.readouterr().out
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    with pytest.raises(ValueError, match="no study has logs yet"):
        watch.main([])
    with pytest.raises(ValueError, match="study is 'quik'; allowed: one of wd_fix, "):
        watch.main(["quik"])
    with pytest.raises(ValueError, match="--every is 0"):
        watch.main(["quick", "--every", "0"])


def test_watching_again_and_again_ends_when_all_runs_are_done(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("results/quick").mkdir(parents=True)
    *others, last = QUICK.runs()
    for name in others:
        Path(f"results/quick/{name}.csv").write_text(TABLE)
    looks = []

    def sleep(seconds):
        looks.append(seconds)
        Path(f"results/quick/{last}.csv").write_text(TABLE)

    monkeypatch.setattr(watch.time, "sleep", sleep)
    watch.main(["quick", "--every", "5"])
    assert looks == [5.0] and "24 runs: 24 done" in capsys.readouterr().out
