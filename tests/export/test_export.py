"""Exports against software nobody here wrote: transformers, tokenizers, gguf."""

import json
import re
import shutil
from pathlib import Path

import gguf
import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.numpy import load_file, save_file
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.integrations.bitnet import unpack_weights
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from bitnet.common.tensors import load_tensors, save_tensors
from bitnet.export.formats import FOLDERS, GGUF, check_format, formats_of
from bitnet.export.gguf import interleave
from bitnet.export.weights import Ternary, freeze
from bitnet.model.quantization import ternary_codes
from tests.helpers.exports import Run, compare, logits, tabulate, train_run, with_scales
from workflow.scripts._cli import run as call

EXACT = 1e-9  # of logits in float64
MATRIX = "model.layers.1.self_attn.o_proj.weight"  # nothing rounds what it adds


@pytest.fixture(scope="module")
def run(tmp_path_factory, stories_data) -> Run:
    """Ternary, hidden 256, two layers, grouped queries, tied: trained below the unigram's loss."""
    return train_run(tmp_path_factory.mktemp("ternary"), stories_data)


@pytest.fixture(scope="module")
def made(run) -> dict[str, Path]:
    """Every format of it."""
    folder = run.weights.parent
    paths = {
        kind: folder / (kind if kind in FOLDERS else f"{kind}.gguf") for kind in (*FOLDERS, *GGUF)
    }
    table = tabulate(run)
    for kind, path in paths.items():
        run.export(kind, path, "--table", str(table), "--name", "study/h256_wd0")
    return paths


def load(folder: Path, dtype=torch.float32, **more):
    """A model by transformers, from files alone."""
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, local_files_only=True, attn_implementation="sdpa", **more
    ).eval()


def in_float64(folder: Path, ids: torch.Tensor, ours) -> torch.Tensor:
    """Logits by transformers in float64 throughout, as far as our model `ours` is in float64.

    transformers takes norms and rotary angles in float32 whatever the type of a model. Norms are
    put into float64; our model is given transformers' angles.
    """
    theirs = load(folder, torch.float64)
    for name, norm in list(theirs.named_modules()):
        if isinstance(norm, LlamaRMSNorm):
            same = nn.RMSNorm(norm.weight.shape, eps=norm.variance_epsilon, dtype=torch.float64)
            same.weight.data.copy_(norm.weight)
            theirs.set_submodule(name, same)
    places = torch.arange(ids.shape[1])[None]
    cos, sin = theirs.model.rotary_emb(torch.zeros(1, dtype=torch.float64), places)
    torch.testing.assert_close(ours.cos, cos[0], rtol=0, atol=1e-5)
    ours.cos, ours.sin = cos[0], sin[0]
    return logits(theirs, ids)


def reference(run: Run, folder: Path):
    """Our model in float64 with the scales that a packed folder holds."""
    stored = load_file(folder / "model.safetensors")

    def scale(name: str, _: float) -> float:
        theirs = "model." + name.replace("gate_up", "gate") + "_scale"
        return 1 / stored[theirs].astype(np.float64).item()

    return with_scales(run.model, scale)


def exact(run: Run, folder: Path, ids: torch.Tensor) -> tuple[float, float]:
    """Median difference of a token's logits in float64, share of sequences that are exact."""
    ours = reference(run, folder)
    theirs = in_float64(folder, ids, ours)
    difference = (logits(ours, ids) - theirs).abs().amax(dim=-1)  # (B, T)
    return difference.median().item(), (difference.amax(dim=-1) <= EXACT).double().mean().item()


def changed(folder: Path, to: Path, change) -> Path:
    """A copy of a transformers folder with its tensors changed."""
    shutil.copytree(folder, to)
    tensors = {name: array.copy() for name, array in load_file(to / "model.safetensors").items()}
    change(tensors)
    save_file(tensors, to / "model.safetensors", metadata={"format": "pt"})
    return to


def test_the_model_of_these_tests_has_learned_something(run, stories_data):
    # Judged on random weights, a forgotten permutation of q and k would all but pass.
    ids = run.ids
    here = torch.nn.functional.cross_entropy(
        logits(run.model, ids).flatten(0, 1), torch.from_numpy(run.targets)
    ).item()
    counts = np.bincount(run.targets, minlength=512) / len(run.targets)
    unigram = -(counts[counts > 0] * np.log(counts[counts > 0])).sum()
    assert here < unigram - 0.5
    turned = ids[:, :-1].flip(1)  # the same tokens before the last, in another order
    turned = torch.cat([turned, ids[:, -1:]], dim=1)
    moved = (logits(run.model, ids)[:, -1] - logits(run.model, turned)[:, -1]).abs().max().item()
    assert moved > 0.1


