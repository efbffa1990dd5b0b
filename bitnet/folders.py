"""Folders that are whole or absent, as `bitnet.files` makes files."""

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Give an empty folder to fill; rename it to `path` at the end, remove it after an error.

    A folder that is there already is replaced.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_remains(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.mkdir()
    try:
        yield beside
        shutil.rmtree(path, ignore_errors=True)
        os.replace(beside, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _remove_remains(path: Path) -> None:
    """Delete what processes that were killed had begun to fill."""
    for remains in path.parent.glob(f".{glob.escape(path.name)}.*"):
        pid = remains.suffix[1:]
        if pid.isdecimal() and not (int(pid) != os.getpid() and psutil.pid_exists(int(pid))):
            shutil.rmtree(remains)
