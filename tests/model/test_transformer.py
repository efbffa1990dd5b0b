"""The model against parameter counts by hand and against transformers' Llama."""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from bitnet.config.recipe import ModelConfig
from bitnet.model.bitlinear import BitLinear
from bitnet.model.products import FullPrecisionLinear
from bitnet.model.transformer import Transformer, linear_weights, rotary_tables, rotate

SMALL = {"vocab_size": 96, "hidden_size": 64, "num_layers": 3}


def on_meta(config: ModelConfig) -> Transformer:
    """A model without memory, for counting."""
    with torch.device("meta"):
        return Transformer(config, sequence_length=8)


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def make(seed: int = 0, **shape) -> Transformer:
    """A model in float32 whose norms are not all ones, so that a norm left out would be seen."""
    torch.manual_seed(seed)
    model = Transformer(ModelConfig(**{**SMALL, **shape}), sequence_length=24)
    for name, parameter in model.named_parameters():
        if "norm" in name:
            nn.init.uniform_(parameter, 0.5, 1.5)
    return model.eval()


def loud(model: Transformer) -> Transformer:
    """The model with matrices of std 0.16: at 0.02 attention is all but uniform."""
    with torch.no_grad():
        for weight in [*linear_weights(model), model.embed_tokens.weight]:
            weight.mul_(8)
    return model


def llama(model: Transformer) -> LlamaForCausalLM:
    """transformers' Llama with the weights of a twin."""
    c = model.config
    theirs = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=c.vocab_size,
            hidden_size=c.hidden_size,
            intermediate_size=c.intermediate_size,
            num_hidden_layers=c.num_layers,
            num_attention_heads=c.num_heads,
            num_key_value_heads=c.num_kv_heads,
            hidden_act={"swiglu": "silu", "relu2": "relu2"}[c.activation],
            rms_norm_eps=c.norm_eps,
            rope_parameters={"rope_type": "default", "rope_theta": c.rope_theta},
            tie_word_embeddings=c.tie_embeddings,
            max_position_embeddings=64,
            attention_bias=False,
            mlp_bias=False,
            attn_implementation="eager",
        )
    )
    tensors = {}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight":
            tensors[name] = tensor
        elif "gate_up_proj" in name:
            gate, up = tensor.chunk(2)
            tensors["model." + name.replace("gate_up", "gate")] = gate
            tensors["model." + name.replace("gate_up", "up")] = up
        else:
            tensors["model." + name] = tensor
    theirs.load_state_dict(tensors)
    return theirs.eval()


def tokens(rows: int = 2, length: int = 24, vocab_size: int = 96, seed: int = 0) -> torch.Tensor:
    g = torch.Generator().manual_seed(seed)
    return torch.randint(0, vocab_size, (rows, length), generator=g)


# --- parameters ---


def test_the_95m_plan_has_exactly_95_367_936_parameters():
    config = ModelConfig(vocab_size=32_000, hidden_size=768, num_layers=8)
    assert (config.num_heads, config.num_kv_heads, config.head_dim) == (12, 6, 64)
    assert config.intermediate_size == 3_072
    model = on_meta(config)
    assert count(model) == 95_367_936
    assert sum(config.parameters().values()) == 95_367_936
    for layer in model.layers:
        assert count(layer.self_attn) + count(layer.input_layernorm) == 1_770_240
        assert count(layer.mlp) + count(layer.post_attention_layernorm) == 7_078_656
    assert config.parameters()["attention"] == 8 * 1_770_240
    assert config.parameters()["feed_forward"] == 8 * 7_078_656


