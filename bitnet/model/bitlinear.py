"""BitLinear (BitNet b1.58): quantised forward, differentiated straight through.

Both autograd functions give the gradients of the textbook `x + (q(x) - x).detach()`, that is
d/dx = g q(w) and d/dw = g^T q(x), without its extra passes over memory. Layers that read the same
input quantise it once. The layer has no norm of its own (the transformer normalises before it,
with `linear_norms` twice) and no bias.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import nn

from bitnet.config.recipe import WEIGHTS
from bitnet.model.products import (
    FullPrecisionLinear,
    integer_product,
    integers_are_fast,
    integers_pay,
    joined,
    mixed_types,
    plain_linear,
)
from bitnet.model.quantization import int8_codes, ternary_codes

_kept: dict | None = None  # quantised weights by (id of the weight, form), in `quantised_once`


@contextmanager
def quantised_once() -> Iterator[None]:
    """Context in which a weight is quantised at its first use only: for a step's micro-batches.

    Weights must not change inside, and layers must not be compiled: torch.compile does not see
    this global state.
    """
    global _kept
    _kept = {}
    try:
        yield
    finally:
        _kept = None


def _once(form: Callable, weight: torch.Tensor, *arguments: object) -> tuple:
    """The result of `form(weight, *arguments)`, cached inside `quantised_once`."""
    if _kept is None:
        return form(weight, *arguments)
    key = (id(weight), form)
    if key not in _kept:
        _kept[key] = form(weight, *arguments)
    return _kept[key]


def _full_form(weight: torch.Tensor, integers: bool) -> tuple:
    """Dequantised weight `codes * scale`, its scale, its int8 codes (None unless `integers`)."""
    codes, scale = ternary_codes(weight)
    eight = codes.to(torch.int8) if integers else None
    return codes.mul_(scale), scale, eight


def _mixed_form(weight: torch.Tensor, fast: torch.dtype, integers: bool) -> tuple:
    """A weight's codes in the dtype `fast`, their scale, int8 codes (None unless `integers`)."""
    codes, scale = ternary_codes(weight)
    return codes.to(fast), scale, codes.to(torch.int8) if integers else None


