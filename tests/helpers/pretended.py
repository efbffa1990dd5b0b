"""Machines that are not here, pretended by what a command finds on its paths."""

import os
from pathlib import Path

from tests.helpers.project import ENVIRONMENT

TORCH = """
__version__ = "0.0"
class version:
    cuda = "0.0"
class cuda:
    is_available, device_count = (lambda: True), (lambda: 2)
    get_device_name = lambda number: "Pretended GPU"
"""
# A cluster whose jobs are processes: each is sent off as a Snakemake of its own, as by SLURM.
EXECUTOR = """
import subprocess, sys
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.real import RealExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings, ExecMode

common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    auto_deploy_default_storage_provider=False,
)

class Executor(RealExecutor):
    cores = 1

    def run_job(self, job):
        info = SubmittedJobInfo(job=job)
        self.report_job_submission(info)
        failed = subprocess.run(self.format_job_exec(job), shell=True).returncode
        (self.report_job_error if failed else self.report_job_success)(info)

    def shutdown(self):
        pass

    cancel = shutdown

    def get_python_executable(self):
        return sys.executable

    def get_exec_mode(self):
        return ExecMode.REMOTE
"""


def nvidia_smi(folder: Path) -> dict[str, str]:
    """The environment of a machine on whose PATH an `nvidia-smi` lies, with torch as it is here."""
    program = folder / "bin" / "nvidia-smi"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return {**ENVIRONMENT, "PATH": f"{program.parent}{os.pathsep}{ENVIRONMENT['PATH']}"}


def two_gpus(folder: Path) -> dict[str, str]:
    """A machine with two GPUs, as the pipeline sees it. Its jobs have a PYTHONPATH of their own."""
    (folder / "torch.py").write_text(TORCH)
    return {**nvidia_smi(folder), "PYTHONPATH": str(folder)}


def cluster(folder: Path) -> dict[str, str]:
    """A login node without a GPU; `--executor pretended --jobs 1` sends jobs to a cluster."""
    plugin = folder / "snakemake_executor_plugin_pretended" / "__init__.py"
    plugin.parent.mkdir()
    plugin.write_text(EXECUTOR)
    return {**ENVIRONMENT, "PYTHONPATH": str(folder)}
