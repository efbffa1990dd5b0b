"""Several processes make the step of one, to the same bits each time, and can be killed."""

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.multiprocessing as mp

from bitnet.common.tensors import load_tensors
from bitnet.config.recipe import ModelConfig, Recipe, TrainConfig
from bitnet.model.transformer import Transformer
from bitnet.training.distributed import Ranks, joined
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


def losses_of_rank(rank: int, count: int, port: int, accumulate: int, folder: str) -> None:
    """Train three steps as one of `count` processes and leave the values and a weight."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(count)}
    torch.set_num_threads(1)
    ranks, config = Ranks(rank, count), recipe(vocab_size=50, accumulate=accumulate).training
    torch.manual_seed(0)
    model = Transformer(ModelConfig(50, 16, 2), LENGTH).double()
    rows = torch.randint(0, 50, (4, LENGTH + 1), generator=torch.Generator().manual_seed(1))
    with joined(ranks, torch.device("cpu")):
        step = Step(model, config, ranks=ranks)
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
        launcher += ["torch.distributed.run", "--standalone"]
        launcher += ["--nproc-per-node", str(processes), "-m", "--"]
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
    said = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    line = "error: batch_size is 4; allowed: a multiple of processes x accumulate = 2 x 4"
    assert done.returncode != 0 and said == [line]
    assert [file.suffix for file in tmp_path.iterdir()] == [".log"]


def test_a_recipe_says_that_its_micro_batches_do_not_come_out_even():
    with pytest.raises(ValueError, match=r"batch_size is 4; allowed: a multiple of .* 1 x 3"):
        recipe(accumulate=3)
