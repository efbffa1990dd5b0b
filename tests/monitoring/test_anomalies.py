"""Each rule sees what it is for, and nothing in a training that is well."""

import copy

import numpy as np
import pytest
import torch

from bitnet.config.recipe import ModelConfig, Recipe, TrainConfig
from bitnet.config.thresholds import Limits
from bitnet.data import probe
from bitnet.inference.engine import Inference
from bitnet.inference.sampling import Sampling, generate
from bitnet.monitoring.anomalies import anomalies
from bitnet.training.observations import LENGTH, PROMPT
from bitnet.training.trainer import Trainer, train

LIMITS = Limits(
    loss_spike_above=2.0, entropy_below=1.0, repetition_above=0.5, dead_layer_below=1e-3
)
CPU = torch.device("cpu")
RULES = {"not finite", "loss spike", "low entropy", "dead layer", "repetition"}


def recipe(**changes) -> Recipe:
    training = TrainConfig(
        **{
            "steps": 60,
            "batch_size": 2,
            "sequence_length": 16,
            "optimizer": "adamw",
            "peak_lr": 1e-3,
            "switch_lr": 1e-3,
            "final_lr": 1e-4,
            "warmup_steps": 5,
            "stage1_weight_decay": 0.1,
            "stage2_weight_decay": 0.0,
            "evaluate_every": 20,
            "samples": 2,
            **changes,
        }
    )
    return Recipe(ModelConfig(64, 16, 2), training)


@pytest.fixture(scope="module")
def text():
    rng = np.random.default_rng(0)
    tokens = rng.integers(3, 64, size=6_000).astype(np.uint16)
    return tokens, probe.windows(tokens, probe.place(5_000, 16, 256))


@pytest.fixture(scope="module")
def healthy(text):
    trainer = Trainer(recipe(), CPU)
    train(trainer, *text, 256, 60)
    return trainer.observations()


def rules(seen) -> set[str]:
    return {one["rule"] for one in anomalies(seen, LIMITS)}


def test_nothing_is_odd_in_a_training_that_is_well(healthy):
    assert rules(healthy) == set()


@pytest.mark.parametrize(
    ("key", "value", "rule"),
    [
        ("nll", np.nan, "not finite"),
        ("grad_norm", np.inf, "not finite"),
        ("loss_spike", 2.5, "loss spike"),
        ("entropy", 0.5, "low entropy"),
        ("layer_share", 1e-4, "dead layer"),
        ("samples", 7, "repetition"),
    ],
)
def test_each_rule_sees_its_fault_at_its_step_with_what_was_written(healthy, key, value, rule):
    seen = copy.deepcopy(healthy)
    seen[key] = seen[key].copy()
    seen[key][2] = value
    found = anomalies(seen, LIMITS)
    assert {(one["rule"], one["step"]) for one in found} == {(rule, 30)}
    assert found[0]["ids"] == seen["samples"][2][1][0].tolist()
    assert {rule} <= RULES


def test_the_untrained_model_is_not_judged(healthy):
    seen = {key: value.copy() for key, value in healthy.items()}
    seen["entropy"][0] = 0
    assert rules(seen) == set()


def test_without_texts_predictions_are_shown(healthy):
    seen = {key: value.copy() for key, value in healthy.items() if key != "samples"}
    seen["entropy"][1] = 0
    [found] = anomalies(seen, LIMITS)
    assert found["ids"] == seen["prediction"][1][:24].tolist()


def test_a_layer_that_is_switched_off_is_dead(text):
    trainer = Trainer(recipe(), CPU)
    with torch.no_grad():
        trainer.model.layers[1].self_attn.o_proj.weight.zero_()
        trainer.model.layers[1].mlp.down_proj.weight.zero_()
    trainer.step = 20
    trainer.record(torch.from_numpy(text[1]), 256)
    row = trainer.rows[0]
    share = row["layer_share"]
    assert share[1] < 1e-3 < share[0]
    x = trainer.model.embed_tokens(torch.from_numpy(text[1])[:, :-1])
    y = trainer.model.layers[0](x, trainer.model.cos, trainer.model.sin)
    assert share[0] == pytest.approx(((y - x).norm() / x.norm()).item(), rel=1e-5)
    # a layer that adds nothing passes on what it was given
    assert row["activation_absmax"] == pytest.approx(2 * [y.abs().max().item()], rel=1e-5)


def test_a_spike_is_how_far_a_step_stood_above_the_mean_of_a_hundred(text):
    trainer = Trainer(recipe(), CPU)
    losses = [3.0] * 30 + [8.0] + [3.0] * 9
    for i, loss in enumerate(losses, 1):
        trainer.recent.append(torch.tensor([loss, 1.0, 1.0, 1.0, 1.0]))
        if i % 10 == 0:
            assert trainer.finite()
    assert trainer.spike == pytest.approx(8 - np.mean(losses), rel=1e-6)
    trainer.record(torch.from_numpy(text[1]), 256)
    assert trainer.spike == 0 and trainer.rows[0]["loss_spike"] == pytest.approx(4.875, rel=1e-6)


def test_texts_go_on_from_held_out_ones_as_the_model_writes(text, healthy):
    trainer = Trainer(recipe(), CPU)
    train(trainer, *text, 256, 60)
    prompts = text[1][[0, -1], :PROMPT]
    greedy, drawn = healthy["samples"][-1]
    assert greedy.shape == drawn.shape == (2, PROMPT + LENGTH)
    np.testing.assert_array_equal(greedy[:, :PROMPT], prompts)
    writer = generate(Inference(trainer.model), torch.from_numpy(prompts), Sampling())
    assert [next(writer).tolist() for _ in range(5)] == greedy[:, PROMPT : PROMPT + 5].T.tolist()
    assert not np.array_equal(greedy, drawn)


def test_a_model_that_diverged_writes_nothing(text):
    trainer = Trainer(recipe(), CPU)
    with torch.no_grad():
        trainer.model.embed_tokens.weight.fill_(float("nan"))
    trainer.step = 20
    trainer.record(torch.from_numpy(text[1]), 256)
    assert (trainer.rows[0]["samples"] == -1).all()
    seen = trainer.observations() | {"grad_norm": np.array([1.0])}
    assert rules(seen) == {"not finite"}
