"""A latent folder, as it was exported or as transformers saved it after training, read back."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from bitnet.common.errors import refuse
from bitnet.common.files import sha256
from bitnet.config.recipe import Recipe
from bitnet.export.huggingface import llama_config
from bitnet.export.latent import PAIRED, TRAINED, latent_config
from bitnet.export.weights import separate
from bitnet.model.checkpoint import recipe_of
from bitnet.model.transformer import Transformer

WEIGHTS = "model.safetensors"
# Keys of config.json on which outputs depend and which no tensor's shape shows.
FIXED = (
    "model_type",
    "num_attention_heads",
    "num_key_value_heads",
    "hidden_act",
    "rms_norm_eps",
    "tie_word_embeddings",
    "rope_parameters",
    "quantization_config",
)


def read_latent(folder: str | Path) -> tuple[Transformer, dict[str, Any]]:
    """The model of a latent folder (on the CPU, float32, in eval mode) and its metadata.

    The metadata are those of the exported weights. Where transformers has saved the folder since,
    their key `continued` has the software's version and the sha256 of the weights. ValueError in
    one line where the folder is not a latent one, or holds another model than was exported.
    """
    folder = Path(folder)
    config, metadata = _config(folder)
    recipe = recipe_of(metadata)
    _check_config(folder, config, recipe)
    model = Transformer(recipe.model, recipe.training.sequence_length)
    _fill(model, folder / WEIGHTS)
    if version := config.get("transformers_version"):  # transformers writes it, the export does not
        software = f"transformers {version}"
        metadata["continued"] = {"software": software, "sha256": sha256(folder / WEIGHTS)}
    return model.eval(), metadata


def _config(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A folder's config.json, and the metadata of the exported weights in it."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return config, dict(config[TRAINED])
    except (OSError, ValueError, KeyError, TypeError):
        allowed = "one exported as latent, or saved by transformers after training it"
        raise refuse("folder", str(folder), allowed) from None


def _check_config(folder: Path, config: dict[str, Any], recipe: Recipe) -> None:
    """ValueError in one line where config.json states another model than the recipe."""
    expected = latent_config(llama_config(recipe), {})
    for key in FIXED:
        stated, value = config.get(key), expected[key]
        if isinstance(value, dict) and isinstance(stated, dict):
            stated = {inner: stated.get(inner) for inner in value}
        if stated != value:
            raise refuse(f"{key} in {folder / 'config.json'}", stated, f"{value}, as exported")


def _fill(model: Transformer, path: Path) -> None:
    """Copy a latent folder's weights into a model; ValueError in one line where they differ."""
    try:
        stored = load_file(path)
    except (OSError, SafetensorError) as error:
        line = str(error).split("\n")[0]
        raise refuse("weights", str(path), f"all weights in this one file ({line})") from None
    found = {name.removeprefix("model."): tensor for name, tensor in stored.items()}
    own = dict(model.named_parameters())
    odd = sorted(found.keys() ^ own.keys())
    odd += [name for name in own.keys() - set(odd) if found[name].shape != own[name].shape]
    if odd:
        raise ValueError(f"{str(path)!r} holds another model than was exported: see {odd[0]}")
    with torch.no_grad():
        for name, parameter in own.items():
            weight = found[name].float()
            if not weight.isfinite().all():
                raise ValueError(f"{str(path)!r} cannot be read: {name} is not finite; it diverged")
            if name.endswith(PAIRED):
                rows = separate(weight.numpy(), model.config.head_dim)
                weight = torch.from_numpy(rows)
            parameter.copy_(weight)
