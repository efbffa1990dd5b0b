"""What the terminal shows while a run goes on, from records as Snakemake logs them."""

import io
import json
import logging
import time

from snakemake_interface_logger_plugins.common import LogEvent

from bitnet.config.recipe import Recipe
from tests.helpers import recipes
from workflow.helpers import screen

LINE = (
    "2026-01-31 12:00:00 step 500 of 1000, loss 6.5000, UniquePredictions 1234, "
    "2560 tokens/s, 50 s left\n"
)


def record(event: LogEvent | None = None, text: str = "", level: int = logging.INFO, **extra):
    found = logging.LogRecord("snakemake.logging", level, "", 0, text, (), None)
    found.__dict__ |= {"event": event, **extra}
    return found


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def begun(stream: io.StringIO, log: str, **settings) -> screen.Screen:
    """A screen that has heard of a training and of another step."""
    shown = screen.Screen(stream, **settings)
    logging.getLogger(screen.LOGGER).removeHandler(shown)
    shown.handle(record(LogEvent.RUN_INFO, stats={"total": 7}))
    other = {"jobid": 2, "rule_msg": "Metrics of a", "rule_name": "evaluate", "log": []}
    train = {"jobid": 1, "rule_msg": "Stage 2 of s/a", "rule_name": "train_branch", "log": [log]}
    for job in (other, train):
        shown.handle(record(LogEvent.JOB_INFO, **job))
    return shown


def test_a_finished_training_has_a_line_and_a_short_step_has_none(tmp_path):
    log = tmp_path / "a.train.log"
    log.write_text(LINE + "2026-01-31 12:00:00 finished at step 1000\n")
    shown = begun(stream := io.StringIO(), str(log))
    for number in (1, 2):
        shown.handle(record(LogEvent.JOB_FINISHED, job_id=number))
    assert stream.getvalue() == "Stage 2 of s/a: loss 6.500, 1,234 distinct predictions, 0 s\n"


def test_a_training_that_diverged_is_said_to(tmp_path):
    log = tmp_path / "a.train.log"
    log.write_text(LINE + "2026-01-31 12:00:00 diverged at step 510\n")
    begun(stream := io.StringIO(), str(log)).handle(record(LogEvent.JOB_FINISHED, job_id=1))
    assert stream.getvalue() == "Stage 2 of s/a: diverged, 0 s\n"


def test_a_step_that_fails_is_named_unless_it_was_interrupted(tmp_path):
    failed = record(LogEvent.JOB_ERROR, level=logging.ERROR, jobid=1, rule_name="train_branch")
    begun(stream := io.StringIO(), "absent").handle(failed)
    assert stream.getvalue() == "failed: Stage 2 of s/a\n"
    begun(stream := io.StringIO(), "absent", interrupted=lambda: True).handle(failed)
    assert stream.getvalue() == ""
    heard = iter([False, False])  # a Ctrl-C that ends the step before this process hears of it
    begun(stream := io.StringIO(), "absent", interrupted=lambda: next(heard, True)).handle(failed)
    assert stream.getvalue() == ""


def test_the_line_says_how_far_all_is_and_the_training_first(tmp_path, monkeypatch):
    log = tmp_path / "a.train.log"
    log.write_text(LINE)
    shown = begun(Terminal(), str(log))
    shown.handle(record(LogEvent.PROGRESS, done=3, total=7))
    assert shown.line() == "3/7 steps: a +1"  # nobody said what is to be trained
    shown.recipes = {str(log): Recipe.from_json(json.dumps(recipes.recipe()))}
    assert shown.line() == "3/7 steps, 1 minute left: a 500/1000, loss 6.50 +1"
    monkeypatch.setenv("COLUMNS", "40")
    assert len(shown.line()) == 39 and shown.line().endswith("...")


def test_the_changing_line_stands_below_the_cursor_and_goes_at_the_end(monkeypatch):
    monkeypatch.setattr(screen, "EVERY", 0.01)
    monkeypatch.setenv("TERM", "xterm")
    shown = begun(stream := Terminal(), "absent")
    shown.begin({}, gpu=False)
    end = time.monotonic() + 20
    while "+1" not in stream.getvalue() and time.monotonic() < end:
        time.sleep(0.01)
    assert stream.getvalue().startswith("\r\x1b[J\n0/7 steps: a +1\x1b[A\r")
    shown.end()
    assert stream.getvalue().endswith("\x1b[A\r\r\x1b[J")


def test_in_a_file_the_line_stands_once_as_long_as_nothing_changes(monkeypatch):
    monkeypatch.setattr(screen, "EVERY_LINE", 0.01)
    shown = begun(stream := io.StringIO(), "absent")
    shown.begin({}, gpu=False)
    time.sleep(0.5)
    shown.handle(record(LogEvent.PROGRESS, done=3, total=7))
    end = time.monotonic() + 20
    while "3/7" not in stream.getvalue() and time.monotonic() < end:
        time.sleep(0.01)
    shown.end()
    assert stream.getvalue() == "0/7 steps: a +1\n3/7 steps: a +1\n"


def test_a_terminal_that_was_closed_stops_nothing():
    class Closed(Terminal):
        def write(self, text):
            raise OSError("Input/output error")

    shown = begun(Closed(), "absent")
    shown.handle(record(LogEvent.JOB_FINISHED, job_id=1))
    shown.end()


def test_blocks_are_hidden_and_what_a_reader_needs_is_shown():
    error = {"level": logging.ERROR}
    hidden = [
        record(LogEvent.JOB_INFO, "Rule: text"),
        record(LogEvent.WORKFLOW_STARTED, "Workflow has started!"),
        record(None, "Select jobs to execute..."),
        record(LogEvent.JOB_ERROR, "Error in rule text", **error),
        record(LogEvent.ERROR, "RuleException:\nCalledProcessError in file ...", **error),
        record(LogEvent.ERROR, "MissingRuleException:\nNo rule to produce quikc (if", **error),
    ]
    kept = [
        record(None, "Nothing to be done (all requested files are present and up to date)."),
        record(None, "Terminating processes on user request", level=logging.WARNING),
        record(LogEvent.ERROR, "WorkflowError:\nOutput a has older modification time", **error),
        record(LogEvent.ERROR, "LockException:\nError: Directory cannot be locked.", **error),
    ]
    assert [screen.is_shown(one) for one in hidden] == [False] * len(hidden)
    assert [screen.is_shown(one) for one in kept] == [True] * len(kept)


ANSWER = """# quick

One sentence that is
filled anew.

- a point of
  two lines
- another one, which is longer than a line of a small terminal

| a | b |
| - | - |

| a much wider table | than this terminal |

Open: results/quick/report.html, results/quick/verdict.csv"""


def test_an_answer_is_fitted_to_a_terminal_and_left_as_it_is_in_a_file(monkeypatch):
    monkeypatch.setenv("COLUMNS", "36")
    assert screen.fitted(ANSWER, io.StringIO()) == ANSWER
    assert screen.fitted(ANSWER, Terminal()).split("\n") == [
        "# quick",
        "",
        "One sentence that is filled anew.",
        "",
        "- a point of two lines",
        "- another one, which is longer than",
        "  a line of a small terminal",
        "",
        "| a | b |",
        "| - | - |",
        "",
        "Open: results/quick/report.html,",
        "  results/quick/verdict.csv",
    ]
