"""Several processes make the step of one, to the same bits each time, and can be killed."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp

from bitnet.common.tensors import load_tensors
from bitnet.config.recipe import ModelConfig, Recipe, TrainConfig
from bitnet.model.transformer import Transformer
from bitnet.training.distributed import Ranks, joined, launched, spread
from bitnet.training.step import Step
from tests.conftest import DataSet
from tests.helpers.project import ENVIRONMENT, ROOT

LENGTH = 32


def recipe(steps=40, vocab_size=512, **training) -> Recipe:
    protocol = {
        "batch_size": 4,
        "sequence_length": LENGTH,
        "optimizer": "adamw",
        "peak_lr": 5e-3,
        "switch_lr": 2e-3,
        "final_lr": 1e-4,
        "warmup_steps": 5,
        "stage1_weight_decay": 0.1,
        "stage2_weight_decay": 0.0,
        "evaluate_every": 10,
    }
    return Recipe(ModelConfig(vocab_size, 16, 1), TrainConfig(steps, **protocol | training))


# --- one step, in float64 ---


class State:
    """Weights and moments of a step, and rows that only rank 0 has."""

    def __init__(self, step: Step, rank: int):
        self.step, self.rank = step, rank
        for moments in step.optimizer.moments.values():
            moments["exp_avg_sq"] += 0.01 * (1 + rank)

    def state_dict(self):
        moments = {f"m.{name}": value for name, value in self.step.optimizer.state_dict().items()}
        return {**self.step.model.state_dict(), **moments, "rows.loss": torch.tensor(self.rank)}

    def load_state_dict(self, state):
        assert self.rank == 1 and "rows.loss" not in state
        moments = {name[2:]: value for name, value in state.items() if name.startswith("m.")}
        self.step.optimizer.load_state_dict(moments)
        self.step.model.load_state_dict({k: v for k, v in state.items() if k[:2] != "m."})


def losses_of_rank(rank: int, count: int, port: int, accumulate: int, folder: str) -> None:
    """Train three steps as one of `count` processes and leave the values and a weight."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count)}
    torch.set_num_threads(1)
    ranks, config = Ranks(rank, count), recipe(vocab_size=50, accumulate=accumulate).training
    torch.manual_seed(rank)  # so that rank 1 needs the weights of rank 0
    model = Transformer(ModelConfig(50, 16, 2), LENGTH).double()
    rows = torch.randint(0, 50, (4, LENGTH + 1), generator=torch.Generator().manual_seed(1))
    with joined(ranks, torch.device("cpu")):
        step = Step(model, config, ranks=ranks)
        spread(State(step, rank), ranks, torch.device("cpu"))
        values = torch.stack([step(rows, 1e-3, 0.1) for _ in range(3)])
    torch.save({"values": values, **model.state_dict()}, Path(folder) / f"{count}-{rank}.pt")


def test_two_processes_make_the_step_of_one_in_float64(tmp_path):
    losses_of_rank(0, 1, 0, 1, str(tmp_path))
    mp.spawn(losses_of_rank, (2, free_port(), 2, str(tmp_path)), nprocs=2)
    alone, first, second = (
        torch.load(tmp_path / f"{name}.pt", weights_only=True) for name in ("1-0", "2-0", "2-1")
    )
    for key, value in alone.items():
        torch.testing.assert_close(first[key], value, rtol=1e-12, atol=1e-12)
        assert torch.equal(first[key], second[key]), key


@pytest.fixture
def group(monkeypatch):
    """The calls that joining and leaving a group makes, of a process that forms none."""
    called = []
    store = SimpleNamespace(
        set=lambda *key: called.append("set"),
        wait=lambda keys, timeout: called.append(("wait", timeout)),
        set_timeout=lambda timeout: called.append(("store", timeout)),
    )
    monkeypatch.setattr(torch.distributed, "rendezvous", lambda *_, **__: iter([(store, 1, 2)]))
    initialised = lambda *_, timeout, **__: called.append(("group", timeout))  # noqa: E731
    monkeypatch.setattr(torch.distributed, "init_process_group", initialised)
    monkeypatch.setattr(torch.distributed, "destroy_process_group", lambda: called.append("left"))
    return called


def test_an_error_leaves_a_group_as_it_is_since_others_may_wait_in_it(group):
    with pytest.raises(ValueError, match="mine"), joined(Ranks(1, 2), torch.device("cpu")):
        raise ValueError("mine")
    assert "left" not in group
    with joined(Ranks(1, 2), torch.device("cpu")):
        pass
    assert group[-1] == "left"


