"""What a training says of itself while it runs: one line, spelled and read here alone."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass

LINE = re.compile(
    r"step (?P<step>\d+) of (?P<last>\d+), loss (?P<loss>-?\d+\.\d+|nan|inf), "
    r"UniquePredictions (?P<unique>\d+), (?P<rate>\d+) tokens/s, (?P<left>\d+) s left"
)
FINISHED, DIVERGED, ERROR = (
    "finished at step",
    "diverged at step",
    "error:",
)  # how other lines begin


@dataclass(frozen=True)
class Progress:
    """Where a training stands."""

    step: int
    last: int
    """Step at which this stretch of the run ends."""
    loss: float
    """Of this step, nats."""
    unique: int
    """UniquePredictions of the last evaluation."""
    rate: float
    """Tokens a second."""
    left: float
    """Seconds to `last` at this rate."""

    def __str__(self) -> str:
        return (
            f"step {self.step} of {self.last}, loss {self.loss:.4f}, UniquePredictions "
            f"{self.unique}, {self.rate:.0f} tokens/s, {self.left:.0f} s left"
        )

    @classmethod
    def read(cls, text: str) -> "Progress | None":
        """What a line says; None where it says something else."""
        found = LINE.fullmatch(text)
        if found is None:
            return None
        whole = {key: int(found[key]) for key in ("step", "last", "unique", "rate", "left")}
        return cls(**whole, loss=float(found["loss"]))


class Every:
    """Whether so many seconds have passed since it last said yes (or was made)."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic):
        self.seconds, self.clock, self.last = seconds, clock, clock()

    def __call__(self) -> bool:
        now = self.clock()
        due = now - self.last >= self.seconds
        self.last = now if due else self.last
        return due
