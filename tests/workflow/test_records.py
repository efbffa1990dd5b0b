"""Records of results: what must agree, what is only mentioned, what tells a changed file."""

import copy
import dataclasses
import itertools
import json
import os

import pytest

from bitnet.common.files import read_json, write_json
from bitnet.config.recipe import ModelConfig, Recipe, TrainConfig
from bitnet.evaluation.record import RunRecord
from workflow.helpers.cli import code_of
from workflow.helpers.tables import warnings
from workflow.provenance.recognise import bring_in_order, stale_outputs
from workflow.provenance.records import (
    differences,
    disagreements,
    read_record,
    record_of,
    unlike,
    write_record,
)
from workflow.scripts import provenance, verdict


def record(hidden=64, decay=0.0, optimizer="adam", weights="ternary", lr=1.5e-3, seed=0) -> dict:
    model = ModelConfig(512, hidden, 2, weights=weights)
    training = TrainConfig(
        steps=100,
        batch_size=2,
        sequence_length=32,
        optimizer=optimizer,
        peak_lr=lr,
        switch_lr=lr * 2 / 3,
        final_lr=lr / 100,
        warmup_steps=5,
        stage1_weight_decay=0.1,
        stage2_weight_decay=decay,
        seed=seed,
    )
    recipe = json.loads(Recipe(model, training).to_json())
    return {
        "lineage": {
            "text": {"source": {"source": "stories", "seed": 0}, "code": "t"},
            "train": {"recipe": recipe, "code": "c"},
            "evaluate": {"code": "e"},
        },
        "data": "d",
        "environment": {"device": "cpu", "torch": "2.13.0", "python": "3.11.7"},
    }


@pytest.fixture
def grid() -> dict[str, RunRecord]:
    """Records of a study that varies everything a grid may vary."""
    axes = ((64, 256), (0.05, 0.0), ("adam", "adamw"), ("ternary", "full_precision"), (1e-3, 5e-4))
    points = [(*point, seed) for point in itertools.product(*axes) for seed in (0, 1)]
    return {"_".join(map(str, point)): RunRecord(**record(*point)) for point in points}


def test_runs_of_one_grid_agree(grid):
    assert disagreements(grid) == [] and unlike(grid) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("lineage", "train", "code"), "other"),
        (("lineage", "evaluate", "code"), "other"),
        (("lineage", "text", "source", "seed"), 1),
        (("data",), "other"),
        (("lineage", "train", "recipe", "training", "steps"), 200),
        (("lineage", "train", "recipe", "training", "final_lr"), 1e-6),
        (("lineage", "train", "recipe", "model", "num_layers"), 4),
        (("lineage", "train", "recipe", "model", "num_heads"), 1),
    ],
)
def test_one_run_of_another_kind_is_named_with_what_it_differs_in(grid, path, value):
    odd = sorted(grid)[5]
    changed = inner = copy.deepcopy(grid[odd].to_dict())
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    grid[odd] = RunRecord(**changed)
    [line] = disagreements(grid)
    assert path[-1] in line and odd in line and "more" in line and "\n" not in line


def test_another_device_or_version_is_mentioned_not_refused(grid):
    odd = sorted(grid)[0]
    there = {"device": "H100", "torch": "2.11.0", "python": "3.11.7"}
    grid[odd] = dataclasses.replace(grid[odd], environment=there)
    assert disagreements(grid) == []
    device, torch = unlike(grid)
    assert f"device is H100 in {odd} and cpu in" in device and "2.11.0" in torch


def test_another_precision_is_mentioned_also_where_it_changed_within_a_training(grid):
    float32, mixed = ({"step": step, "precision": p} for step, p in ((0, "float32"), (9, "mixed")))
    for name in grid:
        grid[name] = dataclasses.replace(grid[name], trained_on=[float32, {**float32, "step": 5}])
    assert unlike(grid) == []
    odd = sorted(grid)[0]
    grid[odd] = dataclasses.replace(grid[odd], trained_on=[float32, mixed])
    [line] = unlike(grid)
    assert f"precision is float32, then mixed in {odd} and float32 in" in line


def test_rows_of_other_code_than_the_code_at_hand_are_announced():
    here = {part: {"code": code_of(part, None)} for part in ("train", "evaluate")}
    assert warnings({"h64_wd0": RunRecord(**{**record(), "lineage": here})}) == []
    first, second = warnings({"h64_wd0": RunRecord(**record())})
    assert f"train is {here['train']['code']} here, c in the results" in first
    assert "evaluate is" in second


