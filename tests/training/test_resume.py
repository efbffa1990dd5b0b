"""A training goes on wherever it is started again; its record says where each piece was made."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bitnet.common.tensors import load_tensors
from bitnet.config.recipe import ModelConfig, Recipe, TrainConfig
from bitnet.evaluation.record import RunRecord
from bitnet.model.checkpoint import load_state, save_state
from bitnet.training.resume import devices, resume, spelled
from bitnet.training.trainer import Trainer
from tests.conftest import DataSet
from workflow.scripts import train

CPU = torch.device("cpu")
A100 = {"device": "NVIDIA A100", "processes": 1, "compiled": False, "precision": "float32"}
CHANGES = [
    {"device": "NVIDIA H100"},
    {"processes": 2},
    {"compiled": True},
    {"precision": "mixed"},
]


def recipe(stage2: float | None = None, **changes) -> Recipe:
    settings = {"optimizer": "adamw", "peak_lr": 1e-2, "switch_lr": 5e-3, "final_lr": 1e-4}
    settings |= {"steps": 40, "batch_size": 2, "sequence_length": 32, "warmup_steps": 4}
    settings |= {"stage1_weight_decay": 0.1, "stage2_weight_decay": stage2, "evaluate_every": 10}
    return Recipe(ModelConfig(512, 16, 1), TrainConfig(**{**settings, **changes}))


def made(r: Recipe) -> dict:
    return {"recipe": json.loads(r.to_json()), "code": "c", "data": "d"}


def interrupted(r: Recipe, state: Path, step: int = 14) -> Recipe:
    """Leave the state of a training on an A100 that ended at a step; gives its recipe."""
    trainer = Trainer(r, CPU)
    trainer.step = step
    trained_on = [{"step": 0, **A100}]
    metadata = {**made(r), "trained_on": trained_on, "kind": "state"}
    save_state(trainer.state_dict(), state, metadata)
    return r


@pytest.mark.parametrize("change", CHANGES)
def test_it_goes_on_elsewhere_and_both_places_are_recorded(tmp_path, change):
    r = interrupted(recipe(), tmp_path / "state")
    trainer, here = Trainer(r, CPU), {**A100, **change}
    found = resume(trainer, None, tmp_path / "state", made(r), here)
    assert trainer.step == 14
    assert found == [{"step": 0, **A100}, {"step": 14, **here}]


def test_it_goes_on_in_the_same_place_without_another_entry(tmp_path):
    r = interrupted(recipe(deterministic=True), tmp_path / "state")
    trainer = Trainer(r, CPU)
    assert resume(trainer, None, tmp_path / "state", made(r), A100) == [{"step": 0, **A100}]
    assert trainer.step == 14


@pytest.mark.parametrize("change", CHANGES)
def test_a_deterministic_training_is_not_continued_elsewhere(tmp_path, change):
    r = interrupted(recipe(deterministic=True), state := tmp_path / "state")
    trainer, [(key, value)] = Trainer(r, CPU), change.items()
    with pytest.raises(ValueError, match=f"^{key} is {value!r}; allowed: {A100[key]!r}, ") as error:
        resume(trainer, None, state, made(r), {**A100, **change})
    assert f"as {state} has with deterministic: true; or delete that file" in str(error.value)
    assert trainer.step == 0 and load_state(state)[1]["trained_on"] == [{"step": 0, **A100}]


@pytest.mark.parametrize("part", ["recipe", "code", "data"])
def test_a_state_of_another_making_is_not_continued_and_the_log_says_why(tmp_path, caplog, part):
    r = interrupted(recipe(), tmp_path / "state")
    other = {**made(r), part: "another"}
    trainer = Trainer(r, CPU)
    assert resume(trainer, None, tmp_path / "state", other, A100) == [{"step": 0, **A100}]
    assert trainer.step == 0
    assert caplog.messages == [f"{tmp_path / 'state'} is of another {part}: starting over"]


def test_a_branch_takes_the_places_of_its_trunk_along(tmp_path):
    trunk, branch = recipe(deterministic=True), recipe(0.0, deterministic=True)
    trainer = Trainer(trunk, CPU)
    trainer.step = 20
    trained_on = [{"step": 0, **A100}, {"step": 7, **A100, "processes": 2}]
    metadata = {**made(trunk), "trained_on": trained_on, "kind": "trunk"}
    save_state(trainer.state_dict(), tmp_path / "trunk", metadata)
    here = {**A100, "device": "NVIDIA H100"}
    found = resume(
        trainer, str(tmp_path / "trunk"), tmp_path / "no state", made(branch), here
    )  # deterministic ones too: a trunk is whole
    assert found == [*trained_on, {"step": 20, **here}]
    assert devices(found) == "NVIDIA A100, then NVIDIA H100"


def test_a_place_is_spelled_with_what_is_unusual():
    assert spelled(A100) == "NVIDIA A100"
    where = {"device": "cpu", "processes": 2, "compiled": True, "precision": "mixed"}
    assert spelled(where) == "cpu, 2 processes, compiled, mixed precision"


class Killed(Exception):
    pass


def test_the_script_records_all_devices_and_loses_no_step(
    stories_data: DataSet, tmp_path, monkeypatch
):
    output, log = tmp_path / "h16", tmp_path / "log"
    command = f"--manifest {stories_data.folder}/manifest.json --device cpu --log {log}".split()
    command += ["--checkpoint-every", "7", "--recipe", recipe().to_json()]
    train.main([*command, "--output", str(tmp_path / "whole")])
    for device, at in (("GPU A", 7), ("GPU B", 14), ("GPU A", 0)):
        with monkeypatch.context() as patch:
            patch.setattr(train, "describe", lambda _, name=device: name)

            def save_and_die(state, path, metadata, at=at):
                save_state(state, path, metadata)
                if int(state["step"]) == at:
                    raise Killed

            patch.setattr(train, "save_state", save_and_die)
            if at:
                with pytest.raises(Killed):
                    train.main([*command, "--output", str(output)])
            else:
                train.main([*command, "--output", str(output)])
        assert f" trained on {device}\n" in log.read_text().splitlines(keepends=True)[0]
    assert "resumed at step 14, trained on GPU B so far" in log.read_text()
    record = load_tensors(f"{output}.observations.safetensors")[1]
    place = {"processes": 1, "compiled": False, "precision": "float32"}
    assert record["trained_on"] == [
        {"step": 0, "device": "GPU A", **place},
        {"step": 7, "device": "GPU B", **place},
        {"step": 14, "device": "GPU A", **place},
    ]
    assert record["environment"]["device"] == "GPU A, then GPU B, then GPU A"
    for name, value in load_tensors(tmp_path / "whole.safetensors")[0].items():
        np.testing.assert_array_equal(load_tensors(f"{output}.safetensors")[0][name], value)
    assert "trained_on" in {field.name for field in dataclasses.fields(RunRecord)}
