"""When a training saves the state to go on from: by time, so that saving costs little of it."""

import time
from collections.abc import Callable

from bitnet.config.budget import STATE_BYTES
from bitnet.training.trainer import CHECK_EVERY, Trainer

PAUSE = 50  # times the duration of a save, until the next one: saving takes 1 / 51 of the time
LEAST = 30.0  # seconds between two saves: what a kill costs a small model's training at most
# Bytes a second, to guess how long the first save takes. With checksum and sync a state of 62 MB
# took 0.7 seconds on a local disk, one of 1.3 GB 24.
SPEED = 50e6


class Checkpoints:
    """Callback for `train`: saves the state where one is due, by time or every so many steps.

    By time, the pause after a save is PAUSE times as long as the save took and at least LEAST
    seconds. Only every CHECK_EVERY-th step counts: there training waits for the device anyway.
    """

    def __init__(
        self,
        trainer: Trainer,
        save: Callable[[dict], None],
        every: int | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        """save: writes a state. every: steps between two saves; None: by time."""
        size = STATE_BYTES * sum(p.numel() for p in trainer.model.parameters())
        self.save, self.every, self.clock = save, every, clock
        self.pause, self.last = max(LEAST, PAUSE * size / SPEED), clock()

    def __call__(self, trainer: Trainer) -> None:
        if trainer.step % (self.every or CHECK_EVERY):
            return
        began = self.clock()
        if self.every or began - self.last >= self.pause:
            self.save(trainer.state_dict())
            self.last = self.clock()
            self.pause = max(LEAST, PAUSE * (self.last - began))
