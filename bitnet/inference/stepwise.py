"""Inference that reads one token of one sequence on a CPU with few and small calls.

A new token of a small model is 20 small products; calling torch for everything around them takes
several times as long as they do. Here that is numpy on memory which is laid out once, between
torch's products, and the logits are those of `bitnet.inference.engine` up to the order of float
sums.
"""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from bitnet.inference.engine import Cache, FrozenLayer, FrozenLinear, Inference
from bitnet.model.quantization import EPS
from bitnet.model.transformer import Transformer

LARGEST = 127  # of the int8 codes


@dataclass
class ArrayCache(Cache):
    """A cache of one sequence that is read and written as numpy arrays too."""

    arrays: list[tuple[np.ndarray, np.ndarray]] = field(init=False)
    """Keys and values of each layer, (num_kv_heads, context, head_dim)."""

    def __post_init__(self):
        pairs = zip(self.keys, self.values, strict=True)
        self.arrays = [(keys[0].numpy(), values[0].numpy()) for keys, values in pairs]


class Norm:
    """RMSNorm of one row (C,); written to the same memory each time."""

    def __init__(self, norm: nn.RMSNorm):
        self.gain, self.eps = norm.weight.detach().numpy(), norm.eps
        self.y = np.empty_like(self.gain)

    def __call__(self, x: np.ndarray) -> np.ndarray:
        np.multiply(x, 1 / math.sqrt(x.dot(x) / len(x) + self.eps), out=self.y)
        return np.multiply(self.y, self.gain, out=self.y)


class Linear:
    """Linear layers of one input row, as a `FrozenLinear`; written to the same memory each time.

    y: their outputs (1, sum of outputs), as a tensor.
    """

    def __init__(self, frozen: FrozenLinear, dtype: torch.dtype):
        self.norm = Norm(frozen.norm) if isinstance(frozen.norm, nn.RMSNorm) else None
        self.weight, self.ternary = frozen.weight.t(), frozen.ternary
        width, outputs = self.weight.shape
        self.x = torch.empty(1, width, dtype=frozen.weight.dtype)
        self.y = torch.empty(1, outputs, dtype=dtype)
        self.row, self.result = self.x.numpy()[0], self.y.numpy()[0]
        if self.ternary:
            self.sums = torch.empty(1, outputs, dtype=torch.int32)
            self.integers, self.scale = self.sums.numpy()[0], frozen.scale.numpy()
            self.factors = np.empty_like(self.scale)
            self.codes = torch.empty(1, width, dtype=dtype)
            self.work = self.codes.numpy()[0]

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """Outputs (sum of outputs,) for x (in,)."""
        if self.norm is not None:
            x = self.norm(x)
        if not self.ternary:
            self.row[:] = x
            torch.mm(self.x, self.weight, out=self.y)
            return self.result
        np.abs(x, out=self.work)
        absmax = np.maximum(self.work[self.work.argmax()], EPS)  # several times as fast as max()
        np.multiply(x, LARGEST / absmax, out=self.work)
        np.rint(self.work, out=self.work)
        self.x.copy_(self.codes)
        torch._int_mm(self.x, self.weight, out=self.sums)
        np.multiply(self.scale, absmax / LARGEST, out=self.factors)
        self.result[:] = self.integers
        return np.multiply(self.result, self.factors, out=self.result)


class Step:
    """One layer of the transformer that processes one token."""

    def __init__(self, layer: FrozenLayer, dtype: torch.dtype):
        heads, kv_heads, head_dim = layer.heads
        self.activation, self.heads, self.softening = layer.activation, heads, head_dim**-0.5
        self.attention_norm, self.mlp_norm = Norm(layer.attention_norm), Norm(layer.mlp_norm)
        frozen = layer.qkv, layer.output, layer.gate_up, layer.down
        self.qkv, self.output, self.gate_up, self.down = (Linear(each, dtype) for each in frozen)
        # Queries and keys lie side by side: (heads + kv_heads, head_dim)
        qk, v = np.split(self.qkv.result.reshape(-1, head_dim), [heads + kv_heads])
        self.qk, self.v, self.swapped = qk, v, np.empty_like(qk)
        self.query = qk[:heads].reshape(kv_heads, -1, head_dim)  # the queries of each key
        self.gate, self.up = self.gate_up.y.chunk(2, dim=-1)
        self.inner = torch.empty_like(self.gate)
        self.product = self.inner.numpy()[0]

    def __call__(
        self,
        x: np.ndarray,
        cos: np.ndarray,
        sin: np.ndarray,
        cache: ArrayCache,
        number: int,
    ) -> None:
        """Extend the residual stream x (C,) in place, for the token after those of the cache.

        cos, sin (head_dim,): of its position; sin is negative in its first half. number: of the
        layer in the cache, to which its keys and values are written.
        """
        self.qkv(self.attention_norm(x))
        half = self.qk.shape[1] // 2
        self.swapped[:, :half], self.swapped[:, half:] = self.qk[:, half:], self.qk[:, :half]
        np.multiply(self.swapped, sin, out=self.swapped)
        np.multiply(self.qk, cos, out=self.qk)
        np.add(self.qk, self.swapped, out=self.qk)
        keys, values = cache.arrays[number]
        keys[:, cache.length], values[:, cache.length] = self.qk[self.heads :], self.v
        end = cache.length + 1
        scores = np.matmul(self.query, keys[:, :end].transpose(0, 2, 1))  # (kv_heads, -1, end)
        scores *= self.softening
        scores -= scores.max(axis=-1, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=-1, keepdims=True)
        x += self.output(np.matmul(scores, values[:, :end]).reshape(-1))
        self.gate_up(self.mlp_norm(x))
        torch.mul(self.activation(self.gate), self.up, out=self.inner)
        x += self.down(self.product)


class Stepwise(Inference):
    """Inference of one sequence at a time; more of them, or another device, as `Inference`."""

    def __init__(self, model: Transformer):
        super().__init__(model)
        self.steps = []
        if self.device.type == "cpu":
            dtype = self.embed.weight.dtype
            self.steps = [Step(layer, dtype) for layer in self.layers]
            self.table, self.last = self.embed.weight.detach().numpy(), Norm(self.norm)
            self.vectors = self.head.weight.detach().t()  # (C, vocab_size)
            turned = torch.cat([-self.sin[:, : len(self.sin[0]) // 2], self.sin], dim=-1)
            self.rotary = self.cos.numpy(), turned[:, : self.sin.shape[1]].numpy()

    def cache(self, batch_size: int) -> Cache:
        """Empty cache for `batch_size` sequences of `context` tokens."""
        cache = super().cache(batch_size)
        single = self.steps and batch_size == 1
        return ArrayCache(cache.keys, cache.values) if single else cache

    def next_logits(self, ids: torch.Tensor, cache: Cache) -> torch.Tensor:
        """Logits (B, vocab_size) after the last of ids (B, T); cache and errors as `hidden`."""
        if not isinstance(cache, ArrayCache) or ids.shape[1] > 1 or cache.length >= self.context:
            return super().next_logits(ids, cache)
        cos, sin = (table[cache.length] for table in self.rotary)
        x = self.table[ids.item()].copy()
        with np.errstate(invalid="ignore", over="ignore"):  # a diverged model's: see `choose`
            for number, step in enumerate(self.steps):
                step(x, cos, sin, cache, number)
            x = self.last(x)
        cache.length += 1
        return torch.mm(torch.from_numpy(x)[None], self.vectors)
