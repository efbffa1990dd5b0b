"""What the terminal shows while the pipeline runs: a line a finished training, and how far it is.

Snakemake's own blocks (reasons, lists of files, shell commands) go to its log file below
.snakemake/log alone. They are shown too where they are asked for: with -p, --verbose or --quiet.
"""

import atexit
import logging
import os
import shutil
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

from snakemake_interface_logger_plugins.common import LogEvent

from bitnet.common.errors import shorten
from bitnet.config.budget import spell_duration
from bitnet.config.recipe import Recipe

if TYPE_CHECKING:
    from bitnet.monitoring.status import Stretch

LOGGER, ON_TERMINAL = "snakemake.logging", "DefaultStreamHandler"  # names that Snakemake gives
SHOWN = ("Building DAG", "Nothing to be done")  # begin lines that stay
ANSWERED = (  # begin errors of which a line of our own speaks at the end
    "MissingRuleException:\nNo rule to produce",
    "RuleException:\nCalledProcessError",
    "Exiting because a job execution failed",
    "WorkflowError:\nAt least one job did not complete",
)
EVERY, EVERY_LINE = 1.0, 30.0  # seconds between two looks on a terminal, and in a file
SETTLED = 0.5  # seconds after which a Ctrl-C that ended a step has reached this process too
LONG = 10.0  # seconds from which on a step other than a training has a line when it is finished


def hide_blocks() -> None:
    """Keep Snakemake's blocks from the terminal; they stay in its log file."""
    for handler in logging.getLogger(LOGGER).handlers:
        if handler.name == ON_TERMINAL:
            handler.addFilter(is_shown)


def is_shown(record: logging.LogRecord) -> bool:
    """Whether a record of Snakemake's log is shown on the terminal."""
    text = str(record.msg)
    if record.levelno < logging.WARNING:
        return text.startswith(SHOWN)
    return getattr(record, "event", None) != LogEvent.JOB_ERROR and not text.startswith(ANSWERED)


@dataclass
class Step:
    """A job that runs."""

    name: str
    trains: bool
    log: str | None
    began: float


