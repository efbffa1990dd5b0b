"""What can be exported and what cannot, with its card; whole or not at all."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.numpy import load_file

from bitnet.common.tensors import load_tensors
from bitnet.export.formats import FORMATS, check_format, check_tokenizer, formats_of
from bitnet.export.from_latent import read_latent
from tests.helpers.exports import (
    Run,
    by_gguf,
    compare,
    load,
    passes_gguf,
    refused,
    rewritten,
    train_run,
)


def test_the_model_card_holds_metrics_recipe_origin_and_terms(run, made):
    card = (made["bitlinear"] / "README.md").read_text()
    last = pd.read_csv(run.weights.parent / "run.csv").iloc[-1]
    assert f"{last['BitsPerByte']:.6g}" in card and "N = 4096" in card
    recipe = json.loads(re.search(r"```json\n(.*?)```", card, re.S)[1])
    trained = load_tensors(run.weights)[1]
    assert recipe == trained["recipe"]
    assert trained["code"] in card and trained["data"] in card
    assert "pip install transformers accelerate" in card
    assert "this project's own grammar" in card


def test_the_cards_front_matter_is_what_the_hub_reads(run, made, tmp_path):
    """Read by the hub's own client, with and without a license."""
    last = pd.read_csv(run.weights.parent / "run.csv").iloc[-1]
    found = ModelCard((made["bitlinear"] / "README.md").read_text()).data
    assert (found.library_name, found.pipeline_tag) == ("transformers", "text-generation")
    assert found.language == "en" and found.license is None and found.tags == ["bitnet"]
    metrics = {each.metric_type: each.metric_value for each in found.eval_results}
    expected = {"bits_per_byte": last["BitsPerByte"], "cross_entropy": last["ValLoss"]}
    assert metrics == pytest.approx(expected, rel=1e-5)
    run.export("dense", tmp_path / "dense", "--license", "apache-2.0", "--language", "de")
    card = (tmp_path / "dense/README.md").read_text()
    found = ModelCard(card).data
    assert (found.license, found.language, found.eval_results) == ("apache-2.0", "de", None)
    assert "The weights: apache-2.0." in card


@pytest.fixture(scope="module")
def narrow(tmp_path_factory, stories_data) -> Run:
    """Hidden 64, untied, as the quick study's width; not the rotary base that readers assume."""
    folder = tmp_path_factory.mktemp("narrow")
    shape = {"hidden_size": 64, "tie_embeddings": False, "rope_theta": 500_000}
    return train_run(folder, stories_data, 40, **shape)


@pytest.mark.parametrize("kind", ["bitlinear", "tq2_0", "tq2_0_f32"])
def test_a_width_that_cannot_be_packed_is_refused_with_the_alternative(
    narrow, tmp_path, capsys, kind
):
    line = refused(capsys, lambda: narrow.export(kind, tmp_path / "out"))
    assert "hidden_size is 64" in line and "multiple of 256" in line
    assert "dense" in line and "f16" in line
    assert not list(tmp_path.iterdir())


def test_a_narrow_untied_model_is_exported_without_packing(narrow, tmp_path):
    folder = narrow.export("dense", tmp_path / "dense")
    stored = load_file(folder / "model.safetensors")
    assert not np.array_equal(stored["lm_head.weight"], stored["model.embed_tokens.weight"])
    latent = narrow.export("latent", tmp_path / "latent")
    assert compare(narrow.model, load(latent), narrow).argmax >= 0.995
    back = read_latent(latent)[0].state_dict()
    assert all(torch.equal(back[name], own) for name, own in narrow.model.state_dict().items())
    path = narrow.export("f32", tmp_path / "f32.gguf")
    assert passes_gguf(compare(load(folder), by_gguf(path), narrow))
    assert compare(narrow.model, load(folder), narrow).argmax > 0.9
    for made in (folder, latent):  # transformers 4 reads the first key, 5 the second
        config = json.loads((made / "config.json").read_text())
        assert config["rope_theta"] == config["rope_parameters"]["rope_theta"] == 500_000


@pytest.fixture(scope="module")
def twin(tmp_path_factory, stories_data) -> Run:
    """A full-precision twin."""
    folder = tmp_path_factory.mktemp("twin")
    return train_run(folder, stories_data, 40, num_layers=1, weights="full_precision")


