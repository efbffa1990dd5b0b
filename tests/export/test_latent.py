"""The latent folder: transformers has our loss and gradients, trains on, and we read it back.

Kinds of fault: a folder from which training starts anew, or trains another model than ours;
weights that come back changed.
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file
from torch.nn.functional import cross_entropy
from transformers import Trainer, TrainingArguments, default_data_collator
from transformers.integrations.bitnet import WeightQuant

from bitnet.data.dataloader import open_shard
from bitnet.export.from_latent import read_latent
from bitnet.export.latent import PAIRED
from bitnet.export.weights import separate
from bitnet.model.checkpoint import load_trained
from tests.helpers.exports import LENGTH, compare, load, logits, passes_float32, refused
from workflow.scripts import read_latent as script

STEPS, BATCH = 20, 8
RATE = 1e-4  # with which our training ended
GRADIENTS = 0.01  # relative distance that int8 codes rounded otherwise may make


def losses(model, ids: torch.Tensor) -> torch.Tensor:
    """Loss of each prediction within windows (B, T): (B, T - 1), in float64."""
    out = logits(model, ids)[:, :-1].double()
    return cross_entropy(out.mT, ids[:, 1:], reduction="none")


def by_batch(each: torch.Tensor) -> torch.Tensor:
    """Mean loss of each batch of the Trainer."""
    return each.reshape(STEPS, -1).mean(dim=1)


@pytest.fixture(scope="module")
def texts(run) -> torch.Tensor:
    """Windows of the training text, one for each sequence of 20 steps: (160, 32)."""
    shard = open_shard(run.data.folder, run.data.manifest["train"])
    rows = np.asarray(shard[: STEPS * BATCH * LENGTH], dtype=np.int64)
    return torch.from_numpy(rows.reshape(-1, LENGTH))


@pytest.fixture(scope="module")
def ours(run, texts) -> torch.Tensor:
    """Our losses of them, before the Trainer's first step."""
    return losses(run.model, texts)


@pytest.fixture(scope="module")
def tolerance(run, texts, ours) -> float:
    """How far apart the mean losses of two float32 computations of our model may be.

    With e1 and e2 their distances from float64, a prediction each, |mean(e1 - e2)| is at most
    mean|e1| + mean|e2|. The first is measured. The second is taken to be as large: the operations
    are the same in another order, and in both what rounding moves is an int8 code here and there.
    """
    return 2 * (ours - losses(run.model.double(), texts)).abs().mean().item()