@settings(max_examples=25)
@given(
    vocab_size=st.integers(1, 500),
    heads=st.sampled_from([(1, 1), (2, 1), (4, 2), (4, 4), (6, 2)]),
    head_dim=st.sampled_from([2, 8, 16]),
    num_layers=st.integers(1, 3),
    intermediate_ratio=st.sampled_from([1, 2.5, 4]),
    activation=st.sampled_from(["swiglu", "relu2"]),
    tie_embeddings=st.booleans(),
    linear_norms=st.booleans(),
    fused_qkv=st.booleans(),
    weights=st.sampled_from(["ternary", "full_precision"]),
)
def test_parameter_arithmetic_agrees_with_the_model(heads, head_dim, **shape):
    config = ModelConfig(
        hidden_size=heads[0] * head_dim, num_heads=heads[0], num_kv_heads=heads[1], **shape
    )
    model = on_meta(config)
    parts = config.parameters()
    assert sum(parts.values()) == count(model)
    assert parts["norm"] == count(model.norm)
    assert parts["attention"] == sum(
        count(layer.self_attn) + count(layer.input_layernorm) for layer in model.layers
    )
    assert parts["embedding"] == count(model) - count(model.layers) - count(model.norm)


@pytest.mark.parametrize(
    ("hidden_size", "heads", "kv_heads", "head_dim"),
    [(64, 2, 1, 32), (128, 2, 1, 64), (256, 4, 2, 64), (512, 8, 4, 64), (1024, 16, 8, 64)],
)
def test_heads_are_64_wide_or_half_of_a_small_model(hidden_size, heads, kv_heads, head_dim):
    c = ModelConfig(vocab_size=10, hidden_size=hidden_size, num_layers=1)
    assert (c.num_heads, c.num_kv_heads, c.head_dim) == (heads, kv_heads, head_dim)


# --- against transformers ---


@pytest.mark.parametrize(
    "shape",
    [
        {},
        {"tie_embeddings": False},
        {"activation": "relu2", "intermediate_ratio": 2},
        {"num_heads": 8, "num_kv_heads": 2, "rope_theta": 500.0},
        {"num_heads": 4, "num_kv_heads": 4, "norm_eps": 1e-2},
    ],
)
def test_the_twin_computes_what_transformers_llama_computes(shape):
    model = loud(make(weights="full_precision", **shape))
    with torch.no_grad():
        ours, theirs = model(tokens()), llama(model)(tokens()).logits
    assert theirs.std() > 0.1
    torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-5 * theirs.abs().max().item())


def test_the_twin_has_the_gradients_of_transformers_llama():
    model = loud(make(weights="full_precision"))
    theirs = llama(model)
    ids, targets = tokens(), tokens(seed=1)
    for m in (model, theirs):
        logits = m(ids) if m is model else m(ids).logits
        F.cross_entropy(logits.flatten(0, 1), targets.flatten()).backward()
    pairs = dict(theirs.named_parameters())
    for name in ("embed_tokens.weight", "norm.weight", "layers.0.self_attn.k_proj.weight"):
        ours = dict(model.named_parameters())[name].grad
        expected = pairs[f"model.{name}"].grad
        largest = expected.abs().max().item()
        assert largest > 1e-3, name
        torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-5 * largest)


