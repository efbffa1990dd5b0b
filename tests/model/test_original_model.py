"""The original investigation's model, against one written from its description.

Each linear layer has an RMSNorm with a gain of its own before its quantiser, besides the norms
before attention, before the feed-forward and at the end; queries, keys and values are one matrix;
the gate is squared ReLU; no weight is drawn otherwise than torch.nn does by default.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bitnet.config.recipe import ModelConfig
from bitnet.model.transformer import Transformer, parameter_groups

HEADS, VOCAB = 4, 61
ORIGINAL = {
    "num_layers": 4,
    "num_heads": HEADS,
    "num_kv_heads": HEADS,
    "intermediate_ratio": 2,
    "activation": "relu2",
    "tie_embeddings": False,
    "linear_norms": True,
    "fused_qkv": True,
    "initialization": "pytorch",
}


def model(weights: str = "ternary", vocab: int = VOCAB, hidden: int = 32, **shape) -> Transformer:
    torch.manual_seed(3)
    settings = {**ORIGINAL, "weights": weights, **shape}
    return Transformer(ModelConfig(vocab, hidden, **settings), sequence_length=31)


def with_gains(made: Transformer) -> Transformer:
    """In float64, with gains that are not all ones, so that a norm left out would be seen."""
    for parameter in parameter_groups(made.double())["gain"]:
        nn.init.uniform_(parameter, 0.5, 1.5)
    return made


def tokens(rows: int, length: int, vocab: int = VOCAB) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, vocab, (rows, length), generator=generator)


# --- the description, written down once more ---


def rms(x, gain):
    return gain * x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt()


def straight_through(x, quantised):
    return x + (quantised - x).detach()


def product(x, weight, ternary):
    if ternary:
        scale = weight.abs().mean()
        weight = straight_through(weight, (weight / scale).round().clamp(-1, 1) * scale)
        largest = x.abs().amax(-1, keepdim=True)
        x = straight_through(x, (127 * x / largest).round() * largest / 127)
    return x @ weight.T


def rotated(x):
    """Each pair (i, i + half a head) turned by its position's angle: x (B, heads, T, D)."""
    half = x.shape[-1] // 2
    position = torch.arange(x.shape[-2], dtype=torch.float64)[:, None]
    angle = position * 10_000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    # The model keeps its tables in float32.
    turn = torch.complex(angle.cos().float().double(), angle.sin().float().double())
    pairs = torch.complex(x[..., :half].contiguous(), x[..., half:].contiguous()) * turn
    return torch.cat([pairs.real, pairs.imag], -1)


