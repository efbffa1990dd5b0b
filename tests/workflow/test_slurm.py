"""A small study through a real SLURM of two nodes: apt-get install slurm-wlm munge,
pip install -e '.[slurm]' && pytest -m slurm
"""

import re
from pathlib import Path

import pytest

from bitnet.common.tensors import load_tensors
from tests.helpers.project import SNAKEMAKE, TINY, call, copy_project, jobs, snakemake
from tests.helpers.slurm import ask, cluster, missing

pytest.importorskip("snakemake_executor_plugin_slurm", reason="needs the extra `slurm`")


pytestmark = [
    pytest.mark.slurm,
    pytest.mark.often,
    pytest.mark.skipif(bool(missing()), reason=missing()),
]
STATUS = "--slurm-status-command squeue --slurm-init-seconds-before-status-checks 1"
QUICKLY = "--seconds-between-status-checks 1 --latency-wait 5"
SMALL = "--default-resources mem_mb=500 runtime=10"


@pytest.fixture(scope="module", autouse=True)
def slurm(tmp_path_factory):
    with cluster(tmp_path_factory.mktemp("slurm") / "run"):
        yield


@pytest.fixture
def project(tmp_path) -> Path:
    return copy_project(tmp_path / "project")


def submit(project: Path, *targets: str) -> str:
    """Build targets by jobs of SLURM; returns all that was printed."""
    flags = f"--workflow-profile profiles/slurm {STATUS} {QUICKLY} {SMALL}".split()
    done = call(
        project, SNAKEMAKE, *targets, "-p", *flags, *TINY, "--config", "study=quick", timeout=1200
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def asked_for(rule: str, what: str = r"TresPer\w+=\S*gpu:(\d+)") -> list[str]:
    """What each job of a rule asked SLURM for, GPUs if nothing is said; "" for none."""
    found = []
    for job in ask("scontrol", "show", "job").split("\n\n"):
        if f"Comment=rule_{rule}_" in job:
            asked = re.search(what, job)
            found.append(asked[1] if asked else "")
    return found


def test_a_study_runs_whole_and_asks_for_no_gpu_where_it_takes_none(project):
    said = submit(project, "data")
    assert jobs(said)["shards"] == 1 and "train_trunk" not in jobs(said)
    said = submit(project, "results/quick/verdict.md")
    assert jobs(said).keys() >= {"train_trunk", "train_branch", "evaluate", "verdict"}
    assert "at a time on the CPU" in said
    assert (project / "results/quick/verdict.md").is_file()
    assert len(asked_for("train_trunk")) == jobs(said)["train_trunk"] and set(
        asked_for("train_trunk")
    ) == {""}
    assert "Nothing to be done" in snakemake(project, "-n", "results/quick/verdict.md", *TINY)


def test_a_training_asks_for_the_gpus_that_its_study_says_and_does_without_none(project):
    for path in (project / "config.yaml", project / "tests/tiny.yaml"):
        path.write_text(path.read_text().replace("gpu: 0", "gpu: 2"))
    trainings = [f"train_{part}:slurm_partition=gpus" for part in ("trunk", "branch")]
    with pytest.raises(AssertionError, match="on a GPU"):  # those of this cluster are none
        submit(project, "models/quick/h16.safetensors", "--set-resources", *trainings)
    log = (project / "logs/quick/h16.train.log").read_text()
    assert "a GPU is asked for and torch sees none" in log
    assert "2" in asked_for("train_trunk") and set(asked_for("text")) == {""}
    nodes, partition, limit = r"NumNodes=(\d+)", r"Partition=(\w+)", r"TimeLimit=(\S+)"
    assert asked_for("train_trunk", nodes)[-1] == "1"
    assert asked_for("train_trunk", partition)[-1] == "gpus"
    assert asked_for("train_trunk", limit)[-1] == "01:00:00"  # the least, whatever the default is
    assert set(asked_for("text", partition)) == {"main"}


def test_a_training_runs_on_two_nodes(project):
    several = {"  processes: 1": "  processes: 2", "  nodes: 1": "  nodes: 2"}
    for path in (project / "config.yaml", project / "tests/tiny.yaml"):
        for old, new in several.items():
            path.write_text(path.read_text().replace(old, new))
    submit(project, "models/quick/h16.safetensors")
    assert asked_for("train_trunk", r"NumNodes=(\d+)")[-1] == "2"
    log = (project / "logs/quick/h16.train.log").read_text()
    assert "finished at step" in log
    record = load_tensors(project / "models/quick/h16.safetensors")[1]
    assert record["processes"] == 2
