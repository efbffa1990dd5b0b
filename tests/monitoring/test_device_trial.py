"""The trial of a device: what it says of a sound one, and that it sees each fault."""

from contextlib import nullcontext

import pytest
import torch

from bitnet.config.recipe import WEIGHTS
from bitnet.model import products
from bitnet.monitoring import device_trial
from bitnet.monitoring.device_trial import CPU, trial
from bitnet.training.cuda_graph import CudaGraph
from bitnet.training.optim import Adam
from tests.helpers.recorded_graph import pretend_graphs


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Graphs on a CPU, and little timing."""
    pretend_graphs(monkeypatch)
    monkeypatch.setattr(device_trial, "WARM", 1)
    monkeypatch.setattr(device_trial, "TIMED", 1)
    # A replay repeats products outside the context that chooses a CPU's library for them.
    monkeypatch.setattr(products, "onednn_is_faster", lambda: False)


@pytest.mark.parametrize("weights", WEIGHTS)
def test_a_sound_device_passes(weights):
    found = trial(weights, CPU)
    assert found.agrees and found.loss == found.norm == 0
    assert found.captured and found.resumed and found.refused is None
    assert found.milliseconds.keys() == {"cpu", "eager", "captured"}
    assert all(0 < ms < 10_000 for ms in found.milliseconds.values())
    assert not torch.are_deterministic_algorithms_enabled()


def test_a_device_is_tried_in_the_precision_that_trainings_have_there(monkeypatch):
    monkeypatch.setattr(device_trial, "resolved", lambda stated, device: "mixed")
    monkeypatch.setattr(products, "MIXED_FROM", 0)
    begin, begun = device_trial.begin, []

    def beside_a_cpu_in_float32(*args):
        trainer = begin(*args)
        if not begun:
            trainer.advance.products = nullcontext
        begun.append(trainer)
        return trainer

    monkeypatch.setattr(device_trial, "begin", beside_a_cpu_in_float32)
    found = trial("ternary", CPU)
    assert found.agrees and found.loss > 0 and found.norm > 1e-5


@pytest.mark.parametrize("factor", [2.0, float("nan")])
def test_a_device_with_wrong_gradients_fails(factor, monkeypatch):
    begin, begun = device_trial.begin, []

    def on_a_faulty_device(*args):
        trainer = begin(*args)
        begun.append(trainer)
        if len(begun) > 1:  # the first one is the CPU's
            weight = trainer.model.layers[0].mlp.down_proj.weight
            weight.register_hook(lambda gradient: gradient * factor)
        return trainer

    monkeypatch.setattr(device_trial, "begin", on_a_faulty_device)
    found = trial("ternary", CPU)
    assert not found.agrees and not found.norm <= device_trial.NORM


def test_a_replay_that_goes_wrong_late_is_seen(monkeypatch):
    """Later than the check that each training makes of its first replays."""
    replay, replays = CudaGraph.replay, []

    def wrong(graph, rows):
        replays.append(rows)
        return replay(graph, rows if len(replays) != 3 else rows.flip(1))

    monkeypatch.setattr(CudaGraph, "replay", wrong)
    found = trial("ternary", CPU)
    assert found.agrees and not found.captured and found.refused is None


def test_a_graph_that_is_refused_is_said(monkeypatch):
    def refuse(graph, rows):
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(CudaGraph, "capture", refuse)
    found = trial("ternary", CPU)
    assert found.agrees and found.captured and found.resumed
    assert "not permitted" in found.refused


def test_a_training_that_resumes_without_its_moments_is_seen(monkeypatch):
    monkeypatch.setattr(Adam, "load_state_dict", lambda optimizer, state: None)
    found = trial("ternary", CPU)
    assert found.captured and not found.resumed


def test_other_weights_are_refused():
    with pytest.raises(ValueError, match="weights is 'binary'; allowed: ternary, full_precision"):
        trial("binary", CPU)
