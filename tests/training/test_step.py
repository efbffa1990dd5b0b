"""A step compiled, captured and with its rate in a tensor is the step as it is."""

import copy
import dataclasses
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
import torch.nn.functional as F

from bitnet.config.recipe import ModelConfig, Recipe, TrainConfig
from bitnet.model import bitlinear, products
from bitnet.model.transformer import Transformer, linear_weights, parameter_groups
from bitnet.training import step as step_module
from bitnet.training.device import claim
from bitnet.training.step import WORTH_SECONDS, Step, compiles

CPU = torch.device("cpu")
GPU = torch.device("cuda")


def recipe(steps=100, hidden_size=32, layers=2, weights="ternary", **training) -> Recipe:
    protocol = {
        "steps": steps,
        "batch_size": 4,
        "sequence_length": 12,
        "optimizer": "adamw",
        "peak_lr": 1e-2,
        "switch_lr": 5e-3,
        "final_lr": 1e-4,
        "warmup_steps": 5,
        "stage1_weight_decay": 0.1,
        "stage2_weight_decay": 0.0,
    }
    model = ModelConfig(50, hidden_size, layers, weights=weights)
    return Recipe(model, TrainConfig(**protocol | training))


def model_and_rows(dtype=torch.float64, **changes):
    """A model, token ids (4, 13) and a protocol."""
    r = recipe(**changes)
    torch.manual_seed(0)
    ids = torch.randint(0, 50, (4, 13), generator=torch.Generator().manual_seed(1))
    return Transformer(r.model, 12).to(dtype), ids, r.training


def assert_equal_models(a, b, **tolerance):
    for (name, p), (_, q) in zip(a.named_parameters(), b.named_parameters(), strict=True):
        torch.testing.assert_close(p, q, **tolerance, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_a_step_is_that_of_torchs_own_loss_clipping_and_optimizer(smoothing):
    model, rows, config = model_and_rows(gradient_clip=0.3, label_smoothing=smoothing)
    twin = copy.deepcopy(model)
    matrices = linear_weights(twin)
    inside = {id(p) for p in matrices}
    rest = [p for p in twin.parameters() if id(p) not in inside]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": rest, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(config.beta1, config.beta2))
    step = Step(model, config)
    for _ in range(3):
        logits = twin(rows[:, :-1]).flatten(0, 1)
        loss = F.cross_entropy(logits, rows[:, 1:].flatten(), label_smoothing=smoothing)
        loss.backward()
        whole = [p.grad.square().sum() for p in twin.parameters()]
        each = [
            sum(p.grad.square().sum() for p in part) for part in parameter_groups(twin).values()
        ]
        norm = torch.nn.utils.clip_grad_norm_(twin.parameters(), 0.3)
        assert norm > 0.3
        optimizer.step()
        optimizer.zero_grad()
        values = step(rows, 1e-3, 0.1)
        expected = torch.stack([loss.detach(), *(n.sqrt() for n in (sum(whole), *each))])
        torch.testing.assert_close(values, expected, rtol=1e-11, atol=0)
        assert_equal_models(model, twin, rtol=0, atol=1e-10)


@pytest.mark.parametrize("weights", ["ternary", "full_precision"])
@pytest.mark.parametrize(
    "changes", [{"accumulate": 2}, {"accumulate": 4}, {"checkpoint_activations": True}]
)
def test_a_step_in_micro_batches_or_with_checkpoints_is_the_step_in_one_piece(weights, changes):
    model, rows, config = model_and_rows(weights=weights, gradient_clip=0.3, label_smoothing=0.1)
    whole = Step(model, config)
    other = Step(copy.deepcopy(model), dataclasses.replace(config, **changes))
    for _ in range(3):
        values = whole(rows, 1e-3, 0.1)
        torch.testing.assert_close(other(rows, 1e-3, 0.1), values, rtol=1e-12, atol=0)
    assert_equal_models(model, other.model, rtol=0, atol=1e-12)


@pytest.mark.parametrize("mixed", [False, True])
def test_a_step_quantises_each_weight_once_whatever_it_is_made_in(mixed, monkeypatch):
    model, rows, config = model_and_rows(torch.float32, accumulate=4, checkpoint_activations=True)
    counted, quantise = [], bitlinear.ternary_codes

    def count(weight):
        counted.append(weight)
        return quantise(weight)

    monkeypatch.setattr(bitlinear, "ternary_codes", count)
    step = Step(model, config)
    step.products = lambda: torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed)
    before = [p.detach().clone() for p in linear_weights(model)]
    for times in (1, 2):
        step(rows, 1e-3, 0.1)
        assert len(counted) == times * len(before)
    moved = [(p - q).abs().max() for p, q in zip(linear_weights(model), before, strict=True)]
    assert min(moved) > 0 and bitlinear._kept is None


def test_micro_batches_in_float32_differ_from_one_piece_in_rounding_alone():
    model, rows, config = model_and_rows(torch.float32)
    other = copy.deepcopy(model)
    values = Step(model, config)(rows, 1e-3, 0.1)
    found = Step(other, dataclasses.replace(config, accumulate=4))(rows, 1e-3, 0.1)
    torch.testing.assert_close(found, values, rtol=1e-5, atol=0)


