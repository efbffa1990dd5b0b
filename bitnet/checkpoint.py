"""What lies on disk of a training: weights, and the state to resume or to branch from.

Weights are safetensors with provenance as metadata; a state is a `torch.save` file that is only
ever loaded with weights_only=True.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from bitnet.files import whole_file


def save_weights(model: nn.Module, path: str | Path, metadata: Mapping[str, Any]) -> None:
    """float32 latent weights, without the duplicate of a tied head."""
    tensors = {name: p.detach().cpu().contiguous() for name, p in model.named_parameters()}
    with whole_file(path) as beside:
        save_file(tensors, beside, metadata={k: json.dumps(v) for k, v in metadata.items()})


def load_weights(model: nn.Module, path: str | Path) -> None:
    """Fill a model; ValueError where the file is damaged or belongs to another shape."""
    try:
        tensors = load_file(path)
        own = dict(model.named_parameters())
        if tensors.keys() != own.keys():
            odd = sorted(tensors.keys() ^ own.keys())[:3]
            raise ValueError(f"other parameters: {', '.join(odd)}")
        with torch.no_grad():
            for name, parameter in own.items():
                if tensors[name].shape != parameter.shape:
                    raise ValueError(f"{name} is {tuple(tensors[name].shape)}")
                parameter.copy_(tensors[name])
    except (safetensors.SafetensorError, ValueError, OSError) as error:
        raise ValueError(f"weights {str(path)!r} cannot be used: {error}") from None


def save_state(state: Mapping[str, Any], path: str | Path) -> None:
    """Tensors, numbers and strings as one whole file."""
    with whole_file(path) as beside:
        torch.save(dict(state), beside)


def load_state(path: str | Path) -> dict[str, Any] | None:
    """What `save_state` wrote; None where there is nothing or nothing that can be read."""
    try:
        return torch.load(path, weights_only=True, map_location="cpu")
    except FileNotFoundError:
        return None
    except Exception:  # a damaged zip or pickle raises many kinds; all mean: start over
        return None
