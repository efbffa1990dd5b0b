"""Environment of a result: versions of Python and packages, system and commit."""

import platform
import subprocess
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

CONSTRAINTS = Path(__file__).parents[2] / "constraints.txt"
KEPT = "kept"
RECORDED = ("torch", "numpy", "sentencepiece", "safetensors", "snakemake")


def environment() -> dict[str, str]:
    """Versions by package, `python`, `system` and, inside a git clone, `commit`.

    `constraints`: KEPT, or the installed packages whose version is not that of constraints.txt.
    """
    found = {"python": platform.python_version(), "system": platform.system()}
    for package in RECORDED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    if CONSTRAINTS.is_file():
        found["constraints"] = ", ".join(_others(CONSTRAINTS.read_text(encoding="utf-8"))) or KEPT
    if commit := _commit():
        found["commit"] = commit
    return found


def _others(constraints: str) -> Iterator[str]:
    """Installed packages (name==version) of another version than the constraints say."""
    for line in constraints.splitlines():
        package, pinned, wanted = line.partition("==")
        try:
            installed = version(package) if pinned else wanted
        except PackageNotFoundError:
            continue
        if installed.partition("+")[0] != wanted:  # 2.13.0+cpu is 2.13.0
            yield f"{package}=={installed}"


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
