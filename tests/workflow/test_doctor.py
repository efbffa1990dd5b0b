"""The doctor: what it finds wrong with a machine, and what it says and returns."""

import contextlib
import socket
import urllib.error
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from bitnet.monitoring.device_trial import Trial
from tests.helpers.project import ROOT, snakemake
from workflow.helpers import machine
from workflow.helpers.machine import FAIL, GIB, OK, WARN, Check
from workflow.scripts import doctor


def test_the_rule_prints_a_page_for_the_folder_it_works_in(tmp_path):
    output = snakemake(ROOT, "doctor", "--directory", str(tmp_path))
    for name in ("Python", "torch", "snakemake", "CPU", "GPU", "compiler", "disk", "write access"):
        assert f" {name} " in output
    assert "HF_HUB_OFFLINE is set" in output and " 0 fail" in output
    assert "HF_HUB_OFFLINE is set" in (tmp_path / "logs/doctor.log").read_text()


def test_packages_are_compared_with_the_ranges_of_the_project(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nrequires-python = ">=4"\n'
        'dependencies = ["torch<2", "snakemake>=9", "numpy<1", "no-such-package>=1", "pyyaml"]\n'
    )
    found = {check.name: check for check in machine.packages(tmp_path)}
    outcomes = {name: check.outcome for name, check in found.items()}
    assert outcomes == {
        "Python": FAIL,
        "torch": WARN,
        "snakemake": OK,
        "numpy": WARN,
        "no-such-package": FAIL,
        "packages": OK,
    }
    assert found["no-such-package"].remedy == "pip install 'no-such-package>=1'"


def gpu(monkeypatch, capability: tuple[int, int] | None, nvidia_smi: bool) -> list[Check]:
    """What is found on a machine with such a GPU in torch's eyes."""
    path = "/usr/bin/nvidia-smi" if nvidia_smi else None
    monkeypatch.setattr(machine.shutil, "which", lambda name: path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: capability is not None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    major, minor = capability or (0, 0)
    device = SimpleNamespace(name="Tesla T4", major=major, minor=minor, total_memory=15 * GIB)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda i: device)
    return [*machine.gpus()]


@pytest.mark.parametrize(
    ("capability", "nvidia_smi", "outcome", "words"),
    [
        (None, False, OK, "none; trainings run on the CPU"),
        (None, True, FAIL, "torch sees no CUDA device"),
        ((7, 5), True, WARN, "Tesla T4, capability 7.5, 15 GiB; driver unknown"),
        ((9, 0), True, OK, "capability 9.0"),
    ],
)
def test_a_gpu_that_torch_does_not_see_or_that_is_old_is_said(
    capability, nvidia_smi, outcome, words, monkeypatch
):
    (check,) = gpu(monkeypatch, capability, nvidia_smi)
    assert check.outcome == outcome and words in check.found
    assert bool(check.remedy) == (outcome != OK)


@pytest.mark.parametrize(("there", "outcome"), [(True, OK), (False, WARN)])
def test_a_lacking_compiler_is_no_failure(there, outcome, monkeypatch):
    monkeypatch.setattr(machine, "can_compile", lambda gpu: there)
    assert machine.compiler().outcome == outcome


@pytest.mark.parametrize(("free", "outcome"), [(0.5, FAIL), (5, WARN), (50, OK)])
def test_the_disk_must_hold_the_small_studies(free, outcome, monkeypatch, tmp_path):
    usage = SimpleNamespace(free=free * GIB)
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda folder: usage)
    assert machine.disk(tmp_path).outcome == outcome


def test_a_folder_that_takes_no_files_fails(tmp_path):
    assert machine.writable(tmp_path).outcome == OK
    (tmp_path / "models").touch()  # a file where the folder should be
    check = machine.writable(tmp_path)
    assert check.outcome == FAIL and check.found == "cannot write to models (Not a directory)"
    assert [path.name for path in tmp_path.iterdir()] == ["models"]


def closed_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]


def test_a_hub_out_of_reach_is_a_warning(monkeypatch):
    monkeypatch.setattr(machine.constants, "HF_HUB_OFFLINE", True)
    assert "not asked" in machine.hub().found
    monkeypatch.setattr(machine.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(machine.constants, "ENDPOINT", f"http://127.0.0.1:{closed_port()}")
    check = machine.hub()
    assert check.outcome == WARN and "does not answer" in check.found

    def error(request, timeout):
        raise urllib.error.HTTPError(request.full_url, 429, "Too Many Requests", {}, None)

    monkeypatch.setattr(machine.urllib.request, "urlopen", error)
    assert machine.hub().outcome == OK


SOUND = Trial(
    loss=0.001, norm=0.002, refused=None, captured=True, resumed=True, milliseconds={"cpu": 9.0}
)


@pytest.mark.parametrize(
    ("changes", "outcomes"),
    [
        ({}, {"step": OK, "graph": OK, "resume": OK, "time": OK}),
        ({"loss": 0.5}, {"step": FAIL, "graph": OK, "resume": OK, "time": OK}),
        ({"refused": "cannot"}, {"step": OK, "graph": WARN, "resume": OK, "time": OK}),
        ({"captured": False}, {"step": OK, "graph": FAIL, "resume": OK, "time": OK}),
        ({"resumed": False}, {"step": OK, "graph": OK, "resume": FAIL, "time": OK}),
        (None, {"step": FAIL}),
    ],
    ids=str,
)
def test_each_fault_of_a_device_is_a_line_of_its_own(changes, outcomes, monkeypatch):
    def tried(weights, device):
        if changes is None:
            raise RuntimeError("CUDA error: no kernel image is available\nand more of it")
        return Trial(**{**vars(SOUND), **changes})

    monkeypatch.setattr(doctor, "trial", tried)
    found = {c.name.split(",")[0]: c for c in doctor.steps("ternary", torch.device("cuda", 0))}
    assert {name: check.outcome for name, check in found.items()} == outcomes
    if changes is None:
        assert found["step"].found == "CUDA error: no kernel image is available"


@pytest.mark.parametrize("worst", [OK, WARN, FAIL])
def test_only_a_failure_ends_in_exit_code_1(worst, monkeypatch, capsys):
    found = [Check("disk", OK, "much"), Check("hub", worst, "far", "" if worst == OK else "walk")]
    monkeypatch.setattr(doctor, "checks", lambda folder: found)
    with pytest.raises(SystemExit, match="1") if worst == FAIL else contextlib.nullcontext():
        doctor.main([])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["ok", "disk", "much"]
    assert (lines[2].strip() == "-> walk") if worst != OK else len(lines) == 3


def test_a_device_is_tried_with_both_kinds_of_weights(monkeypatch):
    tried = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(doctor.machine, "gpus", list)
    monkeypatch.setattr(
        doctor, "claim", lambda *a, **k: contextlib.nullcontext(torch.device("cpu"))
    )
    monkeypatch.setattr(doctor, "trial", lambda weights, device: tried.append(weights) or SOUND)
    names = [check.name for check in doctor.checks(Path.cwd())]
    assert tried == ["ternary", "full_precision"]
    assert names[-4:] == [f"{part}, full_precision" for part in ("step", "graph", "resume", "time")]