def bit_linear(x: torch.Tensor, *weights: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Products of `x` (..., in) with each weight (out, in), both quantised: one (..., out) each.

    Activations are quantised to int8, weights to ternary. Gradients reach the latent weights and
    `x` straight through the quantisers. Mixed products (`mixed_types`) have bfloat16 factors, the
    others float32 or float64; a CPU with fast int8 products computes large ones of the forward
    pass in integers (see `integers_pay`).
    """
    types = mixed_types(x, weights)
    return _Mixed.apply(types, x, *weights) if types else _Full.apply(x, *weights)


class _Full(torch.autograd.Function):
    """Products of dequantised values: the scales cost one pass over the inputs."""

    @staticmethod
    def forward(ctx, x, *weights):
        codes, scale = int8_codes(x)
        integers = integers_pay(codes, weights)
        quantised = [_once(_full_form, w, integers) for w in weights]
        if integers:
            rows, per_row = codes.flatten(0, -2).to(torch.int8), scale.flatten(0, -2)
            ys = [integer_product(rows, eight, per_row * s) for _, s, eight in quantised]
        x_q = codes.mul_(scale)
        w_q = [w for w, _, _ in quantised]
        if not integers:
            ys = [F.linear(x_q, q) for q in w_q]
        ctx.save_for_backward(x_q, *w_q)
        ctx.dtypes = [x.dtype, *(w.dtype for w in weights)]
        return tuple(y.view(*x.shape[:-1], -1).to(x.dtype) for y in ys)

    @staticmethod
    def backward(ctx, *grads):
        x_q, *w_q = ctx.saved_tensors
        x_dtype, *w_dtypes = ctx.dtypes
        rows = x_q.flatten(0, -2)
        grads = [grad.to(x_q.dtype).flatten(0, -2) for grad in grads]
        grad_x, grad_w = None, [None] * len(w_q)
        if ctx.needs_input_grad[0]:
            grad_x = grads[0] @ w_q[0]
            for grad, q in zip(grads[1:], w_q[1:], strict=True):
                grad_x.addmm_(grad, q)
            grad_x = grad_x.view(x_q.shape).to(x_dtype)
        for i, dtype in enumerate(w_dtypes):
            if ctx.needs_input_grad[1 + i]:
                grad_w[i] = (grads[i].mT @ rows).to(dtype)
        return grad_x, *grad_w


class _Mixed(torch.autograd.Function):
    """Products of the codes in the type of the factors; the scales are applied to the results.

    bfloat16 represents every code exactly, so a forward product has exact factors; a CPU computes
    it in integers. With y = (codes_x codes_w^T) s_x s_w both gradients need g s_x s_w, which is
    rounded to bfloat16 once: d/dw = (g s_x s_w)^T codes_x / s_w, d/dx = (g s_x s_w) codes_w / s_x.
    """

    @staticmethod
    def forward(ctx, types, x, *weights):
        fast, result = types
        integers = result == torch.float32 and integers_are_fast(x.device)
        codes, scale = int8_codes(x.flatten(0, -2))
        quantised = [_once(_mixed_form, w, fast, integers) for w in weights]
        rows = codes.to(torch.int8) if integers else codes.to(fast)
        if integers:
            ys = [integer_product(rows, eight, scale * s) for _, s, eight in quantised]
        else:
            ys = [F.linear(rows, w) * (scale * s) for w, s, _ in quantised]
        # The backward pass keeps int8 codes, half of bfloat16's memory.
        ctx.save_for_backward(rows.to(torch.int8), scale, *(t for q in quantised for t in q[:2]))
        ctx.shape, ctx.dtypes = x.shape, [x.dtype, *(w.dtype for w in weights)]
        return tuple(y.view(*x.shape[:-1], -1).to(result) for y in ys)

    @staticmethod
    def backward(ctx, *grads):
        codes, scale, *quantised = ctx.saved_tensors
        x_dtype, *w_dtypes = ctx.dtypes
        w_codes, w_scales = quantised[::2], quantised[1::2]
        fast = w_codes[0].dtype
        pairs = zip(grads, w_scales, strict=True)
        scaled = joined([(g.flatten(0, -2) * (scale * s)).to(fast) for g, s in pairs], 1)
        grad_x, grad_w = None, [None] * len(w_codes)
        if ctx.needs_input_grad[1]:
            grad_x = ((scaled @ joined(w_codes, 0)).float() / scale).view(ctx.shape).to(x_dtype)
        if any(ctx.needs_input_grad[2:]):
            parts = (scaled.mT @ codes.to(fast)).split([len(w) for w in w_codes])
            maps = zip(parts, w_scales, w_dtypes, strict=True)
            grad_w = [part.float().div_(s).to(dtype) for part, s, dtype in maps]
        return None, grad_x, *grad_w


class BitLinear(nn.Linear):
    """Linear layer without bias that uses the ternary form of its float32 weight (out, in)."""

    def __init__(self, in_features: int, out_features: int):
        super().__init__(in_features, out_features, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Output (..., out) for x (..., in), which is quantised to int8 per token."""
        return bit_linear(x, self.weight)[0]


def make_linear(in_features: int, out_features: int, weights: str) -> nn.Linear:
    """BitLinear for `weights="ternary"`; FullPrecisionLinear for `"full_precision"`.

    ValueError in one line for any other `weights`.
    """
    if weights not in WEIGHTS:
        raise ValueError(f"weights is {weights!r}; allowed: {', '.join(WEIGHTS)}")
    if weights == "ternary":
        return BitLinear(in_features, out_features)
    return FullPrecisionLinear(in_features, out_features)


def side_by_side(x: torch.Tensor, *layers: nn.Linear) -> tuple[torch.Tensor, ...]:
    """Outputs (..., out) of several layers for one input (..., in).

    Layers of one kind quantise or convert the input once for all of them.
    """
    for kind, function in ((BitLinear, bit_linear), (FullPrecisionLinear, plain_linear)):
        if all(isinstance(layer, kind) for layer in layers):
            return function(x, *(layer.weight for layer in layers))
    return tuple(layer(x) for layer in layers)
