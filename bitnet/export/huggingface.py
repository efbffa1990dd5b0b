"""Export to a folder for transformers: a Llama whose BitLinear layers are packed or dense."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from bitnet.common.files import whole_folder
from bitnet.config.recipe import Recipe
from bitnet.data.tokenizer import Tokenizer
from bitnet.export.formats import check_format
from bitnet.export.latent import latent_config, latent_tensors
from bitnet.export.tokenizer import pad_id, write_tokenizer
from bitnet.export.weights import Frozen, Ternary

ACTIVATIONS = {"swiglu": "silu", "relu2": "relu2"}  # as transformers names them
# transformers' class that divides by its scale and quantises activations to int8 per token.
BITLINEAR = {
    "quant_method": "bitnet",
    "linear_class": "bitlinear",
    "quantization_mode": "offline",
    "modules_to_not_convert": None,
}


def write_folder(
    frozen: Frozen, kind: str, tokenizer: str | Path, card: str, path: str | Path
) -> None:
    """Write weights, config.json, generation_config.json, tokenizer and model card to a folder.

    kind: one of FOLDERS. tokenizer: path of a SentencePiece model. card: text of README.md.
    ValueError in one line where the model or its tokenizer does not fit the format.
    """
    check_format(frozen.recipe.model, kind)
    tensors = TENSORS[kind](frozen)
    pieces = Tokenizer(tokenizer)
    ends = {"bos_token_id": pieces.model.bos_id(), "eos_token_id": pieces.model.eos_id()}
    ends["pad_token_id"] = pad_id(pieces)
    settings = {**llama_config(frozen.recipe), **ends}
    if kind == "bitlinear":
        settings["quantization_config"] = BITLINEAR
    if kind == "latent":
        settings = latent_config(settings, frozen.trained)
    with whole_folder(path) as folder:
        write_tokenizer(tokenizer, folder, frozen.recipe.training.sequence_length)
        _write_json(folder / "config.json", settings)
        _write_json(folder / "generation_config.json", ends)
        (folder / "README.md").write_text(card, encoding="utf-8")
        ordered = {name: np.ascontiguousarray(tensors[name]) for name in sorted(tensors)}
        save_file(ordered, folder / "model.safetensors", metadata={"format": "pt"})
        (folder / "model.safetensors").chmod((folder / "config.json").stat().st_mode)


def packed(frozen: Frozen) -> dict[str, np.ndarray]:
    """All tensors by name; a ternary one as packed uint8 and its scale (see `packed_tensors`)."""
    found: dict[str, np.ndarray] = {}
    for name, tensor in frozen.tensors.items():
        found |= packed_tensors(name, tensor) if isinstance(tensor, Ternary) else {name: tensor}
    return found


TENSORS = {"bitlinear": packed, "dense": Frozen.dense, "latent": latent_tensors}


def llama_config(recipe: Recipe) -> dict:
    """The config.json of a model's shape, without special tokens and quantisation."""
    c = recipe.model
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": c.vocab_size,
        "hidden_size": c.hidden_size,
        "intermediate_size": c.intermediate_size,
        "num_hidden_layers": c.num_layers,
        "num_attention_heads": c.num_heads,
        "num_key_value_heads": c.num_kv_heads,
        "head_dim": c.head_dim,
        "hidden_act": ACTIVATIONS[c.activation],
        "max_position_embeddings": recipe.training.sequence_length,
        "rms_norm_eps": c.norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": c.rope_theta},
        "rope_theta": c.rope_theta,  # for readers of the older key, transformers 4 among them
        "tie_word_embeddings": c.tie_embeddings,
        "attention_bias": False,
        "mlp_bias": False,
        "dtype": "float32",
    }


def _write_json(path: Path, value: Mapping) -> None:
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def pack(codes: np.ndarray) -> np.ndarray:
    """Codes (out, in) of -1, 0, 1 packed four to a byte: uint8 (out / 4, in).

    Quarter i of the rows is in bits 2i and 2i + 1, as code + 1. Source: transformers,
    integrations/bitnet.py, `unpack_weights`.
    """
    quarters = (codes + 1).astype(np.uint8).reshape(4, -1, codes.shape[1])
    return quarters[0] | quarters[1] << 2 | quarters[2] << 4 | quarters[3] << 6


def packed_tensors(name: str, matrix: Ternary) -> dict[str, np.ndarray]:
    """The tensors of transformers' BitLinear: packed codes uint8, and 1 / scale (1,) float32."""
    scale = np.asarray([1 / np.float64(matrix.scale)], dtype=np.float32)
    return {name: pack(matrix.codes), f"{name}_scale": scale}
