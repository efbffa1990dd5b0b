"""Arrays on disk in safetensors, with JSON metadata and a checksum over both. Free of torch."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import safetensors
from safetensors.numpy import load_file, save_file

from bitnet.common.files import damaged, whole_file

SEAL = "sha256"  # safetensors itself detects a truncated file, but not a flipped byte


def save_tensors(
    path: str | Path, arrays: Mapping[str, np.ndarray], metadata: Mapping[str, Any]
) -> None:
    """Write arrays and metadata (JSON values) to one file, atomically; OSError if that fails."""
    arrays = {key: np.asarray(value, order="C") for key, value in arrays.items()}
    texts = {key: json.dumps(value, sort_keys=True) for key, value in metadata.items()}
    path = Path(path)
    # safetensors first writes to a file that it names itself, beside the one it is asked for. In a
    # folder that bears the process in its name, it is found and removed if that process is killed.
    own = {"prefix": f".{path.name}.", "suffix": f".{os.getpid()}", "dir": path.parent}
    with whole_file(path) as beside, TemporaryDirectory(**own) as folder:
        try:
            whole = Path(folder, "whole")
            save_file(arrays, whole, metadata={**texts, SEAL: _digest(arrays, texts)})
            whole.rename(beside)
        except safetensors.SafetensorError as error:
            raise OSError(f"cannot write {str(path)!r}: {error}") from None


def load_tensors(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Arrays and metadata of a file; FileNotFoundError, or ValueError in one line if damaged."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"{str(path)!r} is missing; run again to make it")
    try:
        texts = _texts(path)
        arrays = load_file(path)
        if texts.pop(SEAL, "") != _digest(arrays, texts):
            raise damaged(path)
        return arrays, {key: json.loads(text) for key, text in texts.items()}
    except (safetensors.SafetensorError, KeyError, TypeError, OverflowError) as error:
        raise damaged(path, str(error).split("\n")[0]) from None


def _texts(path: str | Path) -> dict[str, str]:
    with safetensors.safe_open(path, framework="numpy") as file:
        return dict(file.metadata() or {})


def _digest(arrays: Mapping[str, np.ndarray], texts: Mapping[str, str]) -> str:
    found = hashlib.sha256(json.dumps(dict(texts), sort_keys=True).encode())
    for key in sorted(arrays):
        found.update(f"{key} {arrays[key].dtype} {arrays[key].shape} ".encode())
        found.update(arrays[key].reshape(-1).view(np.uint8).data)
    return found.hexdigest()
