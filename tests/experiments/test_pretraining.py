"""A long training: its pilot, the gate, the report, what it leaves while it runs."""

import json

import numpy as np
import pytest
import yaml

from bitnet.common.files import read_json
from bitnet.common.tensors import load_tensors
from tests.helpers.project import SNAKEMAKE, TINY, call, copy_project, jobs, snakemake


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """A project whose small pilot (hidden 256, 60 steps) was run."""
    folder = copy_project(tmp_path_factory.mktemp("pretraining"))
    output = snakemake(folder, "--cores", "1", *TINY, "--", "pilot_quick")
    return folder, output


def test_the_pilot_says_go_with_what_it_measured(project):
    folder, output = project
    found = read_json(folder / "results/pilot_quick/pilot.json")
    assert found["verdict"] == "go" and found["loss"] < found["unigram_loss"]
    assert found["steps"] == 60 and found["anomalies"] == 0
    assert found["hours"] == pytest.approx(20_480 / found["tokens_per_second"] / 3600, abs=0.01)
    assert found["peak_memory_mib"] > 100 and found["device"] == "cpu"
    report = (folder / "results/pilot_quick/pilot.md").read_text()
    assert "**go**" in report and "> drawn: " in report
    assert "**go**" in output and "Open: results/pilot_quick/pilot.md" in output


def test_a_dry_run_prints_what_the_configuration_comes_to(project):
    folder, _ = project
    output = snakemake(folder, "-n", "--cores", "1", *TINY, "--", "pretraining_quick")
    assert "2,090,240" in output and "20,480" in output and "the pilot's speed on cpu" in output
    assert jobs(output)["train_trunk"] == 1  # the pilot's is there


def test_a_training_starts_only_where_its_pilot_says_go_or_is_overridden(project):
    folder, _ = project
    wary = folder / "wary.yaml"
    wary.write_text(
        yaml.safe_dump({"studies": {"pilot_quick": {"anomalies": {"entropy_below": 9}}}})
    )
    command = (SNAKEMAKE, "--cores", "1", *TINY, str(wary))
    stopped = call(folder, *command, "--", "pretraining_quick")
    assert stopped.returncode != 0
    assert (
        "error: the pilot says no-go (low entropy at step 10: " in stopped.stdout + stopped.stderr
    )
    assert not list((folder / "models/pretraining_quick").glob("*.safetensors"))
    override = ("--config", "override_pilot=pretraining_quick")
    snakemake(folder, *command[1:], *override, "--", "pretraining_quick")
    table = (folder / "results/pretraining_quick/h256_wd0.csv").read_text()
    report = (folder / "results/pretraining_quick/pretraining.md").read_text()
    assert table.splitlines()[-1].startswith("80,") and "## h256_wd0" in report
    # Once trained, neither the override nor its absence trains it again.
    again = snakemake(folder, "-n", *command[1:], "--", "pretraining_quick")
    assert "Nothing to be done" in again

    pilot, _ = load_tensors(folder / "models/pilot_quick/h256.observations.safetensors")
    whole, _ = load_tensors(folder / "models/pretraining_quick/h256.observations.safetensors")
    shared = np.flatnonzero(np.isin(pilot["step"], whole["step"]))
    assert len(shared)  # at least the start: the pilot is the beginning of it, to the bit
    np.testing.assert_array_equal(pilot["nll"][shared], whole["nll"][: len(shared)])


def test_a_training_tells_what_is_odd_and_draws_its_curves_while_it_runs(project):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder, _ = project
    watched = folder / "watched.yaml"
    settings = {"anomalies": {"entropy_below": 20}, "tensorboard": True}
    watched.write_text(yaml.safe_dump({"studies": {"quick": settings}}))
    files = (*TINY, str(watched))
    snakemake(folder, "--cores", "1", *files, "--", "models/quick/h16.safetensors")
    lines = (folder / "models/quick/h16.anomalies.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines]
    assert [one["step"] for one in found] == [5, 10, 15, 20]
    assert all(one["rule"] == "low entropy" and one["text"] for one in found)
    log = (folder / "logs/quick/h16.train.log").read_text()
    assert "low entropy at step 10: predictions of" in log

    events = EventAccumulator(str(folder / "models/quick/h16.tensorboard")).Reload()
    seen, _ = load_tensors(folder / "models/quick/h16.observations.safetensors")
    curve = [(event.step, event.value) for event in events.Scalars("nll")]
    expected = zip(seen["step"][1:].tolist(), seen["nll"][1:].mean(1), strict=True)
    assert curve == [(step, pytest.approx(value, rel=1e-5)) for step, value in expected]
    assert events.Scalars("tokens_per_second") and events.Scalars("layer_share/0")
