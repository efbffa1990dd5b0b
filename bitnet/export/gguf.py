"""Export to a GGUF file for llama.cpp: architecture llama, ternary weights as TQ2_0."""

import json
from pathlib import Path

import gguf
import numpy as np

from bitnet.common.errors import refuse
from bitnet.common.files import whole_file
from bitnet.config.recipe import ModelConfig
from bitnet.data.tokenizer import Tokenizer
from bitnet.export.formats import GGUF, check_format
from bitnet.export.tokenizer import fast_tokenizer, pad_id
from bitnet.export.weights import Frozen, Ternary, interleave

SMALLEST_SCALE = 2.0**-14  # below it float16 holds fewer than 11 bits
FILE_TYPES = {
    "TQ2_0": gguf.LlamaFileType.MOSTLY_TQ2_0,
    "F16": gguf.LlamaFileType.MOSTLY_F16,
    "F32": gguf.LlamaFileType.ALL_F32,
}


def write_gguf(
    frozen: Frozen,
    kind: str,
    tokenizer: str | Path,
    name: str,
    path: str | Path,
    license: str = "",
    language: str = "en",
) -> None:
    """Write weights, shape, tokenizer and provenance of a model to one file, atomically.

    kind: a key of GGUF. tokenizer: path of a SentencePiece model. license, language: as in
    `model_card`. Scales are rounded to float16 in TQ2_0 and F16 (relative error at most 2^-11).
    ValueError in one line where the model or its
    tokenizer does not fit the format, or a scale is too small for float16.
    """
    model = frozen.recipe.model
    check_format(model, kind)
    matrices, others = (gguf.GGMLQuantizationType[name] for name in GGUF[kind])
    if matrices is not gguf.GGMLQuantizationType.F32:
        check_scales(frozen, kind)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, model.num_layers)
    with whole_file(path) as beside:
        writer = gguf.GGUFWriter(beside, gguf.MODEL_ARCH_NAMES[gguf.MODEL_ARCH.LLAMA])
        add_shape(writer, frozen, name)
        writer.add_languages([language])
        if license:
            writer.add_license(license)
        writer.add_file_type(FILE_TYPES[GGUF[kind][0]])
        add_tokenizer(writer, Tokenizer(tokenizer))
        for theirs, tensor in frozen.tensors.items():
            ours = names.get_name(theirs, try_suffixes=(".weight",))
            weights = tensor.dense() if isinstance(tensor, Ternary) else tensor
            if theirs.endswith(("q_proj.weight", "k_proj.weight")):
                weights = interleave(weights, model.head_dim)
            inner = theirs.endswith("_proj.weight")
            wanted = gguf.GGMLQuantizationType.F32  # norms
            if weights.ndim == 2:
                wanted = matrices if inner else others
            stored = gguf.quants.quantize(np.ascontiguousarray(weights), wanted)
            writer.add_tensor(ours, stored, raw_dtype=wanted)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()


def check_scales(frozen: Frozen, kind: str) -> None:
    """Check that float16 holds all scales to 11 bits; ValueError in one line where it does not."""
    for name, tensor in frozen.tensors.items():
        if isinstance(tensor, Ternary) and tensor.scale < SMALLEST_SCALE:
            raise refuse(
                f"scale of {name}",
                float(tensor.scale),
                f"at least {SMALLEST_SCALE:.1e} in {kind}, which keeps scales in float16; export "
                "this model as f32, dense or bitlinear",
            )


def add_shape(writer: gguf.GGUFWriter, frozen: Frozen, name: str) -> None:
    """Add a model's shape, and its recipe and provenance under `bitnet.*`, to a GGUF file."""
    model: ModelConfig = frozen.recipe.model
    writer.add_name(name)
    writer.add_context_length(frozen.recipe.training.sequence_length)
    writer.add_vocab_size(model.vocab_size)
    writer.add_embedding_length(model.hidden_size)
    writer.add_block_count(model.num_layers)
    writer.add_feed_forward_length(model.intermediate_size)
    writer.add_head_count(model.num_heads)
    writer.add_head_count_kv(model.num_kv_heads)
    writer.add_layer_norm_rms_eps(model.norm_eps)
    writer.add_rope_freq_base(model.rope_theta)
    writer.add_rope_dimension_count(model.head_dim)
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)
    writer.add_string("bitnet.recipe", frozen.recipe.to_json())
    for key in ("code", "data"):
        writer.add_string(f"bitnet.{key}", str(frozen.trained[key]))
    writer.add_string("bitnet.environment", json.dumps(frozen.trained["environment"]))


def add_tokenizer(writer: gguf.GGUFWriter, tokenizer: Tokenizer) -> None:
    """Add a tokenizer's pieces, scores and types to a GGUF file; ValueError as `fast_tokenizer`."""
    fast_tokenizer(tokenizer)
    sp, ids = tokenizer.model, range(tokenizer.vocab_size)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([sp.id_to_piece(i) for i in ids])
    writer.add_token_scores([sp.get_score(i) for i in ids])
    writer.add_token_types([_kind(sp, i) for i in ids])
    writer.add_bos_token_id(sp.bos_id())
    writer.add_eos_token_id(sp.eos_id())
    writer.add_unk_token_id(sp.unk_id())
    writer.add_pad_token_id(pad_id(tokenizer))
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(tokenizer.dummy_prefix)
    writer.add_remove_extra_whitespaces(False)


def _kind(sp, i: int) -> gguf.TokenType:
    if sp.is_byte(i):
        return gguf.TokenType.BYTE
    if sp.is_control(i):
        return gguf.TokenType.CONTROL
    return gguf.TokenType.UNKNOWN if sp.is_unknown(i) else gguf.TokenType.NORMAL
