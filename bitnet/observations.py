"""Observations on disk: arrays as safetensors, provenance as metadata. Free of torch."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file

from bitnet.files import whole_file


def save_observations(seen: Mapping[str, np.ndarray], path: str | Path, metadata: Mapping) -> None:
    """Observations as arrays, provenance as metadata."""
    arrays = {key: np.ascontiguousarray(value) for key, value in seen.items()}
    with whole_file(path) as beside:
        save_file(arrays, beside, metadata={k: json.dumps(v) for k, v in metadata.items()})


def load_observations(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and metadata that `save_observations` wrote; ValueError where they are damaged."""
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = {key: json.loads(text) for key, text in (file.metadata() or {}).items()}
        return load_file(path), metadata
    except (safetensors.SafetensorError, OSError, json.JSONDecodeError) as error:
        raise ValueError(f"observations {str(path)!r} cannot be used: {error}") from None
