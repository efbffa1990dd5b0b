"""Exported folders against transformers: codes, logits in float64 and float32, text."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from torch import nn
from transformers import AutoTokenizer
from transformers.integrations.bitnet import unpack_weights
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from bitnet.export.formats import FOLDERS
from bitnet.model.quantization import ternary_codes
from tests.helpers.exports import Run, compare, load, logits, passes_float32, with_scales

EXACT = 1e-9  # of logits in float64
MATRIX = "model.layers.1.self_attn.o_proj.weight"  # nothing rounds what it adds


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


def test_the_folders_hold_exactly_the_keys_of_transformers_llama(made):
    for kind in FOLDERS:
        stored = load_file(made[kind] / "model.safetensors")
        theirs = set(load(made[kind]).state_dict()) - {"lm_head.weight"}  # tied: not stored
        assert set(stored) == theirs
        kinds = {
            array.dtype.name for name, array in stored.items() if name.endswith("_proj.weight")
        }
        assert kinds == {"uint8" if kind == "bitlinear" else "float32"}


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