def test_a_probe_that_stands_in_the_training_text_is_announced_and_always_counted():
    here = {part: {"code": code_of(part, None)} for part in ("train", "evaluate")}

    def run(windows: int) -> dict:
        seen = {"run": 50, "windows": windows, "of": 64}
        return {"h64_wd0": RunRecord(**{**record(), "lineage": here, "seen_in_training": seen})}

    assert warnings(run(3)) == []  # 4.7 %
    [line] = warnings(run(4))
    assert line.startswith("4 of the probe's 64 windows (6.2%) contain 50 tokens in a row that")
    assert "3 of the probe's 64 windows (4.7%)" in verdict.made(run(3))


def write(folder, name, found) -> str:
    table = folder / f"{name}.csv"
    table.write_text("Step,Loss\n0,1\n")
    rest = {key: value for key, value in found.items() if key != "lineage"}
    write_record(record_of(table), [table], found["lineage"], **rest)
    return str(table)


def test_the_verdict_refuses_rows_that_disagree_and_names_them(tmp_path):
    other = record(seed=1)
    other["lineage"]["train"]["code"] = "edited"
    inputs = [write(tmp_path, "h64_wd0", record()), write(tmp_path, "h64_wd0_seed1", other)]
    outputs = ["--csv", str(tmp_path / "v.csv"), "--markdown", str(tmp_path / "v.md")]
    with pytest.raises(ValueError, match=r"train.code is .*edited in h64_wd0_seed1"):
        verdict.main(["--inputs", *inputs, "--question", "{}", *outputs])
    assert not (tmp_path / "v.csv").exists()


def test_a_result_without_its_record_or_changed_since_is_refused(tmp_path):
    table = write(tmp_path, "h64_wd0", record())
    assert read_record(table)["data"] == "d"
    with open(table, "a") as file:
        file.write("10,0.5\n")
    with pytest.raises(ValueError, match=r"h64_wd0.csv' is damaged"):
        read_record(table)
    record_of(table).unlink()
    with pytest.raises(ValueError, match=r"h64_wd0.provenance.json' is missing"):
        read_record(table)


def test_the_list_names_what_produced_each_file(tmp_path):
    write(tmp_path, "h64_wd0", record())
    script = [str(tmp_path / "h64_wd0.provenance.json"), "--output", str(tmp_path / "p.json")]
    provenance.main(["--inputs", *script])
    entry = read_json(tmp_path / "p.json")["files"]["h64_wd0.csv"]
    assert entry["code"] == {"text": "t", "train": "c", "evaluate": "e"}
    assert entry["environment"]["torch"] == "2.13.0" and len(entry["sha256"]) == 64


def test_differences_are_dotted_keys():
    assert differences({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}, "d": 0}) == ["a.c", "d"]


# --- whether a result that is there may stay ---

OUTPUTS = {"text": ["text.parquet"], "train": ["model"], "evaluate": ["h64_wd0.csv"]}


def forgotten(_) -> bool:
    return False


def remembered(_) -> bool:
    return True


@pytest.mark.parametrize(
    ("change", "known", "stale"),
    [
        (lambda now: None, forgotten, []),
        (lambda now: now["train"].update(code="x"), forgotten, ["model"]),
        (lambda now: now["train"].update(code="x"), remembered, []),  # Snakemake sees it itself
        (lambda now: now["text"].update(code="x"), forgotten, ["text.parquet"]),
        (lambda now: now.pop("evaluate") and now.update(evaluate={}), forgotten, ["h64_wd0.csv"]),
    ],
)
def test_what_a_lineage_differs_in_is_made_again(tmp_path, change, known, stale):
    write(tmp_path, "h64_wd0", record())
    now = record()["lineage"]
    change(now)
    found = stale_outputs(record_of(tmp_path / "h64_wd0.csv"), now, OUTPUTS, known)
    assert found == stale


@pytest.mark.parametrize("name", ["h64_wd0.csv", "h64_wd0.provenance.json"])
@pytest.mark.parametrize("known", [forgotten, remembered])
def test_a_result_changed_by_hand_is_made_again(tmp_path, name, known, capsys):
    write(tmp_path, "h64_wd0", record())
    path = tmp_path / name
    path.write_text(path.read_text().replace("0", "1", 1))
    found = stale_outputs(record_of(tmp_path / "h64_wd0.csv"), record()["lineage"], OUTPUTS, known)
    assert found == ["h64_wd0.csv"] and str(path) in capsys.readouterr().err


def test_dates_are_brought_in_order_and_only_forward(tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    for i, path in enumerate((old, new)):
        write_json(path, {})
        os.utime(path, (1000 + i, 1000 + i))
    bring_in_order([str(old)], [str(new), str(tmp_path / "absent")])
    assert old.stat().st_mtime == 1001
    bring_in_order([str(new)], [str(old)])
    assert new.stat().st_mtime == 1001
