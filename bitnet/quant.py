"""Ternary and int8 quantisers of BitNet b1.58, and their straight-through linear map.

Source: Ma et al. 2024, "The Era of 1-bit LLMs: All Large Language Models are in 1.58 Bits",
section 2 (absmean), and its "Training Tips, Code and FAQ" (absmax per token). The clamp of 1e-5
and rounding half to even are those of transformers' BitLinear, so that what is trained here runs
there unchanged.
"""

import torch
import torch.nn.functional as F

EPS = 1e-5  # lower bound of every scale


def ternary_codes(weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Quantise a latent weight to {-1, 0, 1} with one scale a tensor.

    Returns codes (as floats, the shape of `weight`) and the scale `mean|w|` (a scalar), both
    float32 or float64; the weight they stand for is `codes * scale`. The mean is taken in float64:
    float32 sums depend on the number of threads, and one unit in the last place flips weights.
    """
    weight = weight if weight.dtype == torch.float64 else weight.float()
    scale = weight.abs().mean(dtype=torch.float64).clamp_(min=EPS).to(weight.dtype)
    return (weight / scale).round_().clamp_(-1, 1), scale


def int8_codes(x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Quantise activations to integers in [-128, 127] with one scale a token (last dimension).

    Returns codes (as floats, the shape of `x`) and scales (..., 1), float32 or float64; the
    activation they stand for is `codes * scale`. Never in bfloat16: a tenth of all activations
    would land on another integer.
    """
    x = x if x.dtype == torch.float64 else x.float()
    # = abs().amax(), without a copy of x; torch.aminmax is several times slower on a CPU
    absmax = torch.maximum(x.amax(-1, keepdim=True), -x.amin(-1, keepdim=True)).clamp_(min=EPS)
    return (x * (127 / absmax)).round_().clamp_(-128, 127), absmax / 127


class _StraightThrough(torch.autograd.Function):
    """y = q(x) q(w)^T, differentiated as if both quantisers were the identity.

    Gradients equal those of the textbook `x + (q(x) - x).detach()` written with autograd, without
    its extra passes over memory: d/dx = g q(w), d/dw = g^T q(x).
    """

    @staticmethod
    def forward(ctx, x, weight):
        x_codes, x_scale = int8_codes(x)
        w_codes, w_scale = ternary_codes(weight)
        # The matrix product runs in autocast's type where that is on (bf16 on a GPU holds every
        # code exactly); scales are applied after it, in full precision.
        fast = torch.get_autocast_dtype(x.device.type)
        mixed = torch.is_autocast_enabled(x.device.type)
        x_codes, w_codes = (x_codes.to(fast), w_codes.to(fast)) if mixed else (x_codes, w_codes)
        ctx.save_for_backward(x_codes, x_scale, w_codes, w_scale)
        ctx.dtypes = x.dtype, weight.dtype
        y = F.linear(x_codes, w_codes)
        return (y * (x_scale * w_scale)).to(fast if mixed else x.dtype)

    @staticmethod
    def backward(ctx, grad):
        x_codes, x_scale, w_codes, w_scale = ctx.saved_tensors
        x_dtype, w_dtype = ctx.dtypes
        grad_x = grad_w = None
        if ctx.needs_input_grad[0]:
            grad_x = ((grad.to(w_codes.dtype) @ w_codes) * w_scale).to(x_dtype)
        if ctx.needs_input_grad[1]:
            scaled = (grad * x_scale).to(x_codes.dtype).flatten(0, -2)
            grad_w = (scaled.mT @ x_codes.flatten(0, -2)).to(w_dtype)
        return grad_x, grad_w


def bit_linear(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """`x` (..., in) times `weight` (out, in) with int8 activations and ternary weights: (..., out).

    Gradients reach the latent `weight` and `x` straight through the quantisers.
    """
    return _StraightThrough.apply(x, weight)
