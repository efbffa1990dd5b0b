"""GGUF files against the gguf package and transformers' loader."""

import json
from itertools import islice

import gguf
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from bitnet.common.tensors import load_tensors
from bitnet.config.study import Study
from bitnet.data.stories.grammar import stories
from bitnet.data.tokenizer_training import train_tokenizer
from bitnet.export.formats import GGUF
from bitnet.export.gguf import interleave, write_gguf
from bitnet.export.weights import Ternary, freeze
from bitnet.model.quantization import ternary_codes
from bitnet.model.transformer import Transformer
from tests.helpers.exports import (
    Run,
    by_gguf,
    compare,
    load,
    passes_gguf,
    refused,
    rewritten,
)
from tests.helpers.project import ROOT, project_config


def dequantized(tensor) -> np.ndarray:
    """A tensor of a GGUF file as the gguf package reads it."""
    return gguf.dequantize(tensor.data, tensor.tensor_type)


def dense_with_float16_scales(run: Run):
    """Our model, its activations not rounded, with the scales that TQ2_0 and F16 hold."""
    twin = load_twin(run)
    with torch.no_grad():
        for name, parameter in twin.named_parameters():
            if name.endswith("_proj.weight"):
                codes, scale = ternary_codes(parameter)
                parameter.copy_(codes * float(np.float16(scale.item())))
    return twin


def load_twin(run: Run):
    """Our full-precision code with the latent weights of a ternary run."""
    import dataclasses

    from bitnet.model.transformer import Transformer

    model = run.model
    twin = Transformer(dataclasses.replace(model.config, weights="full_precision"), 32)
    twin.load_state_dict(model.state_dict())
    return twin.eval()


