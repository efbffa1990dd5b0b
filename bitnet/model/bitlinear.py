"""BitLinear (BitNet b1.58): quantised forward, differentiated straight through.

Both autograd functions give the gradients of the textbook `x + (q(x) - x).detach()`, that is
d/dx = g q(w) and d/dw = g^T q(x), without its extra passes over memory. Layers that read the same
input quantise it once. The layer has no norm of its own (the transformer normalises before it)
and no bias.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import nn

from bitnet.config.recipe import WEIGHTS
from bitnet.model.quantization import int8_codes, ternary_codes

VNNI = torch.cpu._is_vnni_supported()
INTEGERS_FROM = 2**24  # multiply-adds of the products of one input

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


def _once(form: Callable, weight: torch.Tensor, argument: object) -> tuple:
    """The result of `form(weight, argument)`, cached inside `quantised_once`."""
    if _kept is None:
        return form(weight, argument)
    key = (id(weight), form)
    if key not in _kept:
        _kept[key] = form(weight, argument)
    return _kept[key]


def _full_form(weight: torch.Tensor, integers: bool) -> tuple:
    """Dequantised weight `codes * scale`, its scale, its int8 codes (None unless `integers`)."""
    codes, scale = ternary_codes(weight)
    eight = codes.to(torch.int8) if integers else None
    return codes.mul_(scale), scale, eight


def _mixed_form(weight: torch.Tensor, fast: torch.dtype) -> tuple:
    """A weight's codes in the dtype `fast`, and their scale."""
    codes, scale = ternary_codes(weight)
    return codes.to(fast), scale


def bit_linear(x: torch.Tensor, *weights: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Products of `x` (..., in) with each weight (out, in), both quantised: one (..., out) each.

    Activations are quantised to int8, weights to ternary. Gradients reach the latent weights and
    `x` straight through the quantisers. Under autocast the products run in its dtype, else in
    float32 or float64; a CPU with fast int8 products computes large float32 ones in integers
    (see `integers_pay`).
    """
    mixed = torch.is_autocast_enabled(x.device.type)
    return (_Mixed if mixed else _Full).apply(x, *weights)


def integers_pay(x: torch.Tensor, weights: Sequence[torch.Tensor]) -> bool:
    """Whether `x` (..., in) times the weights (out, in) is faster as products of int8 codes.

    With VNNI int8 runs at four times float32's speed, which has to pay for int8 copies of the
    inputs and a pass over the result; without it torch multiplies int8 over 20 times slower.
    """
    large = x.numel() * sum(map(len, weights)) >= INTEGERS_FROM
    return VNNI and large and x.device.type == "cpu" and x.dtype == torch.float32


def integer_product(rows: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Exact product of int8 codes `rows` (N, in) and `weight` (out, in), times `scale` (N, 1).

    Returns float32 (N, out).
    """
    product = torch._int_mm(rows, weight.t())
    # Converted from int32 to float32 in place: another array of this size costs more than the pass.
    result = product.view(torch.float32)
    return result.copy_(product).mul_(scale)


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
    """Products of the codes in autocast's dtype; the scales are applied to the results.

    bfloat16 represents every code exactly, so a forward product has exact factors. The backward
    pass keeps int8 codes.
    """

    @staticmethod
    def forward(ctx, x, *weights):
        fast = torch.get_autocast_dtype(x.device.type)
        codes, scale = int8_codes(x)
        quantised = [_once(_mixed_form, w, fast) for w in weights]
        rows = codes.to(fast)
        ys = tuple((F.linear(rows, w) * (scale * s)).to(fast) for w, s in quantised)
        ctx.save_for_backward(codes.to(torch.int8), scale, *(t for q in quantised for t in q))
        ctx.dtypes = [x.dtype, *(w.dtype for w in weights)]
        return ys

    @staticmethod
    def backward(ctx, *grads):
        codes, scale, *quantised = ctx.saved_tensors
        x_dtype, *w_dtypes = ctx.dtypes
        w_codes, w_scales = quantised[::2], quantised[1::2]
        fast = w_codes[0].dtype
        rows = codes.to(fast).flatten(0, -2)
        grad_x, grad_w = None, [None] * len(w_codes)
        if ctx.needs_input_grad[0]:
            maps = zip(grads, w_codes, w_scales, strict=True)
            grad_x = sum((grad.to(fast) @ w) * s for grad, w, s in maps).to(x_dtype)
        for i, dtype in enumerate(w_dtypes):
            if ctx.needs_input_grad[1 + i]:
                scaled = (grads[i] * scale).to(fast).flatten(0, -2)
                grad_w[i] = (scaled.mT @ rows).to(dtype)
        return grad_x, *grad_w


class BitLinear(nn.Linear):
    """Linear layer without bias that uses the ternary form of its float32 weight (out, in)."""

    def __init__(self, in_features: int, out_features: int):
        super().__init__(in_features, out_features, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Output (..., out) for x (..., in), which is quantised to int8 per token."""
        return bit_linear(x, self.weight)[0]


def make_linear(in_features: int, out_features: int, weights: str) -> nn.Linear:
    """BitLinear for `weights="ternary"`; nn.Linear without bias for `"full_precision"`.

    ValueError in one line for any other `weights`.
    """
    if weights not in WEIGHTS:
        raise ValueError(f"weights is {weights!r}; allowed: {', '.join(WEIGHTS)}")
    if weights == "ternary":
        return BitLinear(in_features, out_features)
    return nn.Linear(in_features, out_features, bias=False)


def side_by_side(x: torch.Tensor, *layers: nn.Linear) -> tuple[torch.Tensor, ...]:
    """Outputs (..., out) of several layers for one input (..., in).

    If all layers are BitLinear, the input is quantised once for all of them.
    """
    if all(isinstance(layer, BitLinear) for layer in layers):
        return bit_linear(x, *(layer.weight for layer in layers))
    return tuple(layer(x) for layer in layers)