def test_rotary_angles_are_those_of_the_paper_and_turning_keeps_lengths():
    cos, sin = rotary_tables(16, 8, 10_000.0)
    assert cos.shape == sin.shape == (16, 8)
    # RoFormer, eq. 15: theta_i = 10000^(-2 i / d), angle m theta_i, here at m = 5, i = 1 and 3
    for i in (1, 3):
        angle = 5 * 10_000 ** (-2 * i / 8)
        assert cos[5, i].item() == pytest.approx(math.cos(angle), abs=1e-7)
        assert sin[5, i + 4].item() == pytest.approx(math.sin(angle), abs=1e-7)
    x = torch.randn(1, 2, 16, 8, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(rotate(x, cos, sin).norm(dim=-1), x.norm(dim=-1))
    torch.testing.assert_close(rotate(x, cos, sin)[:, :, 0], x[:, :, 0])


# --- causality ---


@pytest.mark.parametrize("weights", ["ternary", "full_precision"])
@settings(max_examples=15)
@given(position=st.integers(1, 23), token=st.integers(0, 95))
def test_a_later_token_changes_no_earlier_logit(weights, position, token):
    model = make(weights=weights).double()
    ids = tokens()
    changed = ids.clone()
    changed[:, position] = (ids[:, position] + 1 + token) % 96
    with torch.no_grad():
        before, after = model(ids), model(changed)
    same = (changed == ids)[:, position]
    torch.testing.assert_close(
        after[:, :position], before[:, :position], rtol=0, atol=1e-9 * before.abs().max().item()
    )
    moved = (after[:, position:] - before[:, position:]).abs().amax(dim=(1, 2))
    assert ((moved > 1e-6) == ~same).all()


def test_a_shorter_sequence_gives_the_beginning_of_a_longer_one():
    model = make().double()
    with torch.no_grad():
        torch.testing.assert_close(model(tokens())[:, :7], model(tokens()[:, :7]))


# --- embeddings ---


def test_a_tied_head_is_the_embedding_and_an_untied_one_is_not():
    tied, untied = make(), make(tie_embeddings=False)
    assert tied.lm_head.weight is tied.embed_tokens.weight
    assert "lm_head.weight" not in dict(tied.named_parameters())
    assert untied.lm_head.weight.data_ptr() != untied.embed_tokens.weight.data_ptr()
    assert count(untied) == count(tied) + 96 * 64


def test_an_untied_untrained_model_starts_near_ln_v_plus_a_sixth():
    # Logits of variance hidden * 1 / (3 hidden) = 1/3; log E exp = half of it.
    torch.manual_seed(0)
    config = ModelConfig(vocab_size=8_000, hidden_size=128, num_layers=2, tie_embeddings=False)
    model = Transformer(config, sequence_length=64)
    ids = tokens(32, 65, 8_000)
    with torch.no_grad():
        loss = F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten()).item()
    assert loss == pytest.approx(math.log(8_000) + 1 / 6, abs=0.04)
    assert abs(loss - math.log(8_000)) > 0.1


def test_a_tied_untrained_model_predicts_its_own_input_token():
    # So "20 distinct predictions at step 1" says nothing: an untrained model already gives as many.
    torch.manual_seed(0)
    model = Transformer(ModelConfig(vocab_size=512, hidden_size=256, num_layers=2), 32)
    ids = tokens(8, 32, 512)
    with torch.no_grad():
        assert (model(ids).argmax(dim=-1) == ids).float().mean() > 0.9


# --- twin ---


def test_twin_and_ternary_differ_in_the_class_of_the_linear_layers_alone():
    ternary, twin = make(weights="ternary"), make(weights="full_precision")
    kinds = [
        {name: type(module) for name, module in model.named_modules()} for model in (ternary, twin)
    ]
    assert kinds[0].keys() == kinds[1].keys()
    different = {name for name in kinds[0] if kinds[0][name] is not kinds[1][name]}
    matrices = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_up_proj", "down_proj")
    assert {name.split(".")[-1] for name in different} == set(matrices)
    assert len(different) == 6 * 3
    assert all(
        (kinds[0][name], kinds[1][name]) == (BitLinear, FullPrecisionLinear) for name in different
    )
    for (name, a), (other, b) in zip(
        ternary.state_dict().items(), twin.state_dict().items(), strict=True
    ):
        assert name == other
        assert torch.equal(a, b)


def test_the_linear_weights_are_all_matrices_of_the_layers_and_nothing_else():
    model = make(tie_embeddings=False)
    expected = {id(p) for name, p in model.named_parameters() if name.endswith("_proj.weight")}
    assert len(expected) == 18
    assert {id(weight) for weight in linear_weights(model)} == expected


def test_matrices_and_embedding_start_with_a_standard_deviation_of_0_02_and_norms_at_one():
    torch.manual_seed(0)
    model = Transformer(ModelConfig(vocab_size=512, hidden_size=128, num_layers=1), 8)
    for name, parameter in model.named_parameters():
        if "norm" in name:
            assert (parameter == 1).all(), name
        else:
            assert parameter.std().item() == pytest.approx(0.02, rel=0.05), name
            assert abs(parameter.mean().item()) < 0.001, name
