"""Progress of a training: a bar on a terminal, and lines in the log that `watch` parses."""

import logging
import os
import platform
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from bitnet.config.recipe import Recipe

log = logging.getLogger("bitnet")

# Seconds between two lines in the log: at least, at most, and as a share of the time so far. So a
# training of seconds has some lines and one of days not too many.
LOG_LEAST, LOG_MOST, LOG_SHARE = 1, 10, 0.05
PRINT_EVERY = 30  # seconds between two lines on a terminal without bars

LINE = re.compile(
    r"step (?P<step>\d+) of (?P<last>\d+), loss (?P<loss>-?\d+\.\d+|nan|inf), "
    r"UniquePredictions (?P<unique>\d+), (?P<rate>\d+) tokens/s, (?P<left>\d+) s left"
)
PROCESS = re.compile(r"process (\d+) on (\S+)")
FINISHED, DIVERGED = "finished at step", "diverged at step"  # how other lines begin


@dataclass(frozen=True)
class Progress:
    """Progress of a training at one step; its `str` is a line of the log."""

    step: int
    last: int
    """Step at which this stretch of the run ends."""
    loss: float
    """Training loss of this step, nats."""
    unique: int
    """UniquePredictions of the last evaluation."""
    rate: float
    """Tokens per second."""
    left: float
    """Seconds to `last` at this rate."""

    def __str__(self) -> str:
        return (
            f"step {self.step} of {self.last}, loss {self.loss:.4f}, UniquePredictions "
            f"{self.unique}, {self.rate:.0f} tokens/s, {self.left:.0f} s left"
        )

    @classmethod
    def read(cls, text: str) -> "Progress | None":
        """Progress from a line of the log; None for any other line."""
        found = LINE.fullmatch(text)
        if found is None:
            return None
        whole = {key: int(found[key]) for key in ("step", "last", "unique", "rate", "left")}
        return cls(**whole, loss=float(found["loss"]))


def read_process(text: str) -> tuple[int, str] | None:
    """Number of a training's process and the name of its machine; None for any other line."""
    found = PROCESS.fullmatch(text)
    return found and (int(found[1]), found[2])


CLOCK = time.monotonic  # gives seconds


class Every:
    """Timer: a call returns True if `seconds` have passed since the last True (or the start).

    With `most` and `share` the pause grows to that share of the time since the start, at most to
    `most` seconds.
    """

    def __init__(
        self,
        seconds: float,
        most: float = 0,
        share: float = 0,
        clock: Callable[[], float] | None = None,
    ):
        self.seconds, self.most, self.share, self.clock = seconds, most, share, clock or CLOCK
        self.first = self.last = self.clock()

    def __call__(self) -> bool:
        now = self.clock()
        pause = max(self.seconds, min(self.most, self.share * (now - self.first)))
        due = now - self.last >= pause
        self.last = now if due else self.last
        return due


def reporter(recipe: Recipe, rows: list[dict], last: int, bar: tqdm, name: str) -> Callable:
    """Callback of step, loss (nats) and tokens per second that logs and shows the progress.

    The log also says which process trains, so that a reader can see whether it still lives.

    rows: the trainer's recorded rows, the latest last. last: the step at which the stretch ends.
    bar: updated each time. If it is disabled and there is no log file, lines that begin with `name`
    are printed instead.
    """
    tokens = recipe.training.batch_size * recipe.training.sequence_length
    due_log, due_line = Every(LOG_LEAST, LOG_MOST, LOG_SHARE), Every(PRINT_EVERY)
    log.info("process %d on %s", os.getpid(), platform.node())
    unheard = bar.disable and not any(isinstance(h, logging.FileHandler) for h in log.handlers)

    def report(step: int, loss: float, rate: float) -> None:
        unique = len(np.unique(rows[-1]["prediction"]))
        now = Progress(step, last, loss, unique, rate, (last - step) * tokens / rate)
        words = f"loss {loss:.3f}, UniquePredictions {unique}, {rate:,.0f} tokens/s"
        bar.set_postfix_str(words, refresh=False)
        bar.update(step - bar.n)
        if due_log() or step == last:
            log.info("%s", now)
        if unheard and (due_line() or step == last):
            print(f"{name}: {now}", file=sys.stderr, flush=True)

    return report