def attention(x, w, fused, inner, ternary):
    B, T, C = x.shape
    if inner:
        x = rms(x, w["self_attn.qkv_norm.weight"])
    if fused:
        parts = product(x, w["self_attn.qkv_proj.weight"], ternary).chunk(3, -1)
    else:
        parts = [product(x, w[f"self_attn.{n}_proj.weight"], ternary) for n in "qkv"]
    q, k, v = (part.reshape(B, T, HEADS, -1).transpose(1, 2) for part in parts)
    scores = rotated(q) @ rotated(k).mT / math.sqrt(C // HEADS)
    future = torch.ones(T, T, dtype=torch.bool).triu(1)
    y = scores.masked_fill(future, -math.inf).softmax(-1) @ v
    y = y.transpose(1, 2).reshape(B, T, C)
    if inner:
        y = rms(y, w["self_attn.o_norm.weight"])
    return product(y, w["self_attn.o_proj.weight"], ternary)


def feed_forward(x, w, inner, ternary):
    if inner:
        x = rms(x, w["mlp.gate_up_norm.weight"])
    gate, up = product(x, w["mlp.gate_up_proj.weight"], ternary).chunk(2, -1)
    h = gate.clamp(min=0) ** 2 * up
    if inner:
        h = rms(h, w["mlp.down_norm.weight"])
    return product(h, w["mlp.down_proj.weight"], ternary)


def logits(parameters, ids, layers, fused, inner, ternary):
    x = parameters["embed_tokens.weight"][ids]
    for i in range(layers):
        start = f"layers.{i}."
        w = {k.removeprefix(start): p for k, p in parameters.items() if k.startswith(start)}
        x = x + attention(rms(x, w["input_layernorm.weight"]), w, fused, inner, ternary)
        x = x + feed_forward(rms(x, w["post_attention_layernorm.weight"]), w, inner, ternary)
    return rms(x, parameters["norm.weight"]) @ parameters["lm_head.weight"].T


@pytest.mark.parametrize(("fused", "inner"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("weights", ["ternary", "full_precision"])
def test_logits_and_gradients_are_those_of_the_description(weights, fused, inner):
    made = with_gains(model(weights, num_layers=2, fused_qkv=fused, linear_norms=inner))
    ids = tokens(3, 32)
    copies = {n: p.detach().clone().requires_grad_() for n, p in made.named_parameters()}
    theirs = logits(copies, ids[:, :-1], 2, fused, inner, weights == "ternary")
    ours = made(ids[:, :-1])
    torch.testing.assert_close(ours, theirs, rtol=1e-9, atol=1e-9)
    for found in (ours, theirs):
        F.cross_entropy(found.flatten(0, 1), ids[:, 1:].flatten()).backward()
    for name, parameter in made.named_parameters():
        expected = copies[name].grad
        assert expected.abs().max() > 0, name
        torch.testing.assert_close(parameter.grad, expected, rtol=1e-7, atol=1e-11, msg=name)


def test_one_scale_for_queries_keys_and_values_is_not_three():
    fused, apart = (with_gains(model(num_layers=1, fused_qkv=one)) for one in (True, False))
    with torch.no_grad():
        fused.layers[0].self_attn.qkv_proj.weight[:32] *= 3  # louder queries
        state = fused.state_dict()
        joined = state.pop("layers.0.self_attn.qkv_proj.weight")
        for name, rows in zip("qkv", joined.chunk(3), strict=True):
            state[f"layers.0.self_attn.{name}_proj.weight"] = rows
        apart.load_state_dict(state)
        difference = (fused(tokens(1, 9)) - apart(tokens(1, 9))).abs().mean()
    assert difference > 1e-2


def test_layers_compile_as_one_graph_and_stay_the_same():
    made = with_gains(model(num_layers=1))
    compiled = torch.compile(made.hidden, backend="eager", fullgraph=True)
    assert torch.equal(compiled(tokens(2, 31)), made.hidden(tokens(2, 31)))


# --- size and start ---


def test_parameters_are_counted_by_hand():
    made = model(vocab=32_000, hidden=256)
    attention = 3 * 256 * 256 + 256 * 256 + 3 * 256  # matrices, pre-norm and two gains
    feed_forward = 2 * 512 * 256 + 512 * 256 + 2 * 256 + 512
    total = 2 * 32_000 * 256 + 4 * (attention + feed_forward) + 256
    assert total == 19_012_864
    assert sum(p.numel() for p in made.parameters()) == total
    assert made.config.parameters() == {
        "embedding": 2 * 32_000 * 256,
        "attention": 4 * attention,
        "feed_forward": 4 * feed_forward,
        "norm": 256,
    }
    groups = parameter_groups(made)
    assert sum(p.numel() for p in groups["gain"]) == 4 * (3 * 256 + 2 * 256 + 512) + 256
    assert sum(p.numel() for p in groups["linear"]) == 4 * (4 * 256 * 256 + 3 * 512 * 256)


def test_weights_are_drawn_as_torch_does_by_default():
    made = model(vocab=2_000, hidden=128).requires_grad_(False)
    groups = parameter_groups(made)
    embedding, head = groups["embed"]
    assert embedding.mean().abs() < 0.01 and abs(embedding.std() - 1) < 0.01
    for weight in [*groups["linear"], head]:
        bound = weight.shape[1] ** -0.5
        assert 0.99 * bound < weight.abs().max() <= bound
        assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.03)
        assert weight.mean().abs() < 0.02 * bound
    assert all((gain == 1).all() for gain in groups["gain"])


@pytest.mark.parametrize("weights", ["ternary", "full_precision"])
def test_the_loss_begins_at_ln_v_and_a_sixth(weights):
    ids = tokens(32, 32, 32_000)
    with torch.no_grad():
        found = model(weights, vocab=32_000, hidden=256)(ids[:, :-1]).flatten(0, 1)
    loss = F.cross_entropy(found, ids[:, 1:].flatten()).item()
    assert loss == pytest.approx(math.log(32_000) + 1 / 6, abs=0.06)  # 992 targets, +- 0.018


def test_an_unknown_initialization_is_refused_in_one_line():
    with pytest.raises(ValueError, match=r"^initialization is 'xavier'; allowed: llama or"):
        model(initialization="xavier")
