"""Checkpoints in safetensors: a run's weights, and training states to resume or branch from."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from torch import nn

from bitnet.common.errors import refuse
from bitnet.common.files import damaged
from bitnet.common.tensors import load_tensors, save_tensors
from bitnet.config.recipe import Recipe
from bitnet.model.transformer import Transformer

LOADABLE = "weights that training wrote, like models/quick/h64_wd0.safetensors"


def save_weights(model: nn.Module, path: str | Path, metadata: Mapping[str, Any]) -> None:
    """Write a model's float32 latent weights; a tied head is stored once, as the embedding."""
    save_state(dict(model.named_parameters()), path, metadata)


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Copy the weights of a file into a model of the same shape.

    FileNotFoundError for a missing file; ValueError in one line for a damaged one, or for one
    whose tensors have other names or shapes.
    """
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
    """Write tensors (of any device) and JSON metadata to one file, atomically."""
    arrays = {name: tensor.detach().cpu().numpy() for name, tensor in state.items()}
    save_tensors(path, arrays, metadata)


def load_state(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Tensors (on the CPU) and metadata of a file that `save_state` wrote.

    FileNotFoundError for a missing file; ValueError in one line for a damaged one.
    """
    arrays, metadata = load_tensors(path)
    return {name: torch.from_numpy(array) for name, array in arrays.items()}, metadata


def open_trained(path: str | Path) -> tuple[Transformer, dict[str, Any]]:
    """A run's model (on the CPU, in eval mode) and the metadata of its file.

    FileNotFoundError for a missing file; ValueError in one line for a damaged one, or for one that
    holds a training state and no weights.
    """
    _, metadata = load_state(path)
    if metadata.get("kind") != "weights":
        raise damaged(path, f"it holds {metadata.get('kind')}, not weights")
    recipe = recipe_of(metadata)
    model = Transformer(recipe.model, recipe.training.sequence_length)
    load_weights(model, path)
    return model.eval(), metadata


def load_trained(path: str | Path) -> tuple[Transformer, dict[str, Any]]:
    """A model and its metadata as `open_trained` returns them, for a path that a user typed.

    ValueError in one line for a file that is missing, damaged or not a model, and for a model that
    diverged in training.
    """
    if not Path(path).is_file():
        raise refuse("model", str(path), f"{LOADABLE} (there is no such file)")
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            kind = (file.metadata() or {}).get("kind")
    except (safetensors.SafetensorError, OSError):
        raise refuse("model", str(path), LOADABLE) from None
    if kind != '"weights"':
        held = f"it holds {kind}" if kind else "nothing says that it is one"
        raise refuse("model", str(path), f"{LOADABLE} ({held})")
    model, metadata = open_trained(path)
    if metadata["diverged"] or not all(p.isfinite().all() for p in model.parameters()):
        raise refuse("model", str(path), "one that did not diverge (its weights are not finite)")
    return model, metadata


def recipe_of(metadata: Mapping[str, Any]) -> Recipe:
    """The recipe in the metadata of a weights file; ValueError where it is not a valid one."""
    return Recipe.from_json(json.dumps(metadata["recipe"]))
