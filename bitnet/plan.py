"""How much there is to train and about how long it takes, told before anything starts.

Arithmetic only: no training is timed, so the answer is good to a factor of about two.
"""

import time
from collections.abc import Sequence

import numpy as np

from bitnet.config import Recipe

# Measured: what a step costs besides its matrix products, a layer, and the share of a plain
# matrix product's speed that a training reaches.
CPU_SECONDS_A_LAYER, CPU_SHARE = 0.003, 0.5
GPU_SECONDS_A_LAYER, GPU_FLOPS = 0.0025, 5e13
START_SECONDS = 5  # of one job: Python, imports, building the model


def flops_per_token(recipe: Recipe) -> float:
    """Floating-point operations of forward and backward, a token (Kaplan et al. 2020, 2.1)."""
    model, parts = recipe.model, recipe.model.parameters()
    matrices = parts["attention"] + parts["feed_forward"] + model.vocab_size * model.hidden_size
    scores = model.num_layers * model.hidden_size * recipe.training.sequence_length
    return 6.0 * matrices + 6.0 * scores


def matmul_flops(size: int = 512, seconds: float = 0.1) -> float:
    """Operations a second of a plain float32 matrix product on this machine's CPU."""
    a = np.ones((size, size), dtype=np.float32)
    a @ a
    began, done = time.perf_counter(), 0
    while time.perf_counter() - began < seconds:
        a @ a
        done += 1
    return done * 2.0 * size**3 / (time.perf_counter() - began)


def stretch_seconds(recipe: Recipe, gpu: bool, cpu_flops: float) -> float:
    """Expected seconds of the stretch that a recipe trains: stage 1 of a trunk, else stage 2."""
    c = recipe.training
    trunk = c.stage2_weight_decay is None
    steps = c.wd_switch if trunk else c.steps - c.wd_switch
    layer, flops = GPU_SECONDS_A_LAYER, GPU_FLOPS
    if not gpu:
        layer, flops = CPU_SECONDS_A_LAYER, cpu_flops * CPU_SHARE
    work = flops_per_token(recipe) * c.batch_size * c.sequence_length / flops
    return START_SECONDS + steps * (work + layer * recipe.model.num_layers)


def announcement(recipes: Sequence[Recipe], gpu: bool, at_once: int) -> str:
    """One line: how many stretches will be trained, and about how long that takes."""
    if not recipes:
        return "nothing to train: judging what is there"
    trunks = sum(recipe.training.stage2_weight_decay is None for recipe in recipes)
    branches = len(recipes) - trunks
    at_once = min(at_once, max(trunks, branches))  # a branch waits for its trunk
    cpu_flops = 0.0 if gpu else matmul_flops()
    seconds = sum(stretch_seconds(recipe, gpu, cpu_flops) for recipe in recipes) / at_once
    return (
        f"to train: {trunks} x stage 1 and {branches} x stage 2, {at_once} at a time on "
        f"{'a GPU' if gpu else 'the CPU'}: about {spell_duration(seconds)}"
    )


def spell_duration(seconds: float) -> str:
    """3 minutes, 2.5 hours, 4 days: as coarse as the estimate."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}s"
    return f"{max(1, round(seconds / 60))} minute{'s' if seconds >= 90 else ''}"