@pytest.mark.parametrize("kind", GGUF)
def test_gguf_dequantizes_the_codes_that_training_had(run, made, kind):
    tensors = {t.name: t for t in gguf.GGUFReader(made[kind]).tensors}
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, 2)
    matrices = 0
    for name, tensor in freeze(run.weights).tensors.items():
        stored = tensors.pop(names.get_name(name, try_suffixes=(".weight",)))
        found = dequantized(stored)
        if not isinstance(tensor, Ternary):
            rounded = tensor.ndim == 2 and GGUF[kind][1] == "F16"
            assert np.array_equal(found, tensor.astype(np.float16) if rounded else tensor), name
            continue
        matrices += 1
        codes = tensor.codes
        if (
            "q_proj" in name or "k_proj" in name
        ):  # row i of a head of 64 goes to 2i, i + 32 to 2i + 1
            order = [64 * (r // 64) + (r % 2) * 32 + (r % 64) // 2 for r in range(len(codes))]
            codes = codes[order]
        assert np.array_equal(np.sign(found), codes), name
        assert stored.tensor_type.name == GGUF[kind][0]
        scale = tensor.scale if kind == "f32" else np.float16(tensor.scale)
        assert set(np.unique(np.abs(found))) <= {0, np.float32(scale)}
    assert matrices == 14 and not tensors


def test_gate_and_up_have_one_scale_in_every_format(made):
    for folder in (load_file(made["bitlinear"] / "model.safetensors"),):
        for layer in (0, 1):
            gate, up = (
                folder[f"model.layers.{layer}.mlp.{n}_proj.weight_scale"] for n in ("gate", "up")
            )
            assert gate == up
    tensors = {t.name: dequantized(t) for t in gguf.GGUFReader(made["tq2_0"]).tensors}
    for layer in (0, 1):
        gate, up = (np.abs(tensors[f"blk.{layer}.ffn_{n}.weight"]).max() for n in ("gate", "up"))
        assert gate == up > 0


def test_transformers_loads_the_gguf_file_with_the_same_logits(run, made):
    assert passes_gguf(compare(dense_with_float16_scales(run), by_gguf(made["tq2_0_f32"]), run))
    assert passes_gguf(compare(load(made["dense"]), by_gguf(made["f32"]), run))
    close = compare(load(made["dense"]), by_gguf(made["tq2_0"]), run)
    assert close.argmax >= 0.99 and close.divergence <= 1e-5


def test_rows_of_q_and_k_that_are_not_interleaved_fail(run, monkeypatch, tmp_path):
    monkeypatch.setattr("bitnet.export.gguf.interleave", lambda weights, _: weights)
    path = run.export("tq2_0_f32", tmp_path / "straight.gguf")
    found = compare(dense_with_float16_scales(run), by_gguf(path), run)
    assert not passes_gguf(found) and found.argmax < 0.99


def test_interleaving_is_undone_by_transformers_own_reverse():
    from transformers.modeling_gguf_pytorch_utils import LlamaTensorProcessor

    weights = np.arange(256 * 3, dtype=np.float32).reshape(256, 3)
    back = LlamaTensorProcessor()._reverse_permute_weights(interleave(weights, 64), 4, 4)
    assert np.array_equal(back, weights) and not np.array_equal(interleave(weights, 64), weights)


def test_the_gguf_file_says_where_it_comes_from(run, made):
    fields = gguf.GGUFReader(made["tq2_0"]).fields
    trained = load_tensors(run.weights)[1]
    assert json.loads(fields["bitnet.recipe"].contents()) == trained["recipe"]
    assert fields["bitnet.data"].contents() == run.data.manifest["sha256"]
    assert fields["general.name"].contents() == "study/h256_wd0"
    assert fields["llama.context_length"].contents() == 32
    assert fields["general.languages"].contents() == ["en"]


def test_the_gguf_file_says_its_license_where_one_is_stated(run, made, tmp_path):
    path = run.export("f16", tmp_path / "free.gguf", "--license", "mit", "--language", "de")
    fields = gguf.GGUFReader(path).fields
    assert fields["general.license"].contents() == "mit"
    assert fields["general.languages"].contents() == ["de"]
    assert "general.license" not in gguf.GGUFReader(made["f16"]).fields


def test_the_small_model_has_the_size_that_the_page_says(run, tmp_path):
    """As `snakemake release` makes it, its weights not trained: hidden 256, 2,048 pieces."""
    study = Study.of(project_config(), "portable")
    recipe = study.recipe("h256_wd0")
    texts = list(islice(stories(0, "train"), 2_000))
    train_tokenizer(texts, recipe.model.vocab_size, tmp_path / "tokenizer.model")
    model = Transformer(recipe.model, recipe.training.sequence_length)

    def enlarge(arrays, metadata):
        metadata["recipe"] = json.loads(recipe.to_json())
        arrays.clear()
        arrays |= {name: weight.detach().numpy() for name, weight in model.named_parameters()}

    untrained = freeze(rewritten(run, tmp_path, enlarge).weights)
    write_gguf(untrained, "tq2_0", tmp_path / "tokenizer.model", "small", tmp_path / "small.gguf")
    size = (tmp_path / "small.gguf").stat().st_size
    assert (study.corpus, recipe.model.hidden_size) == ("stories", 256) and size < 3e6
    page = (ROOT / "docs/export.md").read_text(encoding="utf-8")
    assert f"`h256_wd0-tq2_0.gguf` of {size / 1e6:.1f} MB" in page


def test_scales_too_small_for_float16_are_refused_where_they_would_be_rounded(
    run, tmp_path, capsys
):
    def shrink(arrays, _):
        for name in arrays:
            if name.endswith("_proj.weight"):
                arrays[name] *= np.float32(1e-3)

    small = rewritten(run, tmp_path / "small", shrink)
    line = refused(capsys, lambda: small.export("tq2_0", tmp_path / "out.gguf"))
    assert "scale of model.layers.0" in line and "f32" in line
    assert not (tmp_path / "out.gguf").exists()
    path = small.export("f32", tmp_path / "out.gguf")
    assert passes_gguf(compare(load(small.export("dense", tmp_path / "d")), by_gguf(path), small))
