"""Export formats, and the models and tokenizers that they can hold.

Free of torch, so that the pipeline can refuse a wrong pair before anything is trained.
"""

from functools import cache
from pathlib import Path

from bitnet.common.errors import refuse
from bitnet.config.recipe import ModelConfig

# Folders for transformers: ternary weights packed four to a byte, all weights in float32, or the
# float32 latent weights that training goes on from.
FOLDERS = ("bitlinear", "dense", "latent")
# GGUF files: ggml types of the layers' matrices, and of the embedding and head.
GGUF = {
    "tq2_0": ("TQ2_0", "F16"),
    "tq2_0_f32": ("TQ2_0", "F32"),
    "f16": ("F16", "F16"),
    "f32": ("F32", "F32"),
}
FORMATS = (*FOLDERS, *GGUF)
PACKED = ("bitlinear", "tq2_0", "tq2_0_f32")

# Weights per block of ggml's TQ2_0 (QK_K). A packed folder needs it too: converters turn a matrix
# of another width into F16 or Q4_0 with only a warning.
BLOCK = 256


def check_format(model: ModelConfig, kind: str) -> None:
    """Check that a model can be exported in a format; ValueError in one line where it cannot."""
    if kind not in FORMATS:
        raise refuse("format", kind, ", ".join(FORMATS))
    for key in ("linear_norms", "fused_qkv"):
        if getattr(model, key):
            raise refuse(key, True, f"false in a model to export: no format like {kind} has it")
    if kind == "latent" and model.weights != "ternary":
        raise refuse("format", kind, "dense: it holds a full-precision twin's own weights")
    if kind in PACKED:
        if model.weights != "ternary":
            raise refuse(
                "format", kind, "dense, f16 or f32: a full-precision twin has nothing to pack"
            )
        for key in ("hidden_size", "intermediate_size"):
            if (size := getattr(model, key)) % BLOCK:
                raise refuse(
                    key,
                    size,
                    f"a multiple of {BLOCK} in a packed format like {kind}; export this model as "
                    "dense (transformers), f16 or f32 (GGUF)",
                )
    if kind in GGUF and model.activation != "swiglu":
        raise refuse(
            "activation",
            model.activation,
            f"swiglu in a GGUF file like {kind}: llama.cpp's Llama has no other gate; export this "
            "model as dense or bitlinear (transformers)",
        )


@cache
def check_tokenizer(kind: str, path: Path | None) -> None:
    """Check that a tokenizer can be exported; ValueError in one line where it cannot.

    kind: value of the config's key `tokenizer`. path: of its .model, if it is one that exists;
    those that this project trains, and Mistral's, need none.
    """
    if kind == "characters":
        raise refuse(
            "tokenizer", kind, "bpe, mistral or a BPE model with byte fallback in a run to export"
        )
    if path is None:
        return
    from bitnet.data.tokenizer import Tokenizer

    try:
        from bitnet.export.tokenizer import fast_tokenizer
    except ModuleNotFoundError as error:
        raise ValueError(f"{error}; exporting needs: pip install -e '.[export]'") from None
    try:
        fast_tokenizer(Tokenizer(path))
    except ValueError as error:
        raise ValueError(f"tokenizer {kind!r} cannot be exported: {error}") from None


def formats_of(model: ModelConfig) -> list[str]:
    """Names of all formats that can hold a model, in the order of FORMATS."""
    found = []
    for kind in FORMATS:
        try:
            check_format(model, kind)
        except ValueError:
            continue
        found.append(kind)
    return found
