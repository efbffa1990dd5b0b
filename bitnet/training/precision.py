"""Precision of a training's products: what its recipe states, resolved for a device.

`float32`: every product has float32 factors. `mixed`: products have bfloat16 factors, whose sums
are float32; weights, optimizer, quantisers, norms and softmax stay float32 (`bitnet.model.products`
has what differs between a GPU and a CPU). `auto`: mixed on a GPU that computes bfloat16, float32
on a CPU: there trainings in both were compared, and not in every case shown to be equivalent
(docs/speed.md).
"""

import torch

BF16_FROM = (8, 0)  # compute capability: below it bfloat16 is emulated


def resolved(precision: str, device: torch.device) -> str:
    """`float32` or `mixed`: the precision that a training on a device has."""
    if precision != "auto":
        return precision
    return "mixed" if device.type == "cuda" and has_bfloat16(device) else "float32"


def has_bfloat16(device: torch.device) -> bool:
    """Whether a device multiplies bfloat16 faster than float32, and int8 too if it is a CPU."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= BF16_FROM
    bfloat16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return device.type == "cpu" and bfloat16 and torch.cpu._is_vnni_supported()
