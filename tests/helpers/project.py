"""The project as a user has it: a copy to work in, and the commands typed there."""

import copy
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from bitnet.config.load import read_project
from tests.helpers import forked_snakemake

ROOT = Path(__file__).parents[2]
SNAKEMAKE = str(Path(sys.executable).with_name("snakemake"))
ENVIRONMENT = {**os.environ, "PATH": f"{Path(SNAKEMAKE).parent}{os.pathsep}{os.environ['PATH']}"}
TINY = ("--configfile", "tests/tiny.yaml")  # every study in seconds


@cache
def _config() -> dict:
    return read_project(ROOT)


def project_config() -> dict:
    """The config that is shipped, its studies with all that their bases say; yours to change."""
    return copy.deepcopy(_config())


def copy_project(to: Path) -> Path:
    """What a clone holds, without what was made in the checkout."""
    made = shutil.ignore_patterns("__pycache__", "*.egg-info", "*.csv", ".*_cache")
    for name in ("bitnet", "workflow", "profiles", "studies"):
        shutil.copytree(ROOT / name, to / name, ignore=made)
    (to / "tests").mkdir(parents=True)
    for name in ("Snakefile", "config.yaml", ".gitignore", "tests/tiny.yaml"):
        shutil.copy(ROOT / name, to / name)
    return to


def call(folder: Path, *arguments: str, env=None, timeout=300) -> subprocess.CompletedProcess:
    """Run a command there, whatever it comes to."""
    if arguments[0] == SNAKEMAKE and not env and forked_snakemake.AVAILABLE:
        return forked_snakemake.run(folder, arguments[1:], ENVIRONMENT, timeout)
    return subprocess.run(
        arguments,
        cwd=folder,
        env=env or ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def snakemake(folder: Path, *arguments: str, env=None) -> str:
    """Run Snakemake there to a good end; returns all it printed."""
    done = call(folder, SNAKEMAKE, *arguments, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def jobs(output: str) -> dict[str, int]:
    """Jobs a rule, from the table that Snakemake prints last."""
    table = output[output.rindex("Job stats:") :].split("\n\n")[0].splitlines()[3:]
    return {line.split()[0]: int(line.split()[1]) for line in table}


def commit(project: Path) -> None:
    """Put all that is there, but what .gitignore names, under git."""
    git = ("git", "-c", "user.name=a", "-c", "user.email=a@b")
    for arguments in (("init", "-q"), ("add", "-A"), ("commit", "-qm", "all")):
        assert call(project, *git, *arguments).returncode == 0
