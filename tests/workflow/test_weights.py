"""Weights of another run under a run's name are refused, wherever a model is read."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from bitnet.common.files import write_json
from bitnet.common.tensors import save_tensors
from bitnet.config.recipe import ModelConfig, Recipe
from bitnet.model.checkpoint import save_weights
from bitnet.model.transformer import Transformer
from tests.helpers import recipes
from workflow.helpers.loadable import check_loadable
from workflow.helpers.weights import check_trunk, check_weights
from workflow.scripts import answers, compare_runtimes, export, generate, samples


def recipe(weights: str = "ternary") -> Recipe:
    """A run's recipe: h64_wd0."""
    return Recipe.from_json(json.dumps(recipes.recipe(weights)))


def trained(path: Path, of: Recipe | None = None, data: str = "d") -> dict:
    """Write the weights of a recipe; returns their metadata."""
    of = of or recipe()
    metadata = {"recipe": json.loads(of.to_json()), "data": data, "diverged": False}
    metadata |= {"kind": "weights", "code": "c"}
    path.parent.mkdir(parents=True, exist_ok=True)
    model = Transformer(of.model, of.training.sequence_length)
    save_weights(model, path, metadata)
    save_weights(model, path.with_suffix(".observations.safetensors"), metadata)
    return metadata


@pytest.fixture
def copied(tmp_path) -> tuple[Path, str]:
    """Full-precision weights under the name of a ternary run, and that run's recipe."""
    ternary, twin = recipe(), recipe("full_precision")
    path = tmp_path / "h64_wd0.safetensors"
    trained(path, ternary)
    trained(tmp_path / "other/twin.safetensors", twin)
    shutil.copy(tmp_path / "other/twin.safetensors", path)
    return path, ternary.to_json()


def test_the_weights_of_a_run_pass(tmp_path):
    path = tmp_path / "h64_wd0.safetensors"
    metadata = trained(path)
    check_weights(path, metadata, recipe().to_json())
    check_weights(path, metadata)
    check_weights(tmp_path / "my best.safetensors", metadata)  # a name that says nothing


@pytest.mark.parametrize("wrong", ["h9_wd0", "h64_wd0.77", "h64_wd0_seed7", "h64_wd0_fp"])
def test_a_name_that_says_something_else_is_refused(tmp_path, wrong):
    path = tmp_path / f"{wrong}.safetensors"
    with pytest.raises(ValueError, match="in its name; delete it and run again") as caught:
        check_weights(path, trained(path))
    assert "\n" not in str(caught.value)


def test_a_trunk_of_another_run_is_refused(tmp_path):
    branch = {"recipe": json.loads(recipe().to_json())}
    trunk = json.loads(json.dumps(branch))
    trunk["recipe"]["training"]["stage2_weight_decay"] = None
    check_trunk("h1", trunk, branch)
    trunk["recipe"]["training"]["seed"] = 8
    with pytest.raises(ValueError, match=r"training.seed is 8 in the file and 0 in the run"):
        check_trunk("h1", trunk, branch)


def commands(path: Path, recipe_json: str, folder: Path) -> dict:
    """Each script that reads a model, as it is called on a file."""
    for name in ("manifest", "references"):
        write_json(folder / f"{name}.json", {"sha256": "d", "references": {}})
    model = ["--weights", str(path), "--recipe", recipe_json]
    data = ["--manifest", str(folder / "manifest.json")]
    measured = ["--references", str(folder / "references.json"), "--tokenizer", str(folder / "t")]
    measured += ["--observations", str(path.with_suffix(".observations.safetensors"))]
    out = ["--output", str(folder / "out")]
    stories = ["--trunk", str(path), "--text", "text.json"]
    tables = ["--csv", str(folder / "a.csv"), "--markdown", str(folder / "a.md")]
    return {
        answers: [*model, *data, *measured, *out, "--source", "{}"],
        samples: [*model, *data, *measured, *out, *stories],
        export: [*model, *data, *out, "--format", "dense"],
        compare_runtimes: [*model, *data, *tables],
        generate: ["--model", str(path)],
    }


@pytest.mark.parametrize("script", [answers, samples, export, compare_runtimes, generate])
def test_every_script_that_reads_a_model_refuses_a_copied_file(
    script, copied, tmp_path, monkeypatch
):
    path, own = copied
    for module in (answers, samples):
        monkeypatch.setattr(module, "open_tokenizer", lambda path: None)
    with pytest.raises(ValueError, match="holds the weights of another run") as caught:
        script.main(commands(path, own, tmp_path)[script])
    assert re.search(
        "model.weights is full_precision in the file and ternary in", str(caught.value)
    )
    assert not (tmp_path / "out").exists()


FOREIGN = {
    "hidden_size": (2**20, "as many weights as its recipe states"),
    "vocab_size": (10**9, "as many weights as its recipe states"),
    "num_layers": (10**9, "as many weights as its recipe states"),
    "sequence_length": (10**9, "a sequence_length of at most"),
    "recipe": (None, "weights that state their recipe"),
    "data": (None, "weights that state their data"),
    "diverged": (None, "weights that state their diverged"),
    "dtype": ("int32", "weights of float32"),
}


@pytest.mark.parametrize("key", FOREIGN)
def test_weights_that_state_another_model_than_they_hold_are_refused_unread(key, tmp_path):
    value, allowed = FOREIGN[key]
    model = {"vocab_size": 512, "hidden_size": 16, "num_layers": 1}
    training = {"steps": 20, "batch_size": 2, "sequence_length": 32, "optimizer": "adamw"}
    training |= dict.fromkeys(("peak_lr", "switch_lr", "final_lr"), 1e-3)
    training |= {"warmup_steps": 2, "stage1_weight_decay": 0.1, "stage2_weight_decay": 0.0}
    held = sum(ModelConfig(**model).parameters().values())
    metadata = {"kind": "weights", "data": "d", "diverged": False}
    metadata["recipe"] = {"model": model, "training": training}
    arrays = {"a": np.zeros(held, np.float32)}
    path = tmp_path / "m.safetensors"
    save_tensors(path, arrays, metadata)
    check_loadable(path)
    if key == "dtype":
        arrays = {"a": arrays["a"].astype(value)}
    elif key in metadata:
        del metadata[key]
    else:
        next(block for block in (model, training) if key in block)[key] = value
    save_tensors(path, arrays, metadata)
    with pytest.raises(ValueError, match=rf"model is '.*m\.safetensors'; allowed: {allowed}"):
        generate.main(["--model", str(path)])
