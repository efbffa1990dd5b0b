"""Gated feed-forward with gate and up projection fused into one matrix (one ternary scale)."""

import torch
import torch.nn.functional as F
from torch import nn

from bitnet.linear import make_linear


def relu_squared(x: torch.Tensor) -> torch.Tensor:
    """max(x, 0)^2 (So et al. 2021, Primer)."""
    return F.relu(x).square()


ACTIVATIONS = {"swiglu": F.silu, "relu2": relu_squared}


class FeedForward(nn.Module):
    """down(activation(gate(x)) * up(x)); SwiGLU (Shazeer 2020) with `activation="swiglu"`."""

    def __init__(self, hidden_size: int, intermediate_size: int, activation: str, weights: str):
        super().__init__()
        self.activation = ACTIVATIONS[activation]
        self.gate_up_proj = make_linear(hidden_size, 2 * intermediate_size, weights)
        self.down_proj = make_linear(intermediate_size, hidden_size, weights)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        gate, up = self.gate_up_proj(x).chunk(2, dim=-1)
        return self.down_proj(self.activation(gate) * up)
