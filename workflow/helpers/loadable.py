"""Check of weights from elsewhere, before anything of the size that they state is allocated."""

import math
from pathlib import Path

import safetensors

from bitnet.common.errors import refuse
from bitnet.config.recipe import Recipe

STATED = ("recipe", "data", "diverged")  # in the metadata of weights, besides their kind
LONGEST = 2**20  # tokens of a window


def check_loadable(path: str | Path) -> None:
    """ValueError in one line where a file of weights states another model than it holds.

    Only its header is read. What is no file of weights at all is left to whoever loads it.
    """
    try:
        with safetensors.safe_open(path, framework="numpy") as file:
            metadata = dict(file.metadata() or {})
            parts = [file.get_slice(key) for key in file.keys()]  # noqa: SIM118 (no mapping)
            kinds = {part.get_dtype() for part in parts}
            held = sum(math.prod(part.get_shape()) for part in parts)
    except (safetensors.SafetensorError, OSError):
        return
    if metadata.get("kind") != '"weights"':
        return
    for key in STATED:
        if key not in metadata:
            raise _refuse(path, f"weights that state their {key}")
    recipe = Recipe.from_json(metadata["recipe"])
    stated, length = sum(recipe.model.parameters().values()), recipe.training.sequence_length
    if stated != held:
        raise _refuse(path, f"as many weights as its recipe states ({stated:,}, not {held:,})")
    if kinds != {"F32"}:
        raise _refuse(path, f"weights of float32 (not {', '.join(sorted(kinds))})")
    if length > LONGEST:
        raise _refuse(path, f"a sequence_length of at most {LONGEST:,} (not {length:,})")


def _refuse(path: str | Path, allowed: str) -> ValueError:
    return refuse("model", str(path), allowed)
