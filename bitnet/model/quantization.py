"""Ternary and int8 quantisers of BitNet b1.58.

Source: Ma et al. 2024, "The Era of 1-bit LLMs: All Large Language Models are in 1.58 Bits",
section 2 (absmean), and its "Training Tips, Code and FAQ" (absmax per token). The clamp of 1e-5
and rounding half to even are those of transformers' BitLinear, so that what is trained here runs
there unchanged.
"""

import torch

EPS = 1e-5  # lower bound of every scale


def ternary_codes(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Quantise a latent weight (out, in) to {-1, 0, 1} with one scale a tensor.

    Returns codes (as floats, the shape of `weight`) and the scale `mean|w|` (a scalar), both
    float32 or float64; the weight they stand for is `codes * scale`. Rows are summed one by one
    and their means in float64: a float32 sum over everything depends on the number of threads, and
    one unit in the last place flips weights.
    """
    weight = weight if weight.dtype == torch.float64 else weight.float()
    mean = weight.abs().mean(dim=-1).mean(dtype=torch.float64)
    scale = mean.clamp_(min=EPS).to(weight.dtype)
    return (weight / scale).round_().clamp_(-1, 1), scale


def int8_codes(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Quantise activations to integers in [-127, 127] with one scale a token (last dimension).

    Returns codes (as floats, the shape of `x`) and scales (..., 1), float32 or float64; the
    activation they stand for is `codes * scale`. Never in bfloat16: a tenth of all activations
    would land on another integer. No clamp is needed: the largest code is absmax * (127 / absmax),
    within two roundings of 127.
    """
    x = x if x.dtype == torch.float64 else x.float()
    # = abs().amax(), without a copy of x; torch.aminmax is several times slower on a CPU
    absmax = torch.maximum(x.amax(-1, keepdim=True), -x.amin(-1, keepdim=True)).clamp_(min=EPS)
    return (x * (127 / absmax)).round_(), absmax / 127
