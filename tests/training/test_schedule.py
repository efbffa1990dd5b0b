"""Schedules against the printed table of the protocol, optimizers against arithmetic in numpy."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from bitnet.config.recipe import OPTIMIZERS, ModelConfig, TrainConfig
from bitnet.model.transformer import Transformer, linear_weights, parameter_groups
from bitnet.training.optim import Adam
from bitnet.training.schedule import TwoStageLRScheduler, schedules


def protocol(**changes) -> TrainConfig:
    """The 95M plan, with changes."""
    plan = {
        "steps": 60_000,
        "batch_size": 16,
        "sequence_length": 128,
        "optimizer": "adam",
        "peak_lr": 1.5e-3,
        "switch_lr": 1e-3,
        "final_lr": 1.5e-5,
        "warmup_steps": 375,
        "stage1_weight_decay": 0.1,
        "stage2_weight_decay": 0.0,
    }
    return TrainConfig(**{**plan, **changes})


# --- values ---


@pytest.mark.parametrize(
    ("step", "rate"),
    [
        (0, 0.0),
        (1, 1.5e-3 / 375),
        (150, 6e-4),  # 2 / 5 of the warm-up
        (374, 374 * 4e-6),
        (375, 1.5e-3),
        (15_187.5, 1.25e-3),  # the middle of the line from 375 to 30,000
        (30_000, 1e-3),
        (45_000, (1e-3 + 1.5e-5) / 2),
        (60_000, 1.5e-5),
    ],
)
def test_learning_rate_of_the_plan_is_that_of_the_paper_at_every_corner(step, rate):
    lr, _ = schedules(protocol())
    assert lr(step) == pytest.approx(rate, rel=1e-12, abs=0)


def test_weight_decay_of_the_plan_is_0_1_at_the_switch_and_0_right_after_it():
    _, wd = schedules(protocol())
    assert [wd(s) for s in (0, 1, 29_999, 30_000)] == [0.1] * 4
    assert [wd(s) for s in (30_001, 60_000)] == [0.0] * 2
    _, arm = schedules(protocol(stage2_weight_decay=0.05))
    assert (arm(30_000), arm(30_001)) == (0.1, 0.05)


def test_the_two_switches_move_apart():
    lr, wd = schedules(protocol(lr_switch=40_000, wd_switch=10_000))
    assert lr(40_000) == pytest.approx(1e-3, rel=1e-12)
    assert lr(10_000) > lr(10_001) > lr(39_999) > 1e-3
    assert (wd(10_000), wd(10_001)) == (0.1, 0.0)
    assert [wd(s) for s in (39_999, 40_001)] == [0.0, 0.0]


def test_switching_only_the_learning_rate_leaves_weight_decay_where_it_was():
    _, wd = schedules(protocol(lr_switch=100, warmup_steps=50))
    assert (wd(30_000), wd(30_001)) == (0.1, 0.0)


def test_a_trunk_has_the_same_stage_1_and_no_stage_2():
    trunk, branch = protocol(stage2_weight_decay=None), protocol()
    for ours, theirs in zip(schedules(trunk), schedules(branch), strict=True):
        assert [ours(s) for s in (0, 375, 30_000)] == [theirs(s) for s in (0, 375, 30_000)]
    assert math.isnan(schedules(trunk)[1](30_001))


def test_without_a_warm_up_the_first_rate_is_the_peak():
    lr, _ = schedules(protocol(warmup_steps=0))
    assert lr(0) == 1.5e-3
    assert 0 < lr(0) - lr(1) < 1e-7


def test_a_warm_up_that_reaches_the_switch_is_refused_with_the_longest_allowed():
    protocol(steps=200, warmup_steps=99)
    with pytest.raises(ValueError, match=r"^warmup_steps is 100; allowed: 0 to 99 .*$"):
        protocol(steps=200, warmup_steps=100)


def test_with_a_lag_the_first_step_is_at_the_peak_as_in_the_original_script():
    lr, _ = schedules(protocol(steps=10_000, final_lr=1.5e-6, lr_lag=True))
    rates = {1: 1.5e-3, 2: 1.5e-3 / 375, 375: 1.5e-3 * 374 / 375, 376: 1.5e-3, 5_001: 1e-3}
    rates[10_000] = 1e-3 - (1e-3 - 1.5e-6) * 4_999 / 5_000
    for step, rate in rates.items():
        assert lr(step) == pytest.approx(rate, rel=1e-12, abs=0)


def test_a_lag_is_a_rate_that_is_set_after_the_update_and_moves_no_weight_decay():
    lr, wd = schedules(protocol(steps=40, warmup_steps=6, lr_lag=True))
    plain, _ = schedules(protocol(steps=40, warmup_steps=6))
    assert [lr(step) for step in range(1, 41)] == [1.5e-3, *(plain(s) for s in range(1, 40))]
    assert (wd(20), wd(21)) == (0.1, 0.0)


# --- properties ---


@st.composite
def plans(draw) -> TwoStageLRScheduler:
    """Schedules whose rates fall: peak >= switch >= final."""
    final, switch, peak = sorted(draw(st.tuples(*[st.floats(1e-6, 1e-1)] * 3)))
    steps = draw(st.integers(4, 100_000))
    switch_step = draw(st.integers(2, steps - 1))
    warmup = draw(st.integers(0, switch_step - 1))
    return TwoStageLRScheduler(peak, switch, final, warmup, switch_step, steps)


def steps_of(lr: TwoStageLRScheduler) -> st.SearchStrategy[int]:
    """Steps before the last, those around a corner above all."""
    corners = {c + d for c in (0, lr.warmup_steps, lr.switch_step, lr.steps) for d in (-1, 0, 1)}
    near = sorted(step for step in corners if 0 <= step < lr.steps)
    return st.one_of(st.sampled_from(near), st.integers(0, lr.steps - 1))


@given(plans(), st.data())
def test_the_rate_rises_in_the_warm_up_and_never_after_it(lr, data):
    step = data.draw(steps_of(lr))
    if step < lr.warmup_steps:
        assert lr(step) < lr(step + 1) * (1 + 1e-12)
    else:
        assert lr(step + 1) <= lr(step) * (1 + 1e-12)
    assert 0 <= lr(step) <= lr.peak * (1 + 1e-12)


@given(plans(), st.data())
def test_the_rate_never_jumps_beyond_the_slope_of_its_piece(lr, data):
    step = data.draw(steps_of(lr))
    slopes = [
        (lr.peak - lr.switch) / (lr.switch_step - lr.warmup_steps),
        (lr.switch - lr.final) / (lr.steps - lr.switch_step),
    ]
    if lr.warmup_steps:
        slopes.append(lr.peak / lr.warmup_steps)
    assert abs(lr(step + 1) - lr(step)) <= max(slopes) * (1 + 1e-9) + 1e-15


@given(plans())
def test_corners_are_met_exactly_and_the_last_rate_stays(lr):
    assert lr(lr.warmup_steps) == lr.peak
    assert lr(lr.switch_step) == pytest.approx(lr.switch, rel=1e-12)
    assert lr(lr.steps) == pytest.approx(lr.final, rel=1e-9)
    assert lr(lr.steps + 1_000) == lr(lr.steps)


# --- optimizers ---

LR, WD, BETA1, BETA2, EPS = 1e-2, 0.1, 0.9, 0.95, 1e-8


def model_and_optimizer(optimizer: str, **shape):
    """A small model with every parameter, norms included, drawn at random."""
    torch.manual_seed(0)
    config = ModelConfig(vocab_size=20, hidden_size=16, num_layers=2, **shape)
    model = Transformer(config, sequence_length=8)
    for parameter in model.parameters():
        torch.nn.init.uniform_(parameter, 0.5, 1.5)
    return model, Adam(model, protocol(optimizer=optimizer))


def step_with(model, optimizer, gradients: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Parameters in float64 after one update with these gradients."""
    for name, parameter in model.named_parameters():
        parameter.grad = gradients[name].clone()
    optimizer.set_step(LR, WD)
    optimizer.step()
    return values(model)


