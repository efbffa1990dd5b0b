"""The last lines on the terminal, printed when the process ends: after all that Snakemake says.

Snakemake's hooks come too early for that, and not at all where there is nothing to be done, in a
dry-run, or for a target that there is not. So its log is listened to.
"""

import atexit
import logging
import os
import re
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from snakemake_interface_logger_plugins.common import LogEvent

from bitnet.common.errors import ERROR, shorten

INTERRUPTED = "interrupted; the same command goes on"
LEAVING = "Will exit after finishing"  # begins Snakemake's line on a SIGTERM to it alone
WAITS = "asked to end (SIGTERM): waits for the steps that run"
NOTHING = "Nothing to be done"  # begins Snakemake's line where all is there
UNKNOWN = re.compile(r"No rule to produce (.+?) \(if you use input functions")
MOST = 3  # failed steps whose lines are shown


class Ending(logging.Handler):
    """Hears from Snakemake's log how a run ends; prints its last lines when the process ends."""

    def __init__(self, unknown: Callable, planned: Callable, finished: Callable):
        """unknown: the line on a target that no rule makes; planned: lines after a dry-run;
        finished: lines where there is nothing to be done. Each is called at the end."""
        super().__init__()
        self.unknown, self.planned, self.finished = unknown, planned, finished
        self.folder = os.getcwd()  # which Snakemake leaves again before the end
        self.dry = self.nothing = self.refused = False
        self.table = ""  # of the jobs of a dry-run
        self.interrupted = self.heard = self.failed = self.leaving = False
        self.steps: list[tuple[str, list[str]]] = []
        self.errors: list[str] = []
        logging.getLogger("snakemake.logging").addHandler(self)
        atexit.register(self.print)
        sys.excepthook = self.uncaught
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not behind a `&`
            signal.signal(signal.SIGINT, self.interrupt)

    def emit(self, record: logging.LogRecord) -> None:
        event, text = getattr(record, "event", None), str(record.msg)
        if event == LogEvent.JOB_ERROR:
            self.steps.append((record.rule_name, list(record.log)))
        elif event == LogEvent.ERROR:
            self.errors.append(text)
        elif event == LogEvent.RUN_INFO:
            self.dry, self.table = True, text.rstrip()  # or a run, of which the hooks speak
        elif text.startswith(NOTHING):
            self.nothing = True
        elif text.startswith(LEAVING) and not self.leaving:
            self.leaving = True
            say([WAITS])
        cause = sys.exc_info()[1]  # of the line with which Snakemake stops its jobs
        if isinstance(cause, SystemExit) and isinstance(cause.code, str):
            self.errors.append(cause.code)
            self.refused = True
        # Snakemake's own handler, asked before this one, drops a Ctrl-C that comes while it writes.
        lost = self.interrupted and not self.heard and cause is None
        if threading.current_thread() is threading.main_thread():
            self.heard |= self.interrupted
            if lost:
                raise KeyboardInterrupt

    def interrupt(self, *signalled) -> None:
        """Note a Ctrl-C; asyncio replaces the handler of Python, but not another."""
        self.interrupted = True
        signal.default_int_handler(*signalled)

    def uncaught(self, kind, error, trace) -> None:
        """Keep the traceback of Ctrl-C from the terminal."""
        self.failed = True
        if not issubclass(kind, KeyboardInterrupt):
            sys.__excepthook__(kind, error, trace)

    def print(self) -> None:
        """Print the last lines, if there is anything to say."""
        os.chdir(self.folder)
        if self.interrupted and (self.errors or self.failed):
            warnings.simplefilter("ignore")  # of what was begun and is not awaited,
            sys.unraisablehook = lambda _: None  # or is taken down half made
            say([INTERRUPTED])
        elif self.errors:
            unknown = UNKNOWN.search(" ".join(self.errors[-1].split()))
            if self.refused:
                say(self.errors[-1:])
            elif unknown:
                say([f"{ERROR} {self.unknown(unknown[1])}"])
            elif self.steps:
                found = {last_line(*step): step for step in self.steps}
                for line, (rule, logs) in list(found.items())[-MOST:]:
                    say([f"the step {rule} failed; its log: {', '.join(logs)}"] * bool(logs))
                    say([line])
        elif self.nothing:
            say(self.finished(), sys.stdout)
        elif self.dry:
            say(self.planned(self.table))
        if self.leaving:
            say([INTERRUPTED])


def last_line(rule: str, logs: Sequence[str]) -> str:
    """The line with which a failed step ended, from its log."""
    for path in logs:
        try:
            lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            continue
        said = [line[line.index(ERROR) :] for line in lines if ERROR in line]
        if said:
            return shorten(said[-1], 500)
    where = f"; its log: {', '.join(logs)}" if logs else ""
    return f"{ERROR} the step {rule} was ended before it could say why{where}"


def say(lines: Sequence[str], stream=None) -> None:
    """Print lines, by default to the standard error."""
    if lines:
        print(*lines, sep="\n", file=stream or sys.stderr, flush=True)
