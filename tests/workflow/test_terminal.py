"""What the terminal says before and after, on a machine that has `nvidia-smi`."""

import os
from pathlib import Path

import pytest

from tests.helpers.project import ENVIRONMENT, TINY, copy_project, snakemake

ONE_CELL = """
defaults: {gpu: 1}
studies:
  wd_fix:
    grid: {hidden_size: [16], optimizer: [adam], weights: [ternary]}
    question: {headline: {hidden_size: 16}}
"""


@pytest.fixture
def with_nvidia_smi(tmp_path_factory) -> dict[str, str]:
    """The environment of a machine on whose PATH an `nvidia-smi` lies."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "nvidia-smi").write_text("#!/bin/sh\n")
    (folder / "nvidia-smi").chmod(0o755)
    return {**ENVIRONMENT, "PATH": f"{folder}{os.pathsep}{ENVIRONMENT['PATH']}"}


@pytest.mark.slow
def test_the_gpu_command_builds_the_main_study_to_its_verdict(tmp_path: Path, with_nvidia_smi):
    project = copy_project(tmp_path)
    (project / "one_cell.yaml").write_text(ONE_CELL)
    command = ("all", "--cores", "1", "--resources", "gpu=1", *TINY, "one_cell.yaml")
    output = snakemake(project, *command, env=with_nvidia_smi)
    assert "`all` is the study wd_fix here (nvidia-smi is on PATH)" in output
    assert "to train: 1 x stage 1 and 2 x stage 2, 1 at a time on a GPU" in output
    assert "Open: results/report.html" in output
    assert (project / "results/verdict.md").is_file()
    again = snakemake(project, *command, env=with_nvidia_smi)
    assert "Nothing to be done" in again