# --- J0: codes ---


def test_transformers_unpacks_the_codes_that_training_had(run, made):
    stored = load_file(made["bitlinear"] / "model.safetensors")
    model = run.model
    for name, weight in model.named_parameters():
        if not name.endswith("_proj.weight"):
            continue
        codes, scale = ternary_codes(weight.detach())
        parts = {name: codes}
        if "gate_up" in name:
            gate, up = codes.chunk(2)
            parts = {name.replace("gate_up", "gate"): gate, name.replace("gate_up", "up"): up}
        for part, expected in parts.items():
            packed = torch.from_numpy(stored[f"model.{part}"])
            assert torch.equal(unpack_weights(packed, torch.float32), expected), part
            assert stored[f"model.{part}_scale"].shape == (1,)
            assert stored[f"model.{part}_scale"].item() == pytest.approx(1 / scale.item(), rel=1e-7)


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


def dequantized(tensor) -> np.ndarray:
    """A tensor of a GGUF file as the gguf package reads it."""
    return gguf.dequantize(tensor.data, tensor.tensor_type)


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


def test_the_folders_hold_exactly_the_keys_of_transformers_llama(made):
    for kind in FOLDERS:
        stored = load_file(made[kind] / "model.safetensors")
        theirs = set(load(made[kind]).state_dict()) - {"lm_head.weight"}  # tied: not stored
        assert set(stored) == theirs
        kinds = {
            array.dtype.name for name, array in stored.items() if name.endswith("_proj.weight")
        }
        assert kinds == {"uint8" if kind == "bitlinear" else "float32"}


# --- J1: transformers in float64 ---


def test_transformers_in_float64_computes_what_training_computes(run, made):
    median, share = exact(run, made["bitlinear"], run.ids)
    assert median <= EXACT and share >= 0.9


def test_only_the_float64_judge_sees_one_flipped_ternary_weight(run, made, tmp_path):
    def flip(tensors):
        tensors[MATRIX][7, 9] ^= 1 if tensors[MATRIX][7, 9] & 2 == 0 else 3

    flipped = changed(made["bitlinear"], tmp_path / "flipped", flip)
    median, share = exact(run, flipped, run.ids)
    assert median > EXACT and share < 0.9
    assert passes_float32(compare(run.model, load(flipped), run))


def test_a_scale_that_is_not_inverted_fails(run, made, tmp_path):
    def invert(tensors):
        for name in tensors:
            if name.endswith("_scale"):
                tensors[name] = 1 / tensors[name]

    upside_down = changed(made["bitlinear"], tmp_path / "inverted", invert)
    assert not passes_float32(compare(run.model, load(upside_down), run))


def test_separate_scales_of_gate_and_up_fail(run, made, tmp_path):
    def separate(tensors):
        model = run.model
        for i, layer in enumerate(model.layers):
            halves = layer.mlp.gate_up_proj.weight.detach().chunk(2)
            for name, half in zip(("gate", "up"), halves, strict=True):
                scale = 1 / ternary_codes(half)[1].numpy()
                tensors[f"model.layers.{i}.mlp.{name}_proj.weight_scale"][:] = scale

    apart = changed(made["bitlinear"], tmp_path / "apart", separate)
    ours = with_scales(run.model, lambda _, scale: scale)
    theirs = in_float64(apart, run.ids, ours)
    difference = (logits(ours, run.ids) - theirs).abs().amax(dim=-1)
    assert difference.median().item() > 1e-4  # the files' own float32 scales move less than 1e-5


# --- J2: transformers in float32 ---


def passes_float32(found) -> bool:
    """What rounding in float32 alone may change, by measurement."""
    return found.argmax >= 0.995 and found.divergence <= 1e-5 and abs(found.loss) <= 5e-4


def test_transformers_in_float32_predicts_what_training_predicts(run, made):
    found = compare(run.model, load(made["bitlinear"]), run)
    assert found.positions == 4_096
    assert passes_float32(found), found


