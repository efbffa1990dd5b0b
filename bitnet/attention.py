"""Causal grouped-query attention with rotary positions in the half-split layout of transformers."""

import torch
import torch.nn.functional as F
from torch import nn

from bitnet.linear import make_linear, side_by_side


def rotary_tables(length: int, head_dim: int, theta: float) -> tuple[torch.Tensor, torch.Tensor]:
    """cos and sin of the rotary angles, each (length, head_dim), float32.

    Source: Su et al. 2021 (RoFormer), eq. 34; both halves of a head share their frequencies.
    """
    frequency = theta ** (-torch.arange(0, head_dim, 2, dtype=torch.float64) / head_dim)
    angle = torch.outer(torch.arange(length, dtype=torch.float64), frequency)
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos().float(), angle.sin().float()


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn each pair (i, i + head_dim / 2) of x (B, heads, T, head_dim) by its position's angle."""
    first, second = x.chunk(2, dim=-1)
    return x * cos.to(x.dtype) + torch.cat([-second, first], dim=-1) * sin.to(x.dtype)


class Attention(nn.Module):
    """Query heads share key / value heads in groups (Ainslie et al. 2023, GQA)."""

    def __init__(self, hidden_size: int, num_heads: int, num_kv_heads: int, weights: str):
        super().__init__()
        self.num_heads, self.num_kv_heads = num_heads, num_kv_heads
        self.head_dim = hidden_size // num_heads
        kv_size = num_kv_heads * self.head_dim
        self.q_proj = make_linear(hidden_size, hidden_size, weights)
        self.k_proj = make_linear(hidden_size, kv_size, weights)
        self.v_proj = make_linear(hidden_size, kv_size, weights)
        self.o_proj = make_linear(hidden_size, hidden_size, weights)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        B, T, C = x.shape
        maps = side_by_side(x, self.q_proj, self.k_proj, self.v_proj)
        # (B, heads, T, head_dim)
        q, k, v = (y.view(B, T, -1, self.head_dim).transpose(1, 2) for y in maps)
        y = F.scaled_dot_product_attention(
            rotate(q, cos, sin),
            rotate(k, cos, sin),
            v,
            is_causal=True,
            enable_gqa=self.num_kv_heads != self.num_heads,
        )
        return self.o_proj(y.transpose(1, 2).reshape(B, T, C))