def test_with_checkpoints_a_layer_keeps_its_input_alone():
    kept = {}
    for checkpointed in (False, True):
        model, rows, config = model_and_rows(checkpoint_activations=checkpointed)
        step, sizes = Step(model, config), []
        parameters = {p.untyped_storage().data_ptr() for p in model.parameters()}

        def pack(tensor, sizes=sizes, parameters=parameters):
            if tensor.untyped_storage().data_ptr() not in parameters:
                sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            step.model.hidden(rows[:, :-1])
        kept[checkpointed] = sum(sizes)
    layers = 2 * rows[:, :-1].numel() * 32  # the input of each of two layers
    assert kept[True] < 5 * layers < kept[False]


@pytest.fixture
def compiler(monkeypatch):
    """torch.compile at work, which conftest switches off."""
    if not any(map(step_module.shutil.which, step_module.COMPILERS)):
        pytest.skip("torch.compile needs a C++ compiler")
    monkeypatch.delenv("TORCHDYNAMO_DISABLE")
    with torch._dynamo.config.patch(disable=False):
        yield


def plain_and_compiled(
    dtype: torch.dtype, layers: int
) -> tuple[Step, torch.Tensor, Step, torch.Tensor]:
    """Two equal steps, one compiled as a single graph, and what each returned."""
    model, rows, config = model_and_rows(dtype, layers=layers)
    plain, compiled = Step(model, config), Step(copy.deepcopy(model), config, compiled=True)
    before = torch._dynamo.utils.counters["stats"]["unique_graphs"]
    values = plain(rows, 1e-3, 0.0), compiled(rows, 1e-3, 0.0)
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] == before + 1  # without a break
    return plain, values[0], compiled, values[1]


def test_a_compiled_step_has_the_gradients_of_the_step_in_float64(compiler):
    plain, expected, compiled, values = plain_and_compiled(torch.float64, layers=2)
    torch.testing.assert_close(values, expected, rtol=1e-12, atol=0)
    for name, moments in plain.optimizer.moments.items():
        gradient = moments["exp_avg"]  # (1 - beta1) times it
        difference = (compiled.optimizer.moments[name]["exp_avg"] - gradient).norm()
        assert gradient.norm() > 0 and difference <= 1e-12 * gradient.norm(), name


def test_a_compiled_step_multiplies_integers_in_one_graph_too(compiler, monkeypatch):
    monkeypatch.setattr(products, "VNNI", True)
    monkeypatch.setattr(products, "INTEGERS_FROM", 0)
    _, expected, _, values = plain_and_compiled(torch.float32, layers=1)
    # A value next to the middle of two codes may be rounded either way.
    torch.testing.assert_close(values, expected, rtol=1e-2, atol=0)


def test_a_rate_in_a_tensor_is_that_rate():
    model, rows, config = model_and_rows(torch.float32)
    a, b = Step(model, config), Step(copy.deepcopy(model), config)
    b.optimizer.lr = torch.zeros(())
    for rate in (1e-3, 5e-3, 0.0):
        a(rows, rate, 0.1)
        b(rows, rate, 0.1)
    assert_equal_models(a.model, b.model, rtol=0, atol=1e-6)  # the tensor is float32


@pytest.fixture
def gpu_tools(monkeypatch, tmp_path) -> Path:
    """What torch needs to compile for a GPU, pretended; returns the place of its Python.h."""
    (tmp_path / "Python.h").touch()
    monkeypatch.setitem(sys.modules, "triton", ModuleType("triton"))
    monkeypatch.setattr(step_module.sysconfig, "get_path", lambda name: str(tmp_path))
    monkeypatch.setattr(step_module.shutil, "which", {"g++": "/g++", "gcc": "/gcc"}.get)
    return tmp_path / "Python.h"


def test_long_runs_are_compiled_and_a_recipe_can_say_otherwise(gpu_tools, monkeypatch):
    short, long = recipe(steps=1000), recipe(steps=2_000_000)
    assert not compiles(short, CPU) and compiles(recipe(steps=1000, compile=True), CPU)
    assert compiles(long, CPU) and compiles(long, GPU)
    assert not compiles(recipe(steps=2_000_000, compile=False), CPU)
    assert long.training.steps * step_module.step_seconds(long, False) > WORTH_SECONDS
    # A trunk and its branches are decided alike.
    assert compiles(recipe(steps=2_000_000, stage2_weight_decay=None), CPU)
    monkeypatch.setattr(step_module.shutil, "which", lambda name: None)
    assert not compiles(long, CPU) and not compiles(long, GPU)


@pytest.mark.parametrize("lacking", ["triton", "Python.h", "gcc"])
def test_a_run_on_a_gpu_is_compiled_only_where_all_that_it_takes_is_there(
    lacking, gpu_tools, monkeypatch
):
    long = recipe(steps=2_000_000)
    assert compiles(long, GPU)
    if lacking == "triton":
        monkeypatch.setitem(sys.modules, "triton", None)  # an import of it fails
    elif lacking == "Python.h":
        gpu_tools.unlink()
    else:
        monkeypatch.setattr(step_module.shutil, "which", {"g++": "/g++"}.get)
    assert not compiles(long, GPU) and compiles(long, CPU)
    assert compiles(recipe(steps=1000, compile=True), GPU)  # then torch's own message says it


def test_a_training_on_a_cpu_takes_for_zero_what_would_slow_it_down_tenfold():
    tiny = torch.full((64,), 1e-30)
    try:
        with claim("cpu", 1):
            assert not (tiny * 1e-10).any()
    finally:
        torch.set_flush_denormal(False)
    assert (tiny * 1e-10).all()
