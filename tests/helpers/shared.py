"""Folders that all test processes of one run share: the first that needs one fills it."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock


def shared(factory: pytest.TempPathFactory, name: str, fill: Callable[[Path], object]) -> Path:
    """The folder of this name, made by `fill` in whichever process comes first.

    fill: writes into the folder that it is given, which is renamed once all is there.
    """
    base = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # of the run; each of its processes has its own folder there
    folder, part = base / f"shared-{name}", base / f"part-{name}"
    with FileLock(base / f"{name}.lock"):
        if not folder.exists():
            part.mkdir()
            fill(part)
            part.rename(folder)
    return folder
