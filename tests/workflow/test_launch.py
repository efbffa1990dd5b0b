"""Trainings of several machines: two launchers of two processes each on one machine."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import psutil
import pytest

from bitnet.common.tensors import load_tensors
from tests.conftest import DataSet
from tests.helpers.project import ENVIRONMENT, ROOT
from tests.training.test_distributed import free_port, recipe
from workflow.helpers.launch import PORTS, held, main, take_nodes_of_slurm

SOON = 30  # seconds


def machines(data: DataSet, output: Path) -> list[subprocess.Popen]:
    """A training on two machines: the command, given on each."""
    command = [sys.executable, "-m", "workflow.helpers.launch", "--nnodes", "2"]
    command += ["--nproc-per-node", "2", "--rdzv-endpoint", f"127.0.0.1:{free_port()}"]
    command += ["--local-addr", "127.0.0.1", "-m", "--", "workflow.scripts.train"]
    command += ["--recipe", recipe(steps=120).to_json(), "--output", str(output)]
    command += ["--manifest", str(data.folder / "manifest.json"), "--log", f"{output}.log"]
    command += ["--device", "cpu", "--checkpoint-every", "7"]
    with Path(f"{output}.err").open("a") as said:
        return [
            subprocess.Popen(
                command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=said
            )
            for _ in range(2)
        ]


@pytest.mark.often
def test_killed_at_random_two_machines_end_with_one_line_and_go_on_to_the_same_bits(
    stories_data, tmp_path
):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    for launcher in machines(stories_data, whole):
        assert launcher.wait(timeout=300) == 0
    launchers = machines(stories_data, broken)
    while not Path(f"{broken}.state").exists():
        assert all(launcher.poll() is None for launcher in launchers)
        time.sleep(0.02)
    ranks = [rank for one in launchers for rank in psutil.Process(one.pid).children()]
    chosen = random.choice(ranks)
    number = chosen.environ()["RANK"]
    began = time.monotonic()
    chosen.kill()
    assert [launcher.wait(timeout=60) for launcher in launchers] == [1, 1]
    assert time.monotonic() - began < SOON and not any(rank.is_running() for rank in ranks)
    said = Path(f"{broken}.err").read_text().splitlines()
    lines = [line for line in said if "tokens/s" not in line]  # but for the progress
    assert len(lines) == 1 and said[-1] == lines[0]
    assert lines[0].startswith(f"error: process {number} was ended by SIGKILL")
    assert not Path(f"{broken}.safetensors").exists()
    for launcher in machines(stories_data, broken):
        assert launcher.wait(timeout=300) == 0
    assert "resumed at step" in Path(f"{broken}.log").read_text()
    for kind in ("safetensors", "observations.safetensors"):
        expected, found = (load_tensors(f"{one}.{kind}")[0] for one in (whole, broken))
        for name, value in expected.items():
            np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_the_nodes_of_a_slurm_step_meet_on_its_first_one(monkeypatch, tmp_path):
    scontrol = tmp_path / "scontrol"
    scontrol.write_text('#!/bin/sh\ntest "$3" = "gpu[07-08]" && printf "gpu07\\ngpu08\\n"\n')
    scontrol.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("SLURM_STEP_NUM_NODES", "2")
    monkeypatch.setenv("SLURM_STEP_NODELIST", "gpu[07-08]")
    found = {}
    for job in ("4711", "4712"):
        monkeypatch.setenv("SLURM_JOB_ID", job)
        args = SimpleNamespace()
        take_nodes_of_slurm(args)
        assert (args.nnodes, args.rdzv_id) == ("2", job)
        host, _, port = args.rdzv_endpoint.partition(":")
        assert host == "gpu07" and int(port) in PORTS
        found[job] = port
    assert found["4711"] != found["4712"]  # two jobs may share a node


def test_only_the_machine_of_the_endpoint_holds_the_store_and_only_once():
    store = held("127.0.0.1", 0)
    assert store.port > 0
    assert held("127.0.0.1", store.port) is None  # another launcher of this machine has it
    assert held("192.0.2.1", 0) is None  # an address of documentation, of no machine


def test_several_machines_without_a_place_to_meet_are_refused(capsys, monkeypatch):
    monkeypatch.delenv("SLURM_STEP_NUM_NODES", raising=False)
    monkeypatch.setenv("TORCH_CPP_LOG_LEVEL", os.environ.get("TORCH_CPP_LOG_LEVEL", "FATAL"))
    monkeypatch.setattr("logging.disable", lambda level: None)
    assert main(["--nnodes", "2", "-m", "any"]) == 1
    said = "error: nnodes is 2; allowed: 1 without srun or --rdzv-endpoint\n"
    assert capsys.readouterr().err == said
