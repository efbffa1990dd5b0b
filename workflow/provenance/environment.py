"""Environment of a result: versions of Python and packages, system and commit."""

import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

RECORDED = ("torch", "numpy", "sentencepiece", "safetensors", "snakemake")


def environment() -> dict[str, str]:
    """Versions by package, `python`, `system` and, inside a git clone, `commit`."""
    found = {"python": platform.python_version(), "system": platform.system()}
    for package in RECORDED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    if commit := _commit():
        found["commit"] = commit
    return found


def _commit() -> str | None:
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=Path(__file__).parent,
            capture_output=True,
            encoding="utf-8",
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None
