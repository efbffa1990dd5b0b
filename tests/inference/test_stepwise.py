"""Inference token by token with few calls reads what the engine and the training model read."""

import warnings

import pytest
import torch

from bitnet.inference.engine import Inference
from bitnet.inference.sampling import Sampling, complete
from bitnet.inference.stepwise import ArrayCache, Stepwise
from tests.inference.test_engine import CONTEXT, KINDS, SHAPES, ids, trained


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("weights", KINDS)
def test_logits_of_single_tokens_are_those_of_the_training_model(weights, shape):
    model, read = trained(weights, **shape), ids(1, CONTEXT)
    stepwise = Stepwise(model)
    cache = stepwise.cache(1)
    found = [stepwise.next_logits(read[:, :5], cache)]  # a prompt
    found += [stepwise.next_logits(read[:, i : i + 1], cache) for i in range(5, CONTEXT)]
    with torch.no_grad():
        expected = model(read)[:, 4:]
    torch.testing.assert_close(torch.stack(found, dim=1), expected, rtol=1e-9, atol=1e-9)
    assert cache.length == CONTEXT


@pytest.mark.parametrize("weights", KINDS)
@pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=0.9, top_p=0.9, seed=3)])
def test_it_writes_the_same_text_beyond_a_context(weights, sampling):
    model, prompt = trained(weights, torch.float32), ids(1, 3)
    written = [
        complete(kind(model), prompt, sampling, 3 * CONTEXT, []) for kind in (Inference, Stepwise)
    ]
    assert written[0] == written[1] and len(written[0][0]) == 3 * CONTEXT


def test_a_single_token_is_read_without_the_engine(monkeypatch):
    model = Stepwise(trained())
    cache = model.cache(1)
    model.next_logits(ids(1, 4), cache)
    monkeypatch.setattr(model, "layers", None)
    assert isinstance(cache, ArrayCache) and model.next_logits(ids(1, 1), cache).isfinite().all()


def test_logits_are_not_overwritten_by_the_next():
    model = Stepwise(trained())
    cache = model.cache(1)
    first = model.next_logits(ids(1, 1), cache)
    kept = first.clone()
    model.next_logits(torch.tensor([[9]]), cache)
    assert torch.equal(first, kept)


def test_several_sequences_are_read_by_the_engine():
    trained_model, read = trained(), ids(3, 5)
    model, other = Stepwise(trained_model), Inference(trained_model)
    cache, same = model.cache(3), other.cache(3)
    for i in range(5):
        one, two = (
            m.next_logits(read[:, i : i + 1], c) for m, c in ((model, cache), (other, same))
        )
        assert torch.equal(one, two)


def test_more_tokens_than_the_context_are_refused():
    model = Stepwise(trained())
    cache = model.cache(1)
    model.next_logits(ids(1, CONTEXT), cache)
    with pytest.raises(ValueError, match=f"tokens is {CONTEXT + 1}; allowed: at most the context"):
        model.next_logits(ids(1, 1), cache)


@pytest.mark.parametrize("weights", KINDS)
def test_weights_that_are_not_finite_are_refused_without_a_warning(weights):
    model = trained(weights, torch.float32)
    with torch.no_grad():
        model.layers[0].mlp.down_proj.weight.fill_(float("nan"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="logits are not finite"):
            complete(Stepwise(model), ids(1, 1), Sampling(), 4, [])


def test_on_another_device_it_is_the_engine():
    model = Stepwise(trained(dtype=torch.float32).to("meta"))
    cache = model.cache(1)
    assert not isinstance(cache, ArrayCache)
    found = model.next_logits(torch.ones(1, 1, dtype=torch.long, device="meta"), cache)
    assert found.shape == (1, 61) and cache.length == 1
