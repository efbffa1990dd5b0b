"""How much there is to train and about how long it takes, told before anything starts.

Arithmetic from constants, measured once on a server core; another machine may differ by a factor
of two. (Timing a matrix product here instead was off by ten inside a busy process.)
"""

from collections.abc import Sequence

from bitnet.config import Recipe

# Seconds that a step costs a layer besides its arithmetic, and the speed of that arithmetic.
CPU_SECONDS_A_LAYER, CPU_FLOPS = 0.0035, 8e10  # one thread in float32
GPU_SECONDS_A_LAYER, GPU_FLOPS = 0.0025, 5e13  # not measured: launches and a cautious share of peak
START_SECONDS = 5  # of one job: Python, imports, building the model


def flops_per_token(recipe: Recipe) -> float:
    """Floating-point operations of forward and backward, a token (Kaplan et al. 2020, 2.1)."""
    model, parts = recipe.model, recipe.model.parameters()
    matrices = parts["attention"] + parts["feed_forward"] + model.vocab_size * model.hidden_size
    scores = model.num_layers * model.hidden_size * recipe.training.sequence_length
    return 6.0 * matrices + 6.0 * scores


def stretch_seconds(recipe: Recipe, gpu: bool) -> float:
    """Expected seconds of the stretch that a recipe trains: stage 1 of a trunk, else stage 2."""
    c = recipe.training
    trunk = c.stage2_weight_decay is None
    steps = c.wd_switch if trunk else c.steps - c.wd_switch
    return START_SECONDS + steps * step_seconds(recipe, gpu)


def step_seconds(recipe: Recipe, gpu: bool) -> float:
    """Expected seconds of one step."""
    c = recipe.training
    layer, flops = CPU_SECONDS_A_LAYER, CPU_FLOPS * c.threads
    if gpu:
        layer, flops = GPU_SECONDS_A_LAYER, GPU_FLOPS
    work = flops_per_token(recipe) * c.batch_size * c.sequence_length / flops
    return work + layer * recipe.model.num_layers


def announcement(recipes: Sequence[Recipe], gpu: bool, at_once: int) -> str:
    """One line: how many stretches will be trained, and about how long that takes."""
    if not recipes:
        return "nothing to train: judging what is there"
    trunks = sum(recipe.training.stage2_weight_decay is None for recipe in recipes)
    branches = len(recipes) - trunks
    at_once = min(at_once, max(trunks, branches))  # a branch waits for its trunk
    seconds = sum(stretch_seconds(recipe, gpu) for recipe in recipes) / at_once
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
