"""A step as one CUDA graph: recorded on a CPU, and captured on a GPU where there is one."""

import contextlib

import pytest
import torch

from bitnet.common.tensors import load_tensors
from bitnet.config.recipe import ModelConfig, Recipe
from bitnet.model.transformer import Transformer
from bitnet.training import step as step_module
from bitnet.training.cuda_graph import CHECKED, EAGER, CudaGraph
from bitnet.training.step import Step
from tests.helpers.recorded_graph import pretend_graphs
from tests.training.test_step import compiler, recipe  # noqa: F401
from workflow.scripts import train

CPU, GPU = torch.device("cpu"), torch.device("cuda")
EACH = 6  # steps before the switch of weight decay, and after it: EAGER eager ones and 3 replays
TWIN, UNTIED = {"weights": "full_precision"}, {"tie_embeddings": False}


@pytest.fixture
def captured(monkeypatch) -> list:
    """The graphs captured so far, each recorded call by call."""
    return pretend_graphs(monkeypatch)


def make(graph: bool, device: torch.device = CPU, model=None, **protocol) -> Step:
    """A small step, with a graph or without, as one on a GPU is."""
    r = recipe(**protocol)
    torch.manual_seed(0)
    small = Transformer(ModelConfig(50, 32, 1, **model or {}), 12).to(device)
    step = Step(small, r.training)
    step.capture()
    if not graph:
        step.run = step.eager
    return step


def trained(step: Step, count: int = 2 * EACH) -> torch.Tensor:
    """Values (count, 5) of steps whose learning rate and rows change each time, and decay once."""
    g = torch.Generator().manual_seed(1)
    return torch.stack(
        [
            step(torch.randint(0, 50, (4, 13), generator=g), 1e-3 * (1 + i), 0.1 * (i < EACH))
            for i in range(count)
        ]
    )


def assert_same_bits(one: Step, other: Step) -> None:
    assert torch.equal(trained(one), trained(other))
    theirs = other.state()
    for name, tensor in one.state().items():
        assert torch.equal(tensor, theirs[name]), name


@pytest.mark.parametrize(
    ("mixed", "changes"),
    [
        (False, {}),
        (True, {}),
        (False, {"model": TWIN}),
        (True, {"model": TWIN}),
        (False, {"model": UNTIED, "label_smoothing": 0.1}),
        (True, {"model": {"activation": "relu2"}, "optimizer": "adamw-all"}),
        (True, {"accumulate": 2}),
        (True, {"checkpoint_activations": True, "accumulate": 2, "label_smoothing": 0.1}),
        (False, {"optimizer": "adam", "gradient_clip": 0.3}),
        (False, {"optimizer": "adam-matrices"}),
    ],
    ids=str,
)
def test_captured_steps_are_eager_ones_to_the_bit(mixed, changes, captured):
    eager, step = make(False, **changes), make(True, **changes)
    for one in (eager, step):
        one.products = lambda: torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed)
    assert_same_bits(eager, step)
    assert len(captured) == 2  # one for each weight decay
    assert step.graph.outcome == "captured; replays differ from eager steps by 0 of a step"


@pytest.fixture
def deterministic():
    """Deterministic algorithms, which also fill new memory with NaN."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def test_captured_steps_under_deterministic_algorithms_are_eager_ones(captured, deterministic):
    assert_same_bits(make(False), make(True))
    assert len(captured) == 2


def test_a_compiled_step_captured_is_the_compiled_step(captured, compiler):  # noqa: F811
    """By way of AOTAutograd's graph: the code made of it writes through pointers, unseen here."""
    if not hasattr(torch.utils._python_dispatch.TorchDispatchMode, "ignore_compile_internals"):
        pytest.skip("this torch compiles nothing while calls are recorded")
    steps = make(False), make(True)
    for step in steps:
        step.hidden = torch.compile(step.model.hidden, dynamic=False, backend="aot_eager")
    assert_same_bits(*steps)
    plain = make(True)
    trained(plain)
    compiled, eager = (len(graph.calls) for graph in captured[1:3])
    assert compiled != eager  # it was the compiled code that was recorded


@pytest.mark.parametrize("deterministically", [False, True])
def test_a_capture_that_fixes_the_rate_is_found_and_eager_steps_go_on(
    deterministically, captured, caplog, request
):
    """The number is right in the first replay and wrong in the second, with which it ends."""
    if deterministically:
        request.getfixturevalue("deterministic")
    eager, step = make(False), make(True)
    for one in (eager, step):
        one.optimizer.lr = 0.0  # a Python number, which a capture takes for a constant
    assert_same_bits(eager, step)
    assert step.graph.graph is None and len(captured) == 1
    assert "replay differs from the eager step by" in step.graph.outcome
    assert caplog.text.count("no CUDA graph") == 1


