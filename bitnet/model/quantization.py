"""Ternary and int8 quantisers of BitNet b1.58.

Source: Ma et al. 2024, "The Era of 1-bit LLMs: All Large Language Models are in 1.58 Bits",
section 2 (absmean), and its "Training Tips, Code and FAQ" (absmax per token). The clamp of 1e-5
and rounding half to even are those of transformers' BitLinear, so that a model trained here gives
the same outputs there.
"""

import torch

EPS = 1e-5  # lower bound of every scale


def ternary_codes(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Quantise a latent weight (out, in) to {-1, 0, 1} with one scale per tensor.

    Returns codes (as floats, the shape of `weight`) and the scale `mean|w|` (a scalar), both
    float64 for a float64 weight, else float32; `codes * scale` is the quantised weight. The mean
    is taken over each row, then over the rows in float64: a float32 sum over the whole tensor
    depends on the number of threads, and one unit in the last place flips weights.
    """
    weight = weight if weight.dtype == torch.float64 else weight.float()
    mean = weight.abs().mean(dim=-1).mean(dtype=torch.float64)
    scale = mean.clamp_(min=EPS).to(weight.dtype)
    return (weight / scale).round_().clamp_(-1, 1), scale


def int8_codes(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Quantise activations (..., C) to integers in [-127, 127] with one scale per token.

    Returns codes (as floats, the shape of `x`) and scales (..., 1), both float64 for a float64
    `x`, else float32; `codes * scale` is the quantised activation. It is never computed in
    bfloat16, where a tenth of all activations would land on another integer. No clamp is needed:
    the largest code is absmax * (127 / absmax), within two roundings of 127.
    """
    x = x if x.dtype == torch.float64 else x.float()
    # = abs().amax(), without a copy of x; torch.aminmax is several times slower on a CPU
    absmax = torch.maximum(x.amax(-1, keepdim=True), -x.amin(-1, keepdim=True)).clamp_(min=EPS)
    return (x * (127 / absmax)).round_(), absmax / 127
