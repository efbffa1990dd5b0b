"""A trained model's tensors for export: transformers' names, ternary matrices as codes and scale.

Training keeps float32 latent weights and quantises them at each step. Here that is done once; every
export format is made from these codes and the one scale per matrix.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bitnet.config.recipe import Recipe
from bitnet.model.bitlinear import BitLinear
from bitnet.model.checkpoint import open_trained, recipe_of
from bitnet.model.quantization import ternary_codes


@dataclass(frozen=True)
class Ternary:
    """A ternary matrix: codes -1, 0 and 1, and the scale that multiplies them."""

    codes: np.ndarray
    """(out, in) int8."""
    scale: np.float32

    def dense(self) -> np.ndarray:
        """The dequantised weight `codes * scale`, (out, in) float32."""
        return self.codes * self.scale


@dataclass(frozen=True)
class Frozen:
    """A trained run for export: its recipe, its tensors by transformers' names, its metadata."""

    recipe: Recipe
    tensors: Mapping[str, np.ndarray | Ternary]
    latent: Mapping[str, np.ndarray]
    """Float32 weights by this project's names, as training left them."""
    trained: Mapping[str, Any]
    """Metadata of the weights file: code, data, device, environment, ..."""

    def dense(self) -> dict[str, np.ndarray]:
        """All tensors by name as float32 arrays, ternary ones dequantised."""
        return {
            name: tensor.dense() if isinstance(tensor, Ternary) else tensor
            for name, tensor in self.tensors.items()
        }


def freeze(path: str | Path) -> Frozen:
    """Read a run's weights from a file and quantise its BitLinear matrices.

    A fused gate and up projection is split; both halves keep the scale of the whole. ValueError in
    one line where the file is damaged, or weights are not finite because training diverged.
    """
    model, trained = open_trained(path)
    ternary = {name for name, module in model.named_modules() if isinstance(module, BitLinear)}
    tensors: dict[str, np.ndarray | Ternary] = {}
    latent: dict[str, np.ndarray] = {}
    for name, parameter in model.named_parameters():
        weight = parameter.detach()
        if not weight.isfinite().all():
            raise ValueError(f"{str(path)!r} cannot be exported: {name} is not finite; it diverged")
        latent[name] = weight.numpy()
        module = name.removesuffix(".weight")
        if module in ternary:
            codes, scale = ternary_codes(weight)
            codes, scale = codes.numpy().astype(np.int8), np.float32(scale.item())
            for part, rows in _split(module, codes).items():
                tensors[f"{part}.weight"] = Ternary(rows, scale)
        else:
            for part, rows in _split(module, weight.numpy()).items():
                tensors[f"{part}.weight"] = rows
    return Frozen(recipe_of(trained), tensors, latent, trained)


def _split(module: str, rows: np.ndarray) -> dict[str, np.ndarray]:
    """A module's weight by transformers' name; a fused gate and up projection as two."""
    name = module if module == "lm_head" else f"model.{module}"
    if not name.endswith("gate_up_proj"):
        return {name: rows}
    gate, up = np.split(rows, 2)
    return {name.replace("gate_up", "gate"): gate, name.replace("gate_up", "up"): up}


def interleave(weights: np.ndarray, head_dim: int) -> np.ndarray:
    """A query or key matrix (heads x head_dim, in) whose rotary pairs are neighbours.

    Training and transformers' Llama rotate row i of a head with row i + head_dim / 2, llama.cpp and
    transformers' Glm row 2i with row 2i + 1. Source: llama.cpp, conversion of LlamaForCausalLM,
    `permute`.
    """
    rows = weights.reshape(-1, 2, head_dim // 2, weights.shape[1])  # (heads, half, i, in)
    return rows.swapaxes(1, 2).reshape(weights.shape)


def separate(weights: np.ndarray, head_dim: int) -> np.ndarray:
    """The inverse of `interleave`."""
    rows = weights.reshape(-1, head_dim // 2, 2, weights.shape[1])  # (heads, i, half, in)
    return rows.swapaxes(1, 2).reshape(weights.shape)