def test_only_the_wait_for_rank_0_is_long(group):
    with joined(Ranks(1, 2), torch.device("cpu")):
        half_an_hour = timedelta(minutes=30)
        assert group[1:] == [("store", half_an_hour), ("group", half_an_hour)]
        assert group[0][0] == "wait" and group[0][1] >= timedelta(days=7)


def test_a_process_knows_its_place_on_its_machine(monkeypatch):
    assert launched() == Ranks()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "any")
    for name, value in (("", "5"), ("LOCAL_", "1")):
        monkeypatch.setenv(f"{name}RANK", value)
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert launched() == Ranks(5, 8, 1, 4)


def free_port() -> int:
    import socket

    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


# --- the script, under torchrun ---


def command(data: DataSet, output: Path, processes: int, r: Recipe) -> list[str]:
    """Train a recipe to `output`."""
    launcher = [sys.executable, "-m"]
    if processes > 1:
        launcher += ["workflow.helpers.launch", "--nproc-per-node", str(processes), "-m", "--"]
    flags = ["--manifest", str(data.folder / "manifest.json"), "--output", str(output)]
    flags += ["--device", "cpu", "--checkpoint-every", "7", "--log", f"{output}.log"]
    return [*launcher, "workflow.scripts.train", "--recipe", r.to_json(), *flags]


def trained(data: DataSet, output: Path, processes: int, r: Recipe) -> dict[str, np.ndarray]:
    """What is observed while a recipe is trained."""
    done = subprocess.run(
        command(data, output, processes, r), cwd=ROOT, env=ENVIRONMENT, capture_output=True
    )
    assert done.returncode == 0, done.stderr.decode()
    return load_tensors(f"{output}.observations.safetensors")[0]


@pytest.fixture(scope="module")
def pair(stories_data, tmp_path_factory):
    """A training by two processes: what it observed and wrote."""
    output = tmp_path_factory.mktemp("pair") / "h16"
    seen = trained(stories_data, output, 2, recipe())
    weights, _ = load_tensors(f"{output}.safetensors")
    return seen, weights, sorted(output.parent.iterdir())


def test_two_processes_follow_the_losses_of_one(stories_data, pair, tmp_path):
    alone = trained(stories_data, tmp_path / "h16", 1, recipe())
    seen, _, files = pair
    np.testing.assert_allclose(seen["loss"], alone["loss"], rtol=1e-4)
    np.testing.assert_allclose(seen["nll"].mean(1), alone["nll"].mean(1), rtol=1e-3)
    assert np.isfinite(seen["loss"][1:]).all() and seen["loss"][-1] < seen["loss"][1]
    # the first process alone writes, and what one process writes
    assert [f.name for f in files] == [f.name for f in sorted(tmp_path.iterdir())]


def test_killed_at_any_time_two_processes_end_in_the_same_bits(stories_data, pair, tmp_path):
    output = tmp_path / "h16"
    run = subprocess.Popen(
        command(stories_data, output, 2, recipe()),
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while not Path(f"{output}.state").exists() and time.monotonic() < deadline:
        assert run.poll() is None
        time.sleep(0.005)
    os.killpg(run.pid, signal.SIGKILL)  # all of them at once, as a power cut does
    run.wait()
    assert not Path(f"{output}.safetensors").exists()
    again = trained(stories_data, output, 2, recipe())
    assert "resumed at step" in Path(f"{output}.log").read_text()
    for found, expected in ((again, pair[0]), (load_tensors(f"{output}.safetensors")[0], pair[1])):
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_a_batch_that_cannot_be_shared_is_refused_in_one_line(stories_data, tmp_path):
    odd = dataclasses.replace(recipe().training, accumulate=4)
    r = Recipe(recipe().model, odd)
    done = subprocess.run(
        command(stories_data, tmp_path / "h16", 2, r),
        cwd=ROOT,
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    line = "error: batch_size is 4; allowed: a multiple of processes x accumulate = 2 x 4\n"
    assert done.returncode != 0 and done.stderr == line
    assert [file.suffix for file in tmp_path.iterdir()] == [".log"]


def test_a_recipe_says_that_its_micro_batches_do_not_come_out_even():
    with pytest.raises(ValueError, match=r"batch_size is 4; allowed: a multiple of .* 1 x 3"):
        recipe(accumulate=3)
