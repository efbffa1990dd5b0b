"""How a command ends on the terminal: with the error, the answer, or what an edit changed.

One project, in a folder with a name full of marks, is built in an ASCII locale; the rest is asked
of it. The public faults behind these tests: a message that only an UTF-8 terminal can print, a
template that takes braces of a path for its own, and an error under pages of a runner's own words.
"""

import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import sys
import termios
from pathlib import Path

import pytest

from tests.helpers.edits import edited, swap
from tests.helpers.project import ENVIRONMENT, SNAKEMAKE, TINY, call, copy_project, snakemake

ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"}
WARNED = {"PYTHONWARNDEFAULTENCODING": "1"}  # of each file opened in the encoding of the locale
ODD = """
corpora:
  mine: {source: files, train: ["mine.jsonl"], train_bytes: 1000, validation_bytes: 100}
"""
FEWER = "warmup_steps: 3, evaluate_every: 5"
pytestmark = pytest.mark.slow


def last(done) -> str:
    return (done.stdout + done.stderr).rstrip().splitlines()[-1]


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """The tiny `quick`, Adam's arm alone, with its verdict."""
    project = copy_project(tmp_path_factory.mktemp("ending") / "a {b} 'c' \"d\"")
    tiny = project / "tests/tiny.yaml"
    text = tiny.read_text(encoding="utf-8")
    tiny.write_text(text.replace("[16], optimizer: [adam, adamw]", "[16], optimizer: [adam]"))
    (project / "mine.yaml").write_text(ODD)
    (project / "mine.jsonl").write_text('{"words": "a"}\n')
    env = {**ENVIRONMENT, **ASCII, **WARNED}
    done = call(project, SNAKEMAKE, "results/quick/verdict.md", *TINY, env=env)
    assert done.returncode == 0, done.stderr
    own = rf"^{re.escape(str(project))}/(?:bitnet|workflow|Snakefile).*EncodingWarning"
    assert re.findall(own, done.stderr, re.MULTILINE) == []
    assert done.stdout.isascii() and "\nOpen: results/quick/verdict.csv\n" in done.stdout
    return project


def test_finished_work_answers_again_in_a_sentence(project):
    done = call(project, SNAKEMAKE, "results/quick/verdict.md", *TINY)
    answer = done.stdout.rstrip().splitlines()
    verdict = " ".join((project / "results/quick/verdict.md").read_text("utf-8").split())
    name, _, sentence = answer[-2].partition(": ")
    assert f"# {name} {sentence}" in verdict and sentence.endswith(".")
    assert answer[-1].startswith("Open: ") and "Nothing to be done" in done.stderr


def test_a_dry_run_says_what_is_to_train_and_which_key_was_edited(project):
    edit = swap(
        "warmup_steps: 4, evaluate_every: 5, evaluate_at: []}", f"{FEWER}, evaluate_at: []}}"
    )
    with edited(project, "tests/tiny.yaml", edit):
        done = call(project, SNAKEMAKE, "-n", "results/quick/verdict.md", *TINY)
    assert "\nchanged: training.warmup_steps 4 -> 3 (1 job)\n" in done.stderr
    said = r"to train: 1 x stage 1 and 2 x stage 2, \d at a time on .*: about 1 minute, (\d+) MB"
    size = sum(path.stat().st_size for path in (project / "models").rglob("*.safetensors"))
    assert size / 2 < int(re.match(said, last(done))[1]) * 1e6 < size * 2
    with edited(project, "config.yaml", swap("collapsed_below: 10", "collapsed_below: 9")):
        done = call(project, SNAKEMAKE, "-n", "results/quick/verdict.md", *TINY)
    assert "\nchanged: collapsed_below 10 -> 9 (1 job)\nnothing to train" in done.stderr


def test_a_step_that_fails_has_the_last_word(project):
    done = call(project, SNAKEMAKE, "data/mine/text.json", "--configfile", "mine.yaml")
    log = (project / "logs/data/mine.text.log").read_text("utf-8").rstrip()
    assert done.returncode == 1 and last(done).startswith("error: ") and log.endswith(last(done))


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("quikc", "quick"),
        ("h16.csv", "results/quick/h16_wd0.csv"),
        ("results/quick/h16_wd.csv", "results/quick/h16_wd0.csv"),
    ],
)
def test_a_misspelt_target_is_answered_with_the_nearest(project, typed, meant):
    done = call(project, SNAKEMAKE, "-n", typed, *TINY)
    assert done.returncode == 1 and last(done).startswith(f"error: target is '{typed}'; allowed: ")
    assert re.search(rf"; did you mean (.* or )?{re.escape(meant)}( or .*)?\?$", last(done))


