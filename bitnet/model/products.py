"""Matrix products of training: float32 or mixed precision, by what the CPU or GPU does fastest.

On a GPU mixed precision is torch.autocast, which acts on everything. On a CPU it acts on large
products alone: activations stay float32 between them (attention's backward pass takes twice as
long in bfloat16), and a small product does not pay for the conversion of its factors.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

VNNI = torch.cpu._is_vnni_supported()
INTEGERS_FROM = 2**24  # multiply-adds of the products of one input
MIXED_FROM = 2**22  # the same, on a CPU with bfloat16 products
ONEDNN_FROM = 2**22  # multiply-adds of one product
ROUNDING = 1e-6  # relative error of a float32 product at most; that of bfloat16 is 2e-3
CPUINFO, ZEN5 = Path("/proc/cpuinfo"), 26  # AMD's family of that name

_mixed = False  # whether large products of a CPU have bfloat16 factors: in `mixed_products`


def _multiply_adds(x: torch.Tensor, weights: Sequence[torch.Tensor]) -> int:
    """Multiply-adds of `x` (..., in) times each of the weights (out, in)."""
    return x.numel() * sum(map(len, weights))


# --- integers ---


def integers_are_fast(device: torch.device) -> bool:
    """Whether a device multiplies int8 faster than anything else: a CPU with VNNI.

    There int8 runs at four times float32's speed; without it torch multiplies int8 over 20 times
    slower.
    """
    return VNNI and device.type == "cpu"


def integers_pay(x: torch.Tensor, weights: Sequence[torch.Tensor]) -> bool:
    """Whether `x` (..., in) times the weights (out, in) is faster as products of int8 codes.

    The gain has to pay for int8 copies of the inputs and a pass over the result.
    """
    large = _multiply_adds(x, weights) >= INTEGERS_FROM
    return large and integers_are_fast(x.device) and x.dtype == torch.float32


def integer_product(rows: torch.Tensor, weight: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Exact product of int8 codes `rows` (N, in) and `weight` (out, in), times `scale` (N, 1).

    Returns float32 (N, out).
    """
    product = torch._int_mm(rows, weight.t())
    # Converted from int32 to float32 in place: another array of this size costs more than the pass.
    result = product.view(torch.float32)
    return result.copy_(product).mul_(scale)


# --- mixed precision ---


@contextmanager
def mixed_products(device: torch.device, enabled: bool = True) -> Iterator[None]:
    """Context of bfloat16 factors: of all products on a GPU, of large ones on a CPU."""
    global _mixed
    if device.type != "cpu":
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=enabled):
            yield
        return
    before, _mixed = _mixed, enabled
    try:
        yield
    finally:
        _mixed = before


def mixed_types(x: torch.Tensor, weights: Sequence[torch.Tensor]) -> tuple | None:
    """Types of factors and results of `x` (..., in) times the weights (out, in), if mixed."""
    if torch.is_autocast_enabled(x.device.type):
        return (torch.get_autocast_dtype(x.device.type),) * 2
    if _mixed and x.dtype == torch.float32 and _multiply_adds(x, weights) >= MIXED_FROM:
        return torch.bfloat16, torch.float32
    return None


def joined(tensors: Sequence[torch.Tensor], dim: int) -> torch.Tensor:
    """Tensors concatenated along `dim`; a single one as it is."""
    return tensors[0] if len(tensors) == 1 else torch.cat(tensors, dim)


def plain_linear(x: torch.Tensor, *weights: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Products of `x` (..., in) with each weight (out, in), unquantised: one (..., out) each."""
    types = mixed_types(x, weights)
    # Autocast converts by itself, and keeps what it has converted of a weight.
    if types and not torch.is_autocast_enabled(x.device.type):
        return _Mixed.apply(types, x, *weights)
    return tuple(F.linear(x, weight) for weight in weights)


class _Mixed(torch.autograd.Function):
    """Unquantised products with factors of one type and results of another."""

    @staticmethod
    def forward(ctx, types, x, *weights):
        fast, result = types
        rows, matrix = x.flatten(0, -2).to(fast), joined(weights, 0).to(fast)
        ctx.save_for_backward(rows, matrix)
        ctx.shape, ctx.sizes = x.shape, [len(w) for w in weights]
        y = F.linear(rows, matrix).to(result).view(*x.shape[:-1], -1)
        return y.split(ctx.sizes, -1) if len(weights) > 1 else (y,)

    @staticmethod
    def backward(ctx, *grads):
        rows, matrix = ctx.saved_tensors
        grad = joined([g.flatten(0, -2).to(rows.dtype) for g in grads], 1)
        grad_x, grad_w = None, [None] * len(grads)
        if ctx.needs_input_grad[1]:
            grad_x = (grad @ matrix).float().view(ctx.shape)
        if any(ctx.needs_input_grad[2:]):
            grad_w = (grad.mT @ rows).float().split(ctx.sizes)
        return None, grad_x, *grad_w


class FullPrecisionLinear(nn.Linear):
    """Linear layer without bias that uses its weight (out, in) as it is: the twin's."""

    def __init__(self, in_features: int, out_features: int):
        super().__init__(in_features, out_features, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Output (..., out) for x (..., in)."""
        return plain_linear(x, self.weight)[0]


# --- float32 ---


@contextmanager
def fastest_float32(multiply_adds: int) -> Iterator[None]:
    """Context in which a CPU's float32 products take the faster of torch's two libraries.

    multiply_adds: of a typical product; small ones do not pay for oneDNN's longer call.
    """
    with onednn() if multiply_adds >= ONEDNN_FROM and onednn_is_faster() else nullcontext():
        yield


@cache
def onednn_is_faster() -> bool:
    """Whether oneDNN multiplies float32 faster than MKL here: on AMD's CPUs from Zen 5 on.

    MKL takes its AVX2 path on AMD. Before Zen 5, which has AVX-512 units of full width, it loses
    nothing by that. oneDNN is reached by allowing it bfloat16, which it does not use without a unit
    for it (AMX); the error of a product says so, not the setting.
    """
    return _amd_family() >= ZEN5 and rounding_by_onednn() < ROUNDING


def rounding_by_onednn() -> float:
    """Relative error of a float32 product by oneDNN."""
    generator = torch.Generator().manual_seed(0)
    a, b = (torch.randn(256, 256, generator=generator) for _ in range(2))
    with onednn():
        product = a @ b
    exact = a.double() @ b.double()
    return (torch.linalg.norm(product - exact) / torch.linalg.norm(exact)).item()


@contextmanager
def onednn() -> Iterator[None]:
    """Context in which a CPU's float32 products are oneDNN's, whatever their size."""
    setting = torch.backends.mkldnn.matmul
    before, setting.fp32_precision = setting.fp32_precision, "bf16"
    try:
        yield
    finally:
        setting.fp32_precision = before


def _amd_family() -> int:
    """Family of an AMD CPU as Linux names it; 0 where it is another's, or Linux is not there."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    found = {key.strip(): value.strip() for key, value in pairs}
    return int(found.get("cpu family", 0)) if found.get("vendor_id") == "AuthenticAMD" else 0