def test_a_replay_of_the_rows_before_is_found(captured, monkeypatch):
    step = make(True)

    def stale(rows):
        step.graph.graph.replay()
        return step.graph.values.clone()

    monkeypatch.setattr(step.graph, "replay", stale)
    trained(step, EAGER + CHECKED)
    assert "replay differs" in step.graph.refused


def test_rounding_of_kernels_that_add_in_any_order_is_no_difference(captured):
    """On a GPU the gradient of attention differs between two runs by some thousandths."""
    step, noise = make(True), torch.Generator().manual_seed(2)

    def noisy(parameter):
        parameter.grad.mul_(1 + 2e-3 * torch.randn(parameter.shape, generator=noise))

    for parameter in step.model.parameters():
        parameter.register_post_accumulate_grad_hook(noisy)
    trained(step, EAGER + CHECKED)
    assert step.graph.refused is None and 0 < step.graph.difference < 0.05


def test_a_step_that_diverges_is_not_called_a_fault_of_its_graph(captured):
    step = make(True)
    with torch.no_grad():
        step.model.norm.weight.fill_(float("nan"))
    assert not trained(step, EAGER + CHECKED).isfinite().any()
    assert step.graph.refused is None


def test_a_graph_is_captured_after_some_steps_and_again_for_another_key(captured):
    step = CudaGraph(lambda rows: rows.double().mean()[None], lambda: None, {})
    kept = []
    for i, key in enumerate("a" * 6 + "b" * 6):
        kept.append((i, step(torch.full((2, 3), i), key)))
        assert len(captured) == (i >= EAGER) + (i >= 6 + EAGER)
    assert [value.item() for _, value in kept] == [i for i, _ in kept]  # no later replay wrote them


def test_what_cannot_be_captured_runs_on_as_it_is(captured, monkeypatch, caplog):
    def refuse(graph, stream):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "graph", refuse)
    step = CudaGraph(lambda rows: rows.double().mean()[None], lambda: None, {})
    values = [step(torch.full((2, 3), i), "a").item() for i in range(8)]
    assert values == list(range(8))
    assert caplog.text.count("no CUDA graph") == 1


def test_a_capture_that_fails_late_leaves_no_gradients_behind(captured, monkeypatch):
    """The step that replaces it has the gradients of its own batch alone, not those twice."""
    step, capture = make(True), torch.cuda.graph

    @contextlib.contextmanager
    def failing(graph, stream):
        def refuse(gradients):
            raise RuntimeError("operation not permitted when stream is capturing")

        with monkeypatch.context() as during, capture(graph, stream):
            during.setattr(step_module, "get_total_norm", refuse)
            yield

    monkeypatch.setattr(torch.cuda, "graph", failing)
    assert_same_bits(make(False), step)
    assert step.graph.refused and not captured


def test_the_record_of_a_training_says_how_its_steps_ran(
    captured, monkeypatch, stories_data, tmp_path
):
    begin = Step.__init__

    def as_on_a_gpu(step, *args):
        begin(step, *args)
        step.capture()

    monkeypatch.setattr(Step, "__init__", as_on_a_gpu)
    size = stories_data.manifest["vocab_size"]
    training = recipe(steps=12, sequence_length=32, warmup_steps=2).training
    r = Recipe(ModelConfig(size, 16, 1), training)
    manifest = str(stories_data.folder / "manifest.json")
    train.main(
        [
            "--recipe",
            r.to_json(),
            "--manifest",
            manifest,
            "--output",
            str(tmp_path / "run"),
            "--device",
            "cpu",
        ]
    )
    _, record = load_tensors(tmp_path / "run.observations.safetensors")
    assert record["environment"]["cuda_graph"].startswith("captured; replays differ")
    assert len(captured) == 2


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("model", [{}, TWIN], ids=str)
def test_on_a_gpu_captured_steps_follow_eager_ones(model):
    eager, step = make(False, GPU, model=model), make(True, GPU, model=model)
    expected, values = trained(eager)[:, 0], trained(step)[:, 0]
    assert step.graph.refused is None and step.graph.graph is not None
    torch.testing.assert_close(values, expected, rtol=2e-2, atol=0)
