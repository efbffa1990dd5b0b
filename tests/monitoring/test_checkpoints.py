"""Checkpoints are saved by time: often enough for a kill, seldom enough to cost little."""

from itertools import pairwise
from unittest.mock import Mock

import pytest
import torch

from bitnet.monitoring.checkpoints import Checkpoints

SECOND = 1_000_000  # parameters whose state is guessed to take 0.24 s: a pause of 12 s


class Training:
    """Stands in for a trainer whose steps and saves take a known time, by a clock of its own."""

    def __init__(self, step_seconds: float, save_seconds: float, parameters: int = SECOND):
        self.now, self.step = 0.0, 0
        self.step_seconds, self.save_seconds = step_seconds, save_seconds
        self.model = Mock()
        self.model.parameters.return_value = [torch.empty(parameters, device="meta")]
        self.saved: list[int] = []

    def state_dict(self) -> dict:
        return {}

    def save(self, state: dict) -> None:
        self.now += self.save_seconds
        self.saved.append(self.step)

    def run(self, steps: int, every: int | None = None) -> list[int]:
        checkpoints = Checkpoints(self, self.save, every, clock=lambda: self.now)
        for self.step in range(1, steps + 1):
            self.now += self.step_seconds
            checkpoints(self)
        return self.saved


def test_a_small_model_is_saved_every_half_minute():
    saved = Training(step_seconds=0.125, save_seconds=0.03125).run(800)
    assert saved == [240, 480, 720]


@pytest.mark.parametrize("save_seconds", [0.7, 24.0, 300.0])
@pytest.mark.parametrize("parameters", [5_200_000, 95_367_936])
def test_saving_takes_two_percent_of_the_time_however_slow_it_is(save_seconds, parameters):
    training = Training(0.15, save_seconds, parameters)
    saved = training.run(400_000)  # 17 hours
    share = len(saved) * save_seconds / training.now
    assert share < 0.02 + save_seconds / training.now  # the first save's time is a guess
    gaps = [b - a for a, b in pairwise(saved)]
    assert max(gaps) * 0.15 < max(30, 50 * save_seconds) + 10 * 0.15 + 1e-6


def test_the_first_save_of_a_large_model_waits_as_long_as_it_will_cost():
    first = Training(0.15, 24.0, 95_367_936).run(10_000)[0] * 0.15
    assert 15 * 60 < first < 25 * 60  # 1.1 GB at 50 MB/s, 50 times


def test_it_is_saved_only_where_training_waits_for_the_device_anyway():
    saved = Training(step_seconds=7.3, save_seconds=0.5).run(1_000)
    assert len(saved) == 100 and all(step % 10 == 0 for step in saved)


def test_steps_may_be_asked_for_instead():
    assert Training(step_seconds=0.01, save_seconds=9.0).run(30, every=7) == [7, 14, 21, 28]