def test_a_twin_is_exported_as_a_plain_llama(twin, tmp_path, capsys):
    folder = twin.export("dense", tmp_path / "dense")
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
    found = compare(twin.model, load(folder), twin)
    assert found.argmax >= 0.999 and found.largest < 1e-3
    path = twin.export("f32", tmp_path / "f32.gguf")
    assert passes_gguf(compare(load(folder), by_gguf(path), twin))
    for kind in ("bitlinear", "tq2_0", "latent"):
        line = refused(capsys, lambda kind=kind: twin.export(kind, tmp_path / "no"))
        assert "full-precision twin" in line and "dense" in line
    assert not (tmp_path / "no").exists()


def test_the_gate_of_the_legacy_study_has_no_gguf_form_but_all_folders():
    from bitnet.config.recipe import ModelConfig

    legacy = ModelConfig(512, 256, 1, activation="relu2", intermediate_ratio=2)
    assert formats_of(legacy) == ["bitlinear", "dense", "latent"]
    with pytest.raises(ValueError, match="activation is 'relu2'; allowed: swiglu"):
        check_format(legacy, "f16")
    wide = ModelConfig(512, 256, 1, intermediate_ratio=2.5)
    with pytest.raises(ValueError, match="intermediate_size is 640; allowed: a multiple of 256"):
        check_format(wide, "bitlinear")


@pytest.mark.parametrize("key", ["linear_norms", "fused_qkv"])
def test_what_no_format_can_hold_is_refused_by_all_in_one_line(key):
    from bitnet.config.recipe import ModelConfig

    model = ModelConfig(512, 256, 1, **{key: True})
    assert formats_of(model) == []
    for kind in FORMATS:
        with pytest.raises(ValueError, match=f"^{key} is True; allowed: false in a model "):
            check_format(model, kind)


def test_tokenizers_that_no_format_can_hold_are_refused_in_one_line(real_data):
    """Kind of fault: an export refused only after days of training."""
    with pytest.raises(ValueError, match=r"^tokenizer is 'characters'; allowed: bpe, mistral or"):
        check_tokenizer("characters", None)
    collapsing = real_data("tokenizers/tinystories_tok2048.model")
    with pytest.raises(ValueError, match=r"^tokenizer 'it' cannot be exported: .*otherwise"):
        check_tokenizer("it", collapsing)
    check_tokenizer("llama", real_data("tokenizers/llama2_32000.model"))
    check_tokenizer("mistral", None)


def test_damaged_or_foreign_weights_are_refused(run, tmp_path, capsys):
    damaged = tmp_path / "damaged.safetensors"
    content = bytearray(run.weights.read_bytes())
    content[-1_000] ^= 1
    damaged.write_bytes(content)
    broken = run._replace(weights=damaged)
    assert "is damaged" in refused(capsys, lambda: broken.export("dense", tmp_path / "out"))

    def observe(_, metadata):
        metadata["kind"] = "state"

    other = rewritten(run, tmp_path / "kind", observe)
    assert "not weights" in refused(capsys, lambda: other.export("dense", tmp_path / "out"))

    def elsewhere(_, metadata):
        metadata["data"] = "0" * 64

    other = rewritten(run, tmp_path / "data", elsewhere)
    assert "other data" in refused(capsys, lambda: other.export("dense", tmp_path / "out"))

    def diverge(arrays, _):
        arrays["norm.weight"][3] = np.nan

    other = rewritten(run, tmp_path / "nan", diverge)
    line = refused(capsys, lambda: other.export("tq2_0", tmp_path / "out"))
    assert "norm.weight is not finite" in line
    assert not (tmp_path / "out").exists()


def test_an_export_replaces_an_older_one_and_clears_what_a_killed_one_left(run, tmp_path):
    left = tmp_path / f".dense.{2**22 + 1}"  # above the largest process id of Linux
    (left / "half").mkdir(parents=True)
    (tmp_path / "dense").mkdir()
    (tmp_path / "dense/stale").write_text("old")
    first = run.export("dense", tmp_path / "dense")
    assert not left.exists() and not (first / "stale").exists()
    kept = {path.name: path.read_bytes() for path in first.iterdir()}
    run.export("dense", tmp_path / "dense")
    assert kept == {path.name: path.read_bytes() for path in first.iterdir()}
