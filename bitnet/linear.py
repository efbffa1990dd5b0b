"""BitLinear: a linear layer with ternary weights and int8 activations, and its twin by one switch.

It has no norm of its own (the transformer normalises before it) and no bias.
"""

import torch
from torch import nn

from bitnet.config import WEIGHTS
from bitnet.straight_through import bit_linear


class BitLinear(nn.Linear):
    """Linear map whose float32 latent weight (out, in) acts as its ternary quantisation."""

    def __init__(self, in_features: int, out_features: int):
        super().__init__(in_features, out_features, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return bit_linear(x, self.weight)[0]


def make_linear(in_features: int, out_features: int, weights: str) -> nn.Linear:
    """BitLinear for `weights="ternary"`; its full-precision twin for `"full_precision"`."""
    if weights not in WEIGHTS:
        raise ValueError(f"weights is {weights!r}; allowed: {', '.join(WEIGHTS)}")
    if weights == "ternary":
        return BitLinear(in_features, out_features)
    return nn.Linear(in_features, out_features, bias=False)


def side_by_side(x: torch.Tensor, *layers: nn.Linear) -> tuple[torch.Tensor, ...]:
    """What layers of one kind give for one input (..., in); BitLinear ones quantise it once."""
    if all(isinstance(layer, BitLinear) for layer in layers):
        return bit_linear(x, *(layer.weight for layer in layers))
    return tuple(layer(x) for layer in layers)