class Screen(logging.Handler):
    """Hears from Snakemake's log what runs; prints lines, and on a terminal a line that changes.

    That line stands below an empty one, on which the cursor waits: a line that a job prints itself
    begins there. Without a terminal the line is printed every EVERY_LINE seconds.
    """

    def __init__(
        self, stream: TextIO | None = None, interrupted: Callable[[], bool] = lambda: False
    ):
        """interrupted: whether steps end because of Ctrl-C, which is no failure of theirs."""
        super().__init__()
        self.interrupted = interrupted
        self.stream = stream or sys.stderr
        self.live = self.stream.isatty() and os.environ.get("TERM") != "dumb"
        self.running: dict[int, Step] = {}
        self.done = self.total = 0
        self.workers = 1  # most trainings seen at once
        self.recipes: Mapping[str, Recipe] = {}
        self.over_by_log: dict[str, Stretch] = {}
        self.gpu, self.over, self.last = False, threading.Event(), ""
        logging.getLogger(LOGGER).addHandler(self)

    def begin(self, recipes: Mapping[str, Recipe], gpu: bool) -> None:
        """Show how far the run is from now on. recipes: of the trainings to come, by their logs."""
        self.recipes, self.gpu = recipes, gpu
        atexit.register(self.end)  # before the last lines, which were registered earlier
        threading.Thread(target=self._look, daemon=True).start()

    def end(self) -> None:
        """Take the line away; nothing is shown any more."""
        self.over.set()
        with self.lock:
            self._write("")

    def emit(self, record: logging.LogRecord) -> None:  # under the lock of the handler
        event = getattr(record, "event", None)
        if event == LogEvent.RUN_INFO:
            self.total = record.stats["total"]
        elif event == LogEvent.PROGRESS:
            self.done, self.total = record.done, record.total
        elif event == LogEvent.JOB_INFO and record.rule_msg:
            trains = record.rule_name.startswith("train_")
            log = next(iter(record.log), None)
            step = Step(record.rule_msg, trains, log, time.monotonic())
            self.running[record.jobid] = step
        elif event == LogEvent.JOB_FINISHED and (step := self.running.pop(record.job_id, None)):
            took = time.monotonic() - step.began
            if step.trains or took >= LONG:
                self._write(f"{step.name}: {self.outcome(step)}{spell_seconds(took)}\n")
        elif event == LogEvent.JOB_ERROR:
            step = self.running.pop(record.jobid, None)
            until = time.monotonic() + SETTLED
            while not self.interrupted() and time.monotonic() < until:
                time.sleep(0.01)
            if not self.interrupted():
                self._write(f"failed: {step.name if step else record.rule_name}\n")

    def _look(self) -> None:
        while not self.over.wait(EVERY if self.live else EVERY_LINE):
            line = self.line()
            with self.lock:
                if self.over.is_set():
                    return
                if self.live:  # each time, as a job may have written over it
                    self._write(f"\n{line}\x1b[A\r")
                elif line != self.last:
                    self._write(f"{line}\n")
                    self.last = line

    def _write(self, text: str) -> None:
        """Write below what is there, over the line that changes."""
        with suppress(OSError, ValueError):  # a terminal that was closed stops no training
            self.stream.write(f"\r\x1b[J{text}" if self.live else text)
            self.stream.flush()

    def outcome(self, step: Step) -> str:
        """What a finished training came to; empty for another step."""
        from bitnet.monitoring import logs

        found = logs.stretch_of(step.log) if step.trains else None
        if found is None:
            return ""
        self.over_by_log[step.log] = found
        now = found.progress
        if found.state == "diverged" or now is None:
            return f"{found.state}, "
        return f"loss {now.loss:.3f}, {now.unique:,} distinct predictions, "

    def line(self) -> str:
        """How far the run is: steps, time left of all trainings, what runs."""
        from bitnet.monitoring import logs, status  # numpy, which a dry-run does without

        with self.lock:
            known, running = dict(self.over_by_log), list(self.running.values())
        self.workers = max(self.workers, sum(step.trains for step in running))
        for path in (step.log for step in running if step.log in self.recipes):
            known |= {path: found} if (found := logs.stretch_of(path)) else {}
        left = status.training_left(self.recipes, self.recipes, known, self.gpu, self.workers)
        text = f"{self.done}/{self.total} steps"
        text += f", {spell_duration(left)} left" if left > 0 else ""
        steps = sorted(running, key=lambda step: (not step.trains, step.began))
        if steps:
            first, stretch = steps[0], known.get(steps[0].log)
            text += f": {first.name.split('/')[-1] if first.trains else first.name}"
            if now := stretch and stretch.progress:
                text += f" {now.step}/{now.last}, loss {now.loss:.2f}"
            text += f" +{len(steps) - 1}" * (len(steps) > 1)
        return shorten(text, shutil.get_terminal_size().columns - 1 if self.live else 200)


def spell_seconds(seconds: float) -> str:
    """A duration: "12 s" below two minutes, else in words."""
    return f"{seconds:.0f} s" if seconds < 120 else spell_duration(seconds)


def fitted(text: str, stream: TextIO | None = None) -> str:
    """Markdown for a terminal: paragraphs filled to its width, without tables that are wider.

    Unchanged where the stream, by default the standard output, is none.
    """
    if not (stream or sys.stdout).isatty():
        return text
    width = min(shutil.get_terminal_size().columns - 1, 100)
    blocks = []
    for block in text.split("\n\n"):
        lines = block.strip("\n").split("\n")
        if block.startswith("|"):
            blocks += [block] * (max(map(len, lines)) <= width)
            continue
        items = [[]]
        for line in lines:
            if line.startswith(("- ", "#", "Open: ", "how far", "to train")):
                items.append([])
            items[-1].append(line.strip())
        filled = [
            textwrap.fill(
                " ".join(item),
                width,
                subsequent_indent="  " * item[0].startswith(("- ", "Open: ")),
                break_on_hyphens=False,
                break_long_words=False,
            )
            for item in items
            if item
        ]
        blocks.append("\n".join(filled))
    return "\n\n".join(blocks)
