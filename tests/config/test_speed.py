"""The line that says what there is to train, and the arithmetic behind it."""

import pytest

from bitnet.config.budget import announcement, spell_duration
from bitnet.config.recipe import ModelConfig, Recipe, TrainConfig
from bitnet.config.speed import flops_per_token
from bitnet.config.study import Study
from tests.helpers.project import project_config


def test_operations_a_token_are_those_counted_by_hand():
    """27.5 MFLOP: 6 x (4 x (196,608 + 786,432) + 524,288) for the matrices, 6 x 4 x 256 x 128
    for the attention scores; the norms add a little."""
    training = TrainConfig(20_000, 16, 128, "adam", 1.5e-3, 1e-3, 1.5e-5, 375, 0.1, 0.0)
    found = flops_per_token(Recipe(ModelConfig(2048, 256, 4), training))
    matrices = 4 * (3 * 256 * 256 + 3 * 256 * 1024) + 2048 * 256
    assert found == pytest.approx(6 * matrices + 6 * 4 * 256 * 128, rel=0.01)


def test_the_line_counts_the_stages_and_says_what_the_time_is_for():
    study = Study.of(project_config(), "quick")
    names = study.runs()
    recipes = [study.recipe(name) for name in {*names, *map(study.trunk, names)}]
    line = announcement(recipes, gpus="", at_once=2)
    assert "12 x stage 1 and 24 x stage 2, 2 at a time on the CPU: about" in line
    alone = announcement(recipes[:1], gpus="", at_once=8)
    assert "1 at a time" in alone
    assert announcement([], gpus="", at_once=2).startswith("nothing to train")


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(10, "1 minute"), (100, "2 minutes"), (7_300, "2 hours"), (200_000, "2 days")],
)
def test_durations_are_as_coarse_as_the_estimate(seconds, words):
    assert spell_duration(seconds) == words
