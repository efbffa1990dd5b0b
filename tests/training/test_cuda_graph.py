"""A step as one CUDA graph, on a pretended GPU and on a real one where there is one."""

import contextlib

import pytest
import torch

from bitnet.config.recipe import ModelConfig
from bitnet.model.transformer import Transformer
from bitnet.training.cuda_graph import EAGER, CudaGraph
from bitnet.training.step import Step
from tests.training.test_step import model_and_rows, recipe

GPU = torch.device("cuda")


class Stream:
    def wait_stream(self, other):
        pass


@pytest.fixture
def cuda(monkeypatch):
    """What torch.cuda has for graphs, run at once: `replay` repeats what the capture recorded."""

    class Graph:
        captured = []  # noqa: RUF012

        def replay(self):
            self.owner.values.copy_(self.owner.compute(self.owner.rows))

    @contextlib.contextmanager
    def capture(graph, stream):
        Graph.captured.append(graph)
        yield

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", contextlib.nullcontext)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    return Graph


def test_a_graph_is_captured_after_some_steps_and_again_for_another_key(cuda):
    step = CudaGraph(lambda rows: rows.double().mean()[None], lambda: None)
    cuda.owner, kept = step, []
    for i, key in enumerate("a" * 6 + "b" * 6):
        kept.append((i, step(torch.full((2, 3), i), key)))
        assert len(cuda.captured) == (i >= EAGER) + (i >= 6 + EAGER)
    assert [value.item() for _, value in kept] == [i for i, _ in kept]  # no later replay wrote them


def test_what_cannot_be_captured_runs_on_as_it_is(cuda, monkeypatch, caplog):
    def refuse(graph, stream):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(torch.cuda, "graph", refuse)
    step = CudaGraph(lambda rows: rows.double().mean()[None], lambda: None)
    values = [step(torch.full((2, 3), i), "a").item() for i in range(8)]
    assert values == list(range(8))
    assert caplog.text.count("no CUDA graph") == 1


def test_a_capture_that_fails_late_leaves_no_gradients_behind(cuda, monkeypatch):
    """The step that replaces it has the gradients of its own batch alone, not those twice."""
    model, rows, config = model_and_rows()
    step = Step(model, config)

    def compute(rows):
        step.gradients(rows)
        if capturing:
            raise RuntimeError("operation not permitted when stream is capturing")
        norms = torch.stack([p.grad.norm() for p in model.parameters()])
        step.forget()  # as the optimizer does
        return norms

    capturing = []

    @contextlib.contextmanager
    def capture(graph, stream):
        capturing.append(graph)
        try:
            yield
        finally:
            capturing.clear()

    monkeypatch.setattr(torch.cuda, "graph", capture)
    graph = CudaGraph(compute, step.forget)
    values = [graph(rows, "a") for _ in range(EAGER + 2)]
    assert graph.refused
    for norms in values[1:]:
        torch.testing.assert_close(norms, values[0], rtol=1e-12, atol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("weights", ["ternary", "full_precision"])
def test_on_a_gpu_captured_steps_follow_eager_ones(weights):
    r = recipe(hidden_size=64)
    losses = {}
    for eager in (True, False):
        torch.manual_seed(0)
        model = Transformer(ModelConfig(50, 64, 2, weights=weights), 12).to(GPU)
        step = Step(model, r.training)
        step.run.refused = eager
        g = torch.Generator().manual_seed(1)
        rows = [torch.randint(0, 50, (4, 13), generator=g) for _ in range(20)]
        decays = [0.1] * 10 + [0.0] * 10
        values = [step(x, 1e-3, wd) for x, wd in zip(rows, decays, strict=True)]
        losses[eager] = torch.stack(values)[:, 0].cpu()
        assert (step.run.graph is None) == eager
    torch.testing.assert_close(losses[True], losses[False], rtol=2e-2, atol=0)