def values(model) -> dict[str, np.ndarray]:
    return {name: p.detach().double().numpy() for name, p in model.named_parameters()}


def zeros(model) -> dict[str, torch.Tensor]:
    return {name: torch.zeros_like(p) for name, p in model.named_parameters()}


def randoms(model, seed: int) -> dict[str, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    return {n: 0.3 * torch.randn(p.shape, generator=g) for n, p in model.named_parameters()}


MATRICES, TABLES, GAINS = "_proj.weight", ("embed_tokens.weight", "lm_head.weight"), "norm.weight"
# By optimizer: does L2 enter the gradient, which names decay, what the decay is multiplied by.
RULES = {
    "adam": (True, "", 1),
    "adam-matrices": (True, MATRICES, 1),
    "adam-embedding": (True, TABLES, 1),
    "adam-gains": (True, GAINS, 1),
    "adam-matrices-embedding": (True, (MATRICES, *TABLES), 1),
    "adam-matrices-gains": (True, (MATRICES, GAINS), 1),
    "adam-embedding-gains": (True, (*TABLES, GAINS), 1),
    "adamw": (False, MATRICES, LR),
    "adamw-all": (False, "", LR),
    "adamw-unscaled": (False, "", 1),
}


@pytest.mark.parametrize("tie_embeddings", [True, False])
@pytest.mark.parametrize("name", RULES)
def test_each_optimizer_is_its_papers_formula_with_its_own_decay(name, tie_embeddings):
    """Kingma & Ba 2015, algorithm 1; with L2 or with the decay of Loshchilov & Hutter 2019."""
    model, optimizer = model_and_optimizer(name, tie_embeddings=tie_embeddings)
    coupled, reached, scale = RULES[name]
    expected = values(model)
    m = v = {key: 0.0 for key in expected}
    for t in (1, 2, 3):
        gradients = randoms(model, t)
        actual = step_with(model, optimizer, gradients)
        for key, p in expected.items():
            decay = WD * p if key.endswith(reached) else 0.0 * p
            g = gradients[key].double().numpy() + (decay if coupled else 0.0)
            m = {**m, key: BETA1 * m[key] + (1 - BETA1) * g}
            v = {**v, key: BETA2 * v[key] + (1 - BETA2) * g**2}
            update = m[key] / (1 - BETA1**t) / (np.sqrt(v[key] / (1 - BETA2**t)) + EPS)
            expected[key] = p - LR * update - (0.0 if coupled else scale * decay)
            np.testing.assert_allclose(actual[key], expected[key], rtol=0, atol=3e-6)


def test_adam_moves_every_parameter_by_the_whole_rate_where_only_decay_is_left():
    # g = wd p, so m_hat / sqrt(v_hat) = sign(p): the size of the decay cancels out.
    model, optimizer = model_and_optimizer("adam")
    before = values(model)
    after = step_with(model, optimizer, zeros(model))
    for name, p in before.items():
        np.testing.assert_allclose(after[name], p - LR, rtol=0, atol=1e-6, err_msg=name)


@pytest.mark.parametrize("tie_embeddings", [True, False])
def test_adamw_decays_the_matrices_of_the_layers_and_nothing_else(tie_embeddings):
    model, optimizer = model_and_optimizer("adamw", tie_embeddings=tie_embeddings)
    before = values(model)
    after = step_with(model, optimizer, zeros(model))
    decayed = {name for name in before if name.endswith("_proj.weight")}
    assert len(decayed) == 12
    for name, p in before.items():
        factor = 1 - LR * WD if name in decayed else 1.0
        np.testing.assert_allclose(after[name], p * factor, rtol=1e-6, atol=0, err_msg=name)
        if name not in decayed:
            assert (after[name] == p).all(), name
    assert {"embed_tokens.weight", "norm.weight"} <= before.keys() - decayed


@pytest.mark.parametrize("optimizer_name", OPTIMIZERS)
def test_every_parameter_is_updated_once(optimizer_name):
    model, optimizer = model_and_optimizer(optimizer_name)
    held = [id(p) for group, _ in optimizer.groups for p in group]
    assert sorted(held) == sorted(id(p) for p in model.parameters())
    assert len(set(held)) == len(held)


@pytest.mark.parametrize("optimizer_name", OPTIMIZERS)
def test_a_rate_of_zero_moves_nothing(optimizer_name):
    model, optimizer = model_and_optimizer(optimizer_name)
    before = values(model)
    for name, parameter in model.named_parameters():
        parameter.grad = randoms(model, 0)[name]
    optimizer.set_step(0.0, 0.1)
    optimizer.step()
    assert all((after == before[name]).all() for name, after in values(model).items())


@pytest.mark.parametrize("tie_embeddings", [True, False])
def test_the_parts_of_a_model_hold_each_parameter_once_under_the_right_name(tie_embeddings):
    model, _ = model_and_optimizer("adam", tie_embeddings=tie_embeddings)
    found = {part: {id(p) for p in held} for part, held in parameter_groups(model).items()}
    ids = {name: id(p) for name, p in model.named_parameters()}
    ends = {"embed": ("embed_tokens.weight", "lm_head.weight"), "linear": ("_proj.weight",)}
    ends["gain"] = ("norm.weight",)
    for part, end in ends.items():
        assert found[part] == {i for name, i in ids.items() if name.endswith(end)}
    assert sum(map(len, found.values())) == len(ids)


def test_a_new_weight_decay_holds_from_the_next_step_on():
    model, optimizer = model_and_optimizer("adamw")
    step_with(model, optimizer, zeros(model))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before = [weight.detach().clone() for weight in linear_weights(model)]
    optimizer.set_step(LR, 0.0)
    optimizer.step()
    assert all(torch.equal(a, b) for a, b in zip(before, linear_weights(model), strict=True))
