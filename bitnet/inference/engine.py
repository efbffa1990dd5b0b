"""Inference engine: a trained model with weights quantised once and a key-value cache.

Training quantises every latent weight in every forward pass and attends over whole windows. Here
the ternary codes are computed once, and keys and values of earlier tokens are cached, so that a new
token costs one row of each matrix product. The logits are those of `bitnet.model.transformer` up
to the order of float sums.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from bitnet.common.errors import refuse
from bitnet.model.bitlinear import BitLinear
from bitnet.model.quantization import int8_codes, ternary_codes
from bitnet.model.transformer import Layer, Transformer, rotate


@dataclass
class Cache:
    """Keys and values of the tokens read so far, in every layer.

    keys, values: (num_layers, B, num_kv_heads, context, head_dim), filled up to `length` tokens.
    """

    keys: torch.Tensor
    values: torch.Tensor
    length: int = 0


class FrozenLinear:
    """Linear layers of one input, and the norm before them, with ternary codes computed once.

    All layers are one product. `sizes`: parts of its output, where they are not the layers'.

    On a CPU the codes are stored and multiplied as int8. The sums are then exact where training
    rounds, and a token reads a quarter of the memory.
    """

    def __init__(self, norm: nn.Module, *linears: nn.Linear, sizes: list[int] | None = None):
        self.norm, self.ternary = norm, isinstance(linears[0], BitLinear)
        self.sizes = sizes or [linear.out_features for linear in linears]
        weights = [linear.weight.detach() for linear in linears]
        if self.ternary:
            found = [ternary_codes(weight) for weight in weights]
            weights = [codes for codes, _ in found]
            # One scale per matrix, repeated for its outputs: the product is scaled, not the codes
            scales = [scale.expand(len(codes)) for codes, scale in found]
            self.scale = torch.cat(scales)
        self.weight = torch.cat(weights)  # (sum of outputs, in)
        self.as_int8 = self.ternary and self.weight.device.type == "cpu"
        if self.as_int8:
            self.weight = self.weight.to(torch.int8)

    def __call__(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Output (..., out) of each layer for x (..., in), or the parts of `sizes`."""
        x = self.norm(x)
        if not self.ternary:
            return F.linear(x, self.weight).split(self.sizes, dim=-1)
        codes, scale = int8_codes(x)
        if self.as_int8:
            flat = codes.to(torch.int8).flatten(0, -2)
            product = torch._int_mm(flat, self.weight.t()).view(*codes.shape[:-1], -1)
        else:
            product = F.linear(codes, self.weight)
        return (product * (scale * self.scale)).to(x.dtype).split(self.sizes, dim=-1)


class FrozenLayer:
    """One layer of the transformer that processes new tokens only."""

    def __init__(self, layer: Layer):
        attention, mlp = layer.self_attn, layer.mlp
        self.heads = attention.num_heads, attention.num_kv_heads, attention.head_dim
        self.attention_norm, self.mlp_norm = layer.input_layernorm, layer.post_attention_layernorm
        projections, sizes = attention.projections(), attention.sizes
        self.qkv = FrozenLinear(attention.qkv_norm, *projections, sizes=sizes)
        self.output = FrozenLinear(attention.o_norm, attention.o_proj)
        self.gate_up = FrozenLinear(mlp.gate_up_norm, mlp.gate_up_proj)
        self.down, self.activation = FrozenLinear(mlp.down_norm, mlp.down_proj), mlp.activation

    def __call__(
        self,
        x: torch.Tensor,
        rotary: tuple[torch.Tensor, torch.Tensor],
        keys: torch.Tensor,
        values: torch.Tensor,
        start: int,
    ) -> torch.Tensor:
        """Residual stream (B, T, C) after the layer, for x (B, T, C) at positions from `start`.

        rotary: cos and sin (T, head_dim). keys, values (B, num_kv_heads, context, head_dim) are
        written at these positions.
        """
        B, T, C = x.shape
        heads, kv_heads, head_dim = self.heads
        q, k, v = (
            part.view(B, T, n, head_dim).transpose(1, 2)
            for part, n in zip(
                self.qkv(self.attention_norm(x)), (heads, kv_heads, kv_heads), strict=True
            )
        )
        end = start + T
        keys[:, :, start:end], values[:, :, start:end] = rotate(k, *rotary), v
        mask = None  # a single new token attends to everything
        if T > 1:
            mask = torch.ones(T, end, dtype=torch.bool, device=x.device).tril(start)
        y = F.scaled_dot_product_attention(
            rotate(q, *rotary),
            keys[:, :, :end],
            values[:, :, :end],
            attn_mask=mask,
            enable_gqa=kv_heads != heads,
        )
        x = x + self.output(y.transpose(1, 2).reshape(B, T, C))[0]
        gate, up = self.gate_up(self.mlp_norm(x))[0].chunk(2, dim=-1)
        return x + self.down(self.activation(gate) * up)[0]


class Inference:
    """A trained transformer for inference; its linear weights are copied when it is made."""

    def __init__(self, model: Transformer):
        self.config, self.context = model.config, len(model.cos)
        self.cos, self.sin = model.cos, model.sin
        self.embed, self.norm, self.head = model.embed_tokens, model.norm, model.lm_head
        self.layers = [FrozenLayer(layer) for layer in model.layers]

    @property
    def device(self) -> torch.device:
        """Device on which token ids must be."""
        return self.embed.weight.device

    def cache(self, batch_size: int) -> Cache:
        """Empty cache for `batch_size` sequences of `context` tokens."""
        c = self.config
        shape = (c.num_layers, batch_size, c.num_kv_heads, self.context, c.head_dim)
        return Cache(self.embed.weight.new_zeros(shape), self.embed.weight.new_zeros(shape))

    @torch.inference_mode()
    def hidden(self, ids: torch.Tensor, cache: Cache) -> torch.Tensor:
        """Last hidden states (B, T, hidden_size) of ids (B, T) that follow the cached tokens.

        The cache is extended by them. ValueError in one line where they exceed the context.
        """
        start, end = cache.length, cache.length + ids.shape[1]
        if end > self.context:
            raise refuse("tokens", end, f"at most the context of {self.context}")
        x = self.embed(ids)
        rotary = self.cos[start:end], self.sin[start:end]
        for i, layer in enumerate(self.layers):
            x = layer(x, rotary, cache.keys[i], cache.values[i], start)
        cache.length = end
        return self.norm(x)

    @torch.inference_mode()
    def logits(self, ids: torch.Tensor, cache: Cache) -> torch.Tensor:
        """Logits (B, T, vocab_size) after each of ids (B, T); cache and errors as `hidden`."""
        return self.head(self.hidden(ids, cache))

    @torch.inference_mode()
    def next_logits(self, ids: torch.Tensor, cache: Cache) -> torch.Tensor:
        """Logits (B, vocab_size) after the last of ids (B, T); cache and errors as `hidden`."""
        return self.head(self.hidden(ids, cache)[:, -1])