@pytest.fixture(scope="module")
def trained(made, texts, tmp_path_factory) -> tuple[list[float], Path, torch.nn.Module]:
    """Losses of 20 steps of transformers' Trainer, the folder that it saved, its model."""
    folder = tmp_path_factory.mktemp("trained")
    how = TrainingArguments(
        folder / "run",
        max_steps=STEPS,
        per_device_train_batch_size=BATCH,
        learning_rate=RATE,
        lr_scheduler_type="constant",
        train_sampling_strategy="sequential",
        logging_steps=1,
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    rows = [{"input_ids": row, "labels": row} for row in texts]
    model = load(made["latent"])
    trainer = Trainer(model, how, train_dataset=rows, data_collator=default_data_collator)
    trainer.train()
    trainer.save_model(folder / "tuned")
    seen = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    return seen, folder / "tuned", model.eval()


def test_transformers_has_our_loss_of_each_batch(made, texts, ours, tolerance):
    theirs = losses(load(made["latent"]), texts)
    apart = (by_batch(theirs) - by_batch(ours)).abs().max().item()
    assert apart <= tolerance < 1e-3


def gradients(model, ids: torch.Tensor) -> dict[str, np.ndarray]:
    """Of the mean loss over windows, by our names and in our order of rows."""
    out = model(ids)
    theirs = hasattr(out, "logits")
    cross_entropy((out.logits if theirs else out)[:, :-1].mT, ids[:, 1:]).backward()
    found = {n.removeprefix("model."): p.grad.numpy() for n, p in model.named_parameters()}
    if theirs:
        size = model.config.head_dim
        found |= {n: separate(g, size) for n, g in found.items() if n.endswith(PAIRED)}
    return found


def distance(ours: dict, theirs: dict) -> float:
    """Largest relative distance of a parameter's gradients."""
    assert ours.keys() == theirs.keys()
    return max(np.linalg.norm(theirs[n] - g) / np.linalg.norm(g) for n, g in ours.items())


def test_separate_scales_of_gate_and_up_are_seen(run, made, texts, ours, tolerance):
    llama = load(made["latent"])  # as two matrices of a Llama would be quantised
    for layer in llama.model.layers:
        linear = layer.mlp.gate_up_proj
        halves = [WeightQuant.apply(half) for half in linear.weight.detach().chunk(2)]
        linear.weight.data = torch.cat(halves)
        linear.online_quant, linear.weight_scale = False, 1.0
    apart = by_batch(losses(llama, texts)) - by_batch(ours)
    assert apart.abs().max() > tolerance
    first = texts[:BATCH]
    assert distance(gradients(run.model, first), gradients(llama, first)) > GRADIENTS


def test_rows_of_q_and_k_in_our_order_are_seen(run, texts, ours, tolerance, monkeypatch, tmp_path):
    monkeypatch.setattr("bitnet.export.latent.interleave", lambda weights, _: weights)
    mixed = load(run.export("latent", tmp_path / "mixed"))
    apart = by_batch(losses(mixed, texts)) - by_batch(ours)
    assert apart.abs().max() > 10 * tolerance


def test_gradients_in_transformers_are_ours(run, made, texts):
    first = texts[:BATCH]
    theirs = gradients(load(made["latent"]), first)
    assert distance(gradients(run.model, first), theirs) <= GRADIENTS


def test_the_trainer_goes_on_as_our_model_does(run, texts, ours, tolerance, trained):
    seen, _, after = trained
    assert len(seen) == STEPS
    assert abs(seen[0] - ours[:BATCH].mean().item()) <= tolerance
    anew = np.log(run.model.config.vocab_size)
    assert max(seen) < (ours.mean() + anew) / 2
    here = run.model
    optimizer = torch.optim.AdamW(here.parameters(), RATE, weight_decay=0)
    for ids in texts.split(BATCH):
        optimizer.zero_grad()
        cross_entropy(here(ids)[:, :-1].mT, ids[:, 1:]).backward()
        torch.nn.utils.clip_grad_norm_(here.parameters(), 1.0)
        optimizer.step()
    before, mine, theirs = (losses(m, run.ids).mean() for m in (run.model, here, after))
    assert mine < before and abs(theirs - mine) < 0.05 * (before - mine)  # held-out text


def test_an_exported_folder_is_read_back_bit_for_bit(run, made):
    model, metadata = read_latent(made["latent"])
    own = run.model.state_dict()
    assert model.state_dict().keys() == own.keys()
    assert all(torch.equal(tensor, own[name]) for name, tensor in model.state_dict().items())
    assert torch.equal(logits(model, run.ids), logits(run.model, run.ids))
    assert metadata == load_trained(run.weights)[1]


def test_what_the_trainer_saved_is_read_as_weights_that_predict_the_same(run, trained, tmp_path):
    _, folder, there = trained
    path = tmp_path / "tuned.safetensors"
    script.main(["--folder", str(folder), "--output", str(path)])
    tuned = run._replace(weights=path)
    model, metadata = load_trained(path)
    found = compare(model, there, tuned)
    assert passes_float32(found), found
    assert not passes_float32(compare(run.model, there, run))  # it has been trained
    assert metadata["continued"]["software"].startswith("transformers 5.")
    card = (tuned.export("bitlinear", tmp_path / "bitlinear") / "README.md").read_text()
    assert metadata["continued"]["software"] in card
    assert passes_float32(compare(there, load(tmp_path / "bitlinear"), tuned))


def test_weights_in_bfloat16_are_read(run, made, tmp_path):
    load(made["latent"], torch.bfloat16).save_pretrained(tmp_path / "half")
    read = read_latent(tmp_path / "half")[0].state_dict()
    for name, own in run.model.named_parameters():
        assert torch.equal(read[name], own.detach().bfloat16().float())


def other(key, value):
    """A change of a folder's config.json."""

    def change(folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, key: value}))

    return change


def weights(change):
    """A change of a folder's tensors."""

    def rewrite(folder: Path) -> None:
        tensors = {k: v.copy() for k, v in load_file(folder / "model.safetensors").items()}
        change(tensors)
        save_file(tensors, folder / "model.safetensors")

    return rewrite


FAULTS = {
    "folder is ": lambda folder: (folder / "config.json").unlink(),
    "allowed: one exported as latent": other("bitnet_trained", None),
    "num_attention_heads in ": other("num_attention_heads", 2),
    "rope_parameters in ": other("rope_parameters", {"rope_theta": 5e5}),
    "quantization_config in ": other("quantization_config", None),
    "weights is ": lambda folder: (folder / "model.safetensors").unlink(),
    "see embed_tokens.weight": weights(
        lambda t: t.update({"model.embed_tokens.weight": np.zeros((513, 256), np.float32)})
    ),
    "see norm.weight": weights(lambda t: t.pop("model.norm.weight")),
    "norm.weight is not finite": weights(lambda t: t["model.norm.weight"].fill(np.nan)),
}


@pytest.mark.parametrize("words", FAULTS)
def test_a_folder_of_another_model_is_refused_in_one_line(made, tmp_path, capsys, words):
    folder = shutil.copytree(made["latent"], tmp_path / "folder")
    FAULTS[words](folder)
    asked = ["--folder", str(folder), "--output", str(tmp_path / "out.safetensors")]
    assert words in refused(capsys, lambda: script.main(asked))
    assert not (tmp_path / "out.safetensors").exists()


def test_weights_that_exist_are_not_overwritten(run, made, capsys):
    before = run.weights.read_bytes()
    asked = ["--folder", str(made["latent"]), "--output", str(run.weights)]
    assert "this one exists" in refused(capsys, lambda: script.main(asked))
    assert run.weights.read_bytes() == before
