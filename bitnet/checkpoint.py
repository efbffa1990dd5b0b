"""Weights and states of a training on disk: to resume, to branch from, to run elsewhere."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from bitnet.tensors import load_tensors, save_tensors


def save_weights(model: nn.Module, path: str | Path, metadata: Mapping[str, Any]) -> None:
    """float32 latent weights, without the duplicate of a tied head."""
    save_state(dict(model.named_parameters()), path, metadata)


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Fill a model; ValueError where the file is damaged or belongs to another shape."""
    tensors, _ = load_state(path)
    own = dict(model.named_parameters())
    odd = sorted(tensors.keys() ^ own.keys())
    odd += [name for name in own.keys() - set(odd) if tensors[name].shape != own[name].shape]
    if odd:
        raise ValueError(f"weights {str(path)!r} are of another model: they differ in {odd[0]}")
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(tensors[name])


def save_state(
    state: Mapping[str, torch.Tensor], path: str | Path, metadata: Mapping[str, Any]
) -> None:
    """Tensors of any device as one whole file."""
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in state.items()}
    save_tensors(path, arrays, metadata)


def load_state(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors on the CPU and metadata; FileNotFoundError or ValueError as `load_tensors`."""
    arrays, metadata = load_tensors(path)
    return {name: torch.from_numpy(array) for name, array in arrays.items()}, metadata
