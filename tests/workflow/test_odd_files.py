"""Files dated in the future, and what stands where a file should be."""

import os
import time
from pathlib import Path

import pytest

from tests.helpers.project import SNAKEMAKE, TINY, call, copy_project, snakemake
from workflow.helpers.strays import strays

TARGET, MODEL = "results/quick/h16_wd0_adamw.csv", "models/quick/h16_wd0_adamw"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    project = copy_project(tmp_path_factory.mktemp("odd") / "project")
    snakemake(project, TARGET, *TINY, "--cores", "1")
    return project


@pytest.mark.slow
def test_inputs_of_the_future_cost_no_training(project):
    # Public kind of fault: a clock set back, or skewed between machines that share a disk
    trunk, table = project / "models/quick/h16_adamw.trunk.safetensors", project / TARGET
    before = table.read_bytes()
    for path in (table, *project.glob(f"{MODEL}.*")):
        path.unlink()
    os.utime(trunk, (time.time() + 7200,) * 2)
    output = snakemake(project, TARGET, *TINY, "--cores", "1")
    assert "dated in the future, and now dated now: models/quick/h16_adamw.trunk" in output
    assert table.read_bytes() == before and trunk.stat().st_mtime <= time.time()


@pytest.mark.slow
def test_a_clock_set_back_while_a_step_runs_costs_nothing(project):
    table, references = project / TARGET, project / "data/stories/bpe512/references32.json"
    table.unlink()
    script = project / "workflow/helpers/cli.py"  # whose code does not count
    before = script.read_text()
    date = f"os.utime({str(references)!r}, (2e9, 2e9))"
    script.write_text(f"{before}\n{date}\n")  # when the script begins: all was well before
    try:
        snakemake(project, TARGET, *TINY, "--cores", "1")
    finally:
        script.write_text(before)
    assert table.exists() and references.stat().st_mtime <= time.time()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "link"])
def test_what_stands_in_the_place_of_a_file_is_named_in_one_line(project, kind):
    table = project / TARGET
    kept = table.rename(project / "kept")
    table.mkdir() if kind == "folder" else table.symlink_to(table)
    try:
        done = call(project, SNAKEMAKE, "-n", TARGET, *TINY)
    finally:
        table.rmdir() if kind == "folder" else table.unlink()
        kept.rename(table)
    odd = "a folder" if kind == "folder" else "a link to nothing"
    line = f"error: {TARGET} is {odd}; allowed: a file; delete it and run again"
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert done.stderr.rstrip().splitlines()[-1] == line


@pytest.mark.slow
def test_what_snakemake_remembers_may_be_no_text(project):
    memory = [path for path in project.glob(".snakemake/metadata/**/*") if path.is_file()]
    for path in memory:
        path.write_bytes(b"\xff\xfe{")
    output = snakemake(project, TARGET, *TINY, "--cores", "1")
    assert memory and "Nothing to be done" in output and "train_" not in output
    assert output.count(" was damaged: Snakemake forgets how one file was made") == len(memory)


def test_folders_and_links_that_belong_there_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("models/export/quick/h64/dense", "models/h64.tensorboard", "disk/mine"):
        Path(name).mkdir(parents=True)
    Path("models/a.csv").touch()
    Path("models/b.csv").symlink_to("a.csv")
    Path("data").symlink_to("disk")
    assert list(strays("data", "models", "nowhere")) == []
    Path("models/c.csv").symlink_to("c.csv")
    Path("results").symlink_to("gone")
    found = list(strays("results", "models"))
    assert [line.split(" is a link")[0] for line in found] == ["results", "models/c.csv"]
