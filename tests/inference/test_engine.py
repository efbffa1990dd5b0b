"""Inference reads what training would read: the same logits, token by token, without the work."""

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from bitnet.common.tensors import save_tensors
from bitnet.config.recipe import ModelConfig, Recipe, TrainConfig
from bitnet.inference.engine import Inference
from bitnet.model import quantization
from bitnet.model.checkpoint import load_trained, save_weights
from bitnet.model.transformer import Transformer

CONTEXT = 24
KINDS = ["ternary", "full_precision"]
SHAPES = [{}, {"num_kv_heads": 4}, {"activation": "relu2", "tie_embeddings": False}]
SHAPES += [{"linear_norms": True}, {"fused_qkv": True}]


def trained(
    weights: str = "ternary", dtype=torch.float64, hidden: int = 32, **shape
) -> Transformer:
    """A model whose weights are far from the symmetric start, as after training."""
    torch.manual_seed(7)
    config = ModelConfig(61, 32, 2, **{"num_heads": 4, "weights": weights, **shape})
    model = Transformer(config, CONTEXT).to(dtype)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.3 * torch.randn_like(p)).mul_(1 + torch.rand_like(p))
    return model


def ids(batch: int, length: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(3).integers(0, 61, size=(batch, length)))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weights", KINDS)
def test_logits_token_by_token_are_those_of_the_training_model(weights, shape):
    # float64: rounding to int8 turns a difference in the last digit of float32 into a step.
    model, read = trained(weights, **shape), ids(3, CONTEXT)
    frozen = Inference(model)
    cache = frozen.cache(3)
    found = [frozen.logits(read[:, :5], cache), frozen.logits(read[:, 5:12], cache)]
    found += [frozen.logits(read[:, i : i + 1], cache) for i in range(12, CONTEXT)]
    with torch.no_grad():
        expected = model(read)
    torch.testing.assert_close(torch.cat(found, dim=1), expected, rtol=1e-9, atol=1e-9)
    assert cache.length == CONTEXT


@pytest.mark.parametrize("weights", KINDS)
def test_a_float32_prefill_is_within_float32_of_the_training_model(weights):
    model, read = trained(weights, torch.float32), ids(2, CONTEXT)
    frozen = Inference(model)
    found = frozen.logits(read, frozen.cache(2))
    with torch.no_grad():
        expected = model(read)
    assert (found - expected).abs().mean() < 1e-3 * expected.std()


def test_the_last_logits_alone_are_the_last_of_all():
    model, read = Inference(trained()), ids(2, 9)
    alone = model.next_logits(read, model.cache(2))
    torch.testing.assert_close(alone, model.logits(read, model.cache(2))[:, -1])


def test_weights_are_quantised_once(monkeypatch):
    model = Inference(trained())

    def refuse(_):
        raise AssertionError("quantised again")

    monkeypatch.setattr(quantization, "ternary_codes", refuse)
    monkeypatch.setattr("bitnet.inference.engine.ternary_codes", refuse)
    model.next_logits(ids(1, 4), model.cache(1))
    assert set(model.layers[0].qkv.weight.unique().tolist()) == {-1, 0, 1}


def test_more_tokens_than_the_context_are_refused():
    model = Inference(trained())
    cache = model.cache(1)
    model.logits(ids(1, CONTEXT), cache)
    with pytest.raises(ValueError, match=f"tokens is {CONTEXT + 1}; allowed: at most the context"):
        model.logits(ids(1, 1), cache)


@pytest.fixture
def saved(tmp_path):
    """Weights as training leaves them, and the model they are of."""
    training = TrainConfig(20, 2, CONTEXT, "adamw", 1e-3, 5e-4, 1e-5, 2, 0.1, 0.0)
    model = trained(dtype=torch.float32)
    record = {"recipe": vars(Recipe(model.config, training)), "data": "d", "diverged": False}
    record["recipe"] = {key: vars(value) for key, value in record["recipe"].items()}
    save_weights(model, tmp_path / "m.safetensors", {**record, "kind": "weights"})
    return tmp_path / "m.safetensors", model, record


def test_a_saved_model_comes_back_as_it_was(saved):
    path, model, _ = saved
    found, metadata = load_trained(path)
    assert found.config == model.config and metadata["data"] == "d"
    for one, other in zip(found.parameters(), model.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 64, None])
def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "x.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=r"model is '.*x\.safetensors'; allowed: weights") as error:
        load_trained(path)
    assert "\n" not in str(error.value)


def test_observations_and_foreign_tensors_are_no_model(tmp_path):
    save_tensors(tmp_path / "o.safetensors", {"a": np.zeros(2)}, {"kind": "observations"})
    with pytest.raises(ValueError, match='it holds "observations"'):
        load_trained(tmp_path / "o.safetensors")
    save_file({"a": np.zeros(2)}, tmp_path / "f.safetensors")
    with pytest.raises(ValueError, match="nothing says that it is one"):
        load_trained(tmp_path / "f.safetensors")


def test_a_damaged_and_a_diverged_model_are_refused(saved):
    path, model, record = saved
    data = bytearray(path.read_bytes())
    data[-3] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="damaged"):
        load_trained(path)
    save_weights(model, path, {**record, "diverged": True, "kind": "weights"})
    with pytest.raises(ValueError, match="did not diverge"):
        load_trained(path)
