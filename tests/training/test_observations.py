"""What is read off a model, against arithmetic by hand on models whose weights are set by hand."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.spatial.distance import pdist

from bitnet.config.recipe import ModelConfig
from bitnet.model.transformer import Transformer, linear_weights, parameter_groups
from bitnet.training.observations import health, legacy_contexts, observe

VOCAB, HIDDEN = 40, 16


def model(**shape) -> Transformer:
    torch.manual_seed(0)
    return Transformer(ModelConfig(VOCAB, HIDDEN, 2, **shape), 12)


def windows(count: int = 5) -> torch.Tensor:
    return torch.randint(0, VOCAB, (count, 13), generator=torch.Generator().manual_seed(1))


def test_the_mean_cosine_is_that_of_all_pairs_of_positions():
    m, rows = model(), windows()
    seen = observe(m, rows, 50)
    hidden = m.hidden(rows[:, :-1]).detach().flatten(0, 1)[:50]
    expected = 1 - pdist(hidden.double().numpy(), "cosine").mean()
    assert seen["hidden_cosine"] == pytest.approx(expected, abs=1e-6)


def test_the_mean_cosine_of_positions_that_are_all_alike_is_one():
    m = model()
    with torch.no_grad():
        m.embed_tokens.weight[:] = m.embed_tokens.weight[0].clone()
    assert observe(m, windows(), 60)["hidden_cosine"] == pytest.approx(1, abs=1e-6)


def test_logits_are_products_in_float32_under_autocast_too():
    m, rows = model(tie_embeddings=False), windows()
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        seen = observe(m, rows, 50)
        hidden = m.hidden(rows[:, :-1]).flatten(0, 1)[:50]
        legacy = m.hidden(legacy_contexts(VOCAB))[:, -1]
    weight = m.lm_head.weight.detach().double()
    expected = F.cross_entropy(
        hidden.double() @ weight.T, rows[:, 1:].flatten()[:50], reduction="none"
    )
    assert seen["nll"] == pytest.approx(expected.numpy(), abs=1e-5)  # bfloat16: some 1e-3
    assert seen["legacy_prediction"].tolist() == (legacy.double() @ weight.T).argmax(-1).tolist()


def test_legacy_predictions_follow_twenty_contexts_of_eight_random_ids():
    contexts = legacy_contexts(VOCAB)
    assert contexts.shape == (20, 8) and contexts.min() >= 0 and contexts.max() < VOCAB
    assert len({tuple(row.tolist()) for row in contexts}) == 20
    m = model()
    alone = [int(m(row[None])[0, -1].argmax()) for row in contexts]
    assert observe(m, windows(), 60)["legacy_prediction"].tolist() == alone


def test_an_untrained_model_with_tied_embeddings_repeats_its_input_in_the_legacy_count():
    # "20 at step 1" of the original reports: as many predictions as there are last tokens.
    m, contexts = model(tie_embeddings=True), legacy_contexts(VOCAB)
    repeated = observe(m, windows(), 60)["legacy_prediction"] == contexts[:, -1].numpy()
    assert repeated.sum() >= 18


def test_health_counts_weights_near_the_rounding_threshold_and_at_zero():
    m = model()
    for weight in linear_weights(m):
        values = torch.tensor([0.05, 0.45, 0.55, 0.65, 3.3])  # their mean is 1
        with torch.no_grad():
            weight.copy_(values.repeat(weight.numel() // 5 + 1)[: weight.numel()].view_as(weight))
            weight.mul_(1 / weight.mean())
    seen = health(m)
    assert seen["zero_share"] == pytest.approx(2 / 5, abs=0.01)  # 0.05 and 0.45
    assert seen["near_threshold"] == pytest.approx(2 / 5, abs=0.01)  # 0.45 and 0.55
    twin = health(model(weights="full_precision"))
    assert np.isnan(twin["near_threshold"]) and np.isnan(twin["zero_share"])


@pytest.mark.parametrize("tied", [True, False])
def test_norms_are_those_of_each_part(tied):
    m = model(tie_embeddings=tied)
    with torch.no_grad():
        for gain in parameter_groups(m)["gain"]:
            gain.fill_(0.5)
    seen, held = health(m), dict(m.named_parameters(remove_duplicate=False))
    assert seen["gain"] == pytest.approx(0.5)
    assert seen["embed_norm"] == pytest.approx(held["embed_tokens.weight"].norm().item(), rel=1e-5)
    assert seen["head_norm"] == pytest.approx(held["lm_head.weight"].norm().item(), rel=1e-5)
    assert (seen["embed_norm"] == seen["head_norm"]) == tied