def test_saved_and_loaded_again_by_transformers_it_is_the_same(run, made, tmp_path):
    first = load(made["bitlinear"])
    first.save_pretrained(tmp_path / "again")
    assert torch.equal(logits(first, run.ids), logits(load(tmp_path / "again"), run.ids))


def test_transformers_generates_text_offline(made):
    for kind in FOLDERS:
        tokenizer = AutoTokenizer.from_pretrained(made[kind], local_files_only=True)
        ids = tokenizer("Once upon a time", return_tensors="pt")
        assert ids["input_ids"][0, 0] == 1  # bos, as each document began in training
        out = load(made[kind]).generate(
            **ids, max_new_tokens=12, min_new_tokens=12, do_sample=False
        )
        text = tokenizer.decode(out[0], skip_special_tokens=True)
        assert out.shape[1] == ids["input_ids"].shape[1] + 12
        assert text.startswith("Once upon a time") and len(text) > 20


def test_the_dense_folder_is_close_and_says_that_it_is_not_exact(run, made):
    found = compare(run.model, load(made["dense"]), run)
    assert 0.95 <= found.argmax < 1 and found.divergence < 1e-2
    assert "do not round activations" in (made["dense"] / "README.md").read_text()
    assert "do not round activations" not in (made["bitlinear"] / "README.md").read_text()


# --- J3: GGUF through transformers' loader ---


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


def by_gguf(path: Path):
    """A GGUF file loaded by transformers."""
    return load(path.parent, gguf_file=path.name)


def passes_gguf(found) -> bool:
    """What sums in another order may change, where no activation is rounded."""
    return found.largest <= 1e-4 and found.argmax == 1


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


# --- model card ---


def test_the_model_card_holds_metrics_recipe_origin_and_terms(run, made):
    card = (made["bitlinear"] / "README.md").read_text()
    last = pd.read_csv(run.weights.parent / "run.csv").iloc[-1]
    assert f"{last['BitsPerByte']:.6g}" in card and "N = 4096" in card
    recipe = json.loads(re.search(r"```json\n(.*?)```", card, re.S)[1])
    trained = load_tensors(run.weights)[1]
    assert recipe == trained["recipe"]
    assert trained["code"] in card and trained["data"] in card
    assert "this project's own grammar" in card and card.startswith(
        "---\nlibrary_name: transformers"
    )


# --- what cannot be exported ---


def refused(capsys, action) -> str:
    """The one line that a script ends in."""
    with pytest.raises(SystemExit) as ended:
        call(action)
    line = str(ended.value)
    assert line.startswith("error: ") and "\n" not in line
    return line


@pytest.fixture(scope="module")
def narrow(tmp_path_factory, stories_data) -> Run:
    """Hidden 64, untied, as the quick study's width."""
    folder = tmp_path_factory.mktemp("narrow")
    return train_run(folder, stories_data, 40, hidden_size=64, tie_embeddings=False)


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
    path = narrow.export("f32", tmp_path / "f32.gguf")
    assert passes_gguf(compare(load(folder), by_gguf(path), narrow))
    assert compare(narrow.model, load(folder), narrow).argmax > 0.9


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
    for kind in ("bitlinear", "tq2_0"):
        line = refused(capsys, lambda kind=kind: twin.export(kind, tmp_path / "no"))
        assert "full-precision twin" in line and "dense" in line
    assert not (tmp_path / "no").exists()


def test_the_gate_of_the_legacy_study_has_no_gguf_form_but_two_folders():
    from bitnet.config.recipe import ModelConfig

    legacy = ModelConfig(512, 256, 1, activation="relu2", intermediate_ratio=2)
    assert formats_of(legacy) == ["bitlinear", "dense"]
    with pytest.raises(ValueError, match="activation is 'relu2'; allowed: swiglu"):
        check_format(legacy, "f16")
    wide = ModelConfig(512, 256, 1, intermediate_ratio=2.5)
    with pytest.raises(ValueError, match="intermediate_size is 640; allowed: a multiple of 256"):
        check_format(wide, "bitlinear")


def rewritten(run: Run, to: Path, change) -> Run:
    """A run whose weights or record are others, sealed anew."""
    arrays, metadata = load_tensors(run.weights)
    arrays = {name: array.copy() for name, array in arrays.items()}
    change(arrays, metadata)
    save_tensors(to / "run.safetensors", arrays, metadata)
    return run._replace(weights=to / "run.safetensors")


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