def test_a_folder_for_temporary_files_that_takes_none_is_named(project):
    env = {**ENVIRONMENT, "TMPDIR": "/proc"}
    done = call(project, SNAKEMAKE, "results/quick/h16_wd0_adamw.csv", *TINY, env=env)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert last(done).startswith("error: TMPDIR is '/proc'; allowed: ")


def test_touching_what_is_not_there_is_no_fault(project):
    kept = project / "kept"
    (project / "results").rename(kept)
    try:
        assert "Traceback" not in snakemake(project, "quick", "--touch", *TINY)
    finally:
        shutil.rmtree(project / "results", ignore_errors=True)
        kept.rename(project / "results")


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
@pytest.mark.parametrize(("said", "code"), [("steps: h16_adamw", 1), ("Building DAG", -2)])
def test_ctrl_c_ends_with_the_line_that_all_is_kept(project, said, code):
    command = [SNAKEMAKE, "models/quick/h16_adamw.safetensors", "--cores", "1", *TINY]
    shown, ended = on_terminal(project, command, said)
    assert shown.rstrip().splitlines()[-1].endswith("interrupted; the same command goes on")
    assert "Traceback" not in shown and "failed" not in shown
    assert ended == code


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_sigterm_says_that_it_waits_and_that_all_is_kept(project):
    command = [SNAKEMAKE, "models/quick/h16_adamw_fp.safetensors", "--cores", "1", *TINY]
    shown, ended = on_terminal(project, command, "how far each is", signal.SIGTERM)
    lines = [line.rsplit("\x1b[J")[-1].rstrip("\r") for line in shown.rstrip().split("\n")]
    assert lines.count("asked to end (SIGTERM): waits for the steps that run") == 1
    assert lines[-1] == "interrupted; the same command goes on" and ended == 1
    assert "Traceback" not in shown


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_a_run_shows_a_plan_a_line_a_training_how_far_it_is_and_the_answer(project):
    for path in [*project.glob("*/quick/h16_wd0.*"), project / "results/quick/verdict.md"]:
        path.unlink()
    shown, ended = on_terminal(project, [SNAKEMAKE, "results/quick/verdict.md", *TINY])
    assert ended == 0
    lines = [line.rsplit("\x1b[J")[-1].rstrip("\r") for line in shown.split("\n")]
    [plan] = [i for i, line in enumerate(lines) if line.startswith("to train: 0 x stage 1 and 2 x")]
    [run] = [i for i, line in enumerate(lines) if line.startswith("Stage 2 of quick/h16_wd0: ")]
    [opens] = [i for i, line in enumerate(lines) if line.startswith("Open: results/quick/")]
    assert plan < run < opens
    table = (project / "results/quick/h16_wd0.csv").read_text().splitlines()
    last_row = dict(zip(table[0].split(","), table[-1].split(","), strict=True))
    count = int(last_row["UniquePredictions"])
    assert re.fullmatch(rf".*: loss \d\.\d{{3}}, {count:,} distinct predictions, \d+ s", lines[run])
    assert re.search(r"\d/5 steps.*: h16_wd0", shown)
    assert max(map(len, lines[1:])) < 80, lines  # the first one is printed before any of ours
    for block in ("Reason:", "jobid", "Select jobs", "python -m workflow.scripts.t", "SNAKEMAKE"):
        assert block not in shown
    whole = sorted((project / ".snakemake/log").iterdir())[-1].read_text()
    assert "Reason:" in whole and "Select jobs" in whole  # where they are looked for


def test_what_snakemake_says_is_shown_where_it_is_asked_for(project):
    (project / "results/quick/verdict.md").unlink()
    done = call(project, SNAKEMAKE, "results/quick/verdict.md", "-p", *TINY)
    assert "Reason: " in done.stderr and "python -m workflow.scripts.verdict" in done.stderr


def on_terminal(folder: Path, command: list[str], said: str = "", sent: int = 0) -> tuple[str, int]:
    """What a terminal of 80 columns shows of a command, and how it ends.

    said: where it says so, Ctrl-C is typed, or the signal `sent` is sent to the command alone.
    """
    pid, terminal = pty.fork()
    if not pid:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # in the background it is ignored
        os.chdir(folder)
        os.execve(command[0], command, {**ENVIRONMENT, "TERM": "xterm"})
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    shown, typed = b"", not said
    while True:
        try:
            shown += os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        if said.encode() in shown and not typed:
            typed = True
            os.kill(pid, sent) if sent else os.write(terminal, b"\x03")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return shown.decode(errors="replace"), os.waitstatus_to_exitcode(status)
