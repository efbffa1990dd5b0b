"""Progress of a training: a bar on a terminal, and lines in the log that `watch` parses."""

import logging
import re
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from bitnet.config.recipe import Recipe

log = logging.getLogger("bitnet")

LOG_EVERY, PRINT_EVERY = 10, 30  # seconds between lines in the log, on a terminal without bars

LINE = re.compile(
    r"step (?P<step>\d+) of (?P<last>\d+), loss (?P<loss>-?\d+\.\d+|nan|inf), "
    r"UniquePredictions (?P<unique>\d+), (?P<rate>\d+) tokens/s, (?P<left>\d+) s left"
)
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


class Every:
    """Timer: a call returns True if `seconds` have passed since the last True (or the start)."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic):
        self.seconds, self.clock, self.last = seconds, clock, clock()

    def __call__(self) -> bool:
        now = self.clock()
        due = now - self.last >= self.seconds
        self.last = now if due else self.last
        return due


def reporter(recipe: Recipe, rows: list[dict], last: int, bar: tqdm, name: str) -> Callable:
    """Callback of step, loss (nats) and tokens per second that logs and shows the progress.

    rows: the trainer's recorded rows, the latest last. last: the step at which the stretch ends.
    bar: updated each time; if it is disabled, lines that begin with `name` are printed instead.
    """
    tokens = recipe.training.batch_size * recipe.training.sequence_length
    due_log, due_line = Every(LOG_EVERY), Every(PRINT_EVERY)

    def report(step: int, loss: float, rate: float) -> None:
        unique = len(np.unique(rows[-1]["prediction"]))
        now = Progress(step, last, loss, unique, rate, (last - step) * tokens / rate)
        words = f"loss {loss:.3f}, UniquePredictions {unique}, {rate:,.0f} tokens/s"
        bar.set_postfix_str(words, refresh=False)
        bar.update(step - bar.n)
        if due_log() or step == last:
            log.info("%s", now)
        if bar.disable and (due_line() or step == last):
            print(f"{name}: {now}", file=sys.stderr, flush=True)

    return report
