"""Floating-point operations of a training, and the seconds they are expected to take.

The constants were measured once on a server core; another machine may differ by a factor of two.
(Timing a matrix product at run time instead was off by a factor of ten inside a busy process.)
"""

from bitnet.config.recipe import Recipe

# Overhead of a step in seconds per layer, and the speed of its arithmetic in operations a second.
CPU_SECONDS_A_LAYER, CPU_FLOPS = 0.0035, 8e10  # one thread in float32
GPU_SECONDS_A_LAYER, GPU_FLOPS = 0.0025, 5e13  # not measured: kernel launches, cautious speed


def flops_per_token(recipe: Recipe) -> float:
    """Floating-point operations of forward and backward pass per token.

    Source: Kaplan et al. 2020, section 2.1; attention scores are counted for a causal mask.
    """
    model, parts = recipe.model, recipe.model.parameters()
    matrices = parts["attention"] + parts["feed_forward"] + model.vocab_size * model.hidden_size
    scores = model.num_layers * model.hidden_size * recipe.training.sequence_length
    return 6.0 * matrices + 6.0 * scores


def step_seconds(recipe: Recipe, gpu: bool) -> float:
    """Expected seconds of one optimizer step on a GPU or on the recipe's CPU threads."""
    c = recipe.training
    layer, flops = CPU_SECONDS_A_LAYER, CPU_FLOPS * c.threads
    if gpu:
        layer, flops = GPU_SECONDS_A_LAYER, GPU_FLOPS
    work = flops_per_token(recipe) * c.batch_size * c.sequence_length / flops
    return work + layer * recipe.model.num_layers
