"""A recipe as JSON holds it, for tests that only hand it on."""

import json

from bitnet.config.recipe import ModelConfig, Recipe, TrainConfig


def recipe(weights: str = "ternary", **training) -> dict:
    """Hidden 64, 100 steps, a vocabulary of 2,048."""
    rates = {"peak_lr": 1.5e-3, "switch_lr": 1e-3, "final_lr": 1.5e-5, "warmup_steps": 5}
    batches = {"steps": 100, "batch_size": 2, "sequence_length": 32, "optimizer": "adam"}
    decay = {"stage1_weight_decay": 0.1, "stage2_weight_decay": 0.0}
    protocol = TrainConfig(**{**rates, **batches, **decay, **training})
    return json.loads(Recipe(ModelConfig(2048, 64, 2, weights=weights), protocol).to_json())
