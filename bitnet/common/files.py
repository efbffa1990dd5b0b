"""Atomic writes of files and folders, and JSON files with a checksum of their own content.

A file is written under a temporary name in the same folder and renamed when it is complete. The
checksum in JSON files reveals a flipped byte before a wrong number is used.
"""

import glob
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from bitnet.common.visible import visible


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Context that yields a temporary path; at its end the file is renamed to `path`.

    After an error the temporary file is removed; an OSError without a name, as of a full disk, gets
    that of the file. The file is synced to disk before it is renamed, so that neither a crash nor a
    full disk leaves half a file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for begun in remains(path):
        shutil.rmtree(begun) if begun.is_dir() else begun.unlink(missing_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        beside.chmod(0o666 & ~mask)  # safetensors writes files that only their owner can read
        os.replace(beside, path)
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise
    finally:
        beside.unlink(missing_ok=True)


def date_now(paths: Iterable[str | Path]) -> list[str]:
    """Date those of the files that are dated in the future now; returns their paths.

    Such a date is of a clock that was set back, or of another machine. What is made of the file
    would seem older than it, for which Snakemake deletes what a job has made.
    """
    now = time.time()
    found = [str(path) for path in paths if os.path.isfile(path) and os.path.getmtime(path) > now]
    for path in found:
        os.utime(path)
    return found


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text to a file, atomically; in Markdown, control characters as escapes.

    Reports quote what models wrote, and a terminal obeys such characters.
    """
    text = visible(text) if Path(path).suffix == ".md" else text
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8")


def remains(path: Path) -> Iterator[Path]:
    """Temporary files and folders of `path` that killed processes have left."""
    for beside in path.parent.glob(f".{glob.escape(path.name)}.*"):
        pid = beside.suffix[1:]
        if pid.isdecimal() and (int(pid) == os.getpid() or not psutil.pid_exists(int(pid))):
            yield beside


def write_json(path: str | Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object with sorted keys and a checksum of its name and content, atomically."""
    sealed = {**value, "checksum": _seal(path, value)}
    write_text(path, json.dumps(sealed, indent=1, sort_keys=True) + "\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """Object of a file that `write_json` wrote, without the checksum.

    ValueError in one line where the file is missing, changed or not JSON.
    """
    try:
        value = json.loads(Path(path).read_text(encoding="utf-8"))
        seal = value.pop("checksum")
    except FileNotFoundError:
        raise ValueError(f"{str(path)!r} is missing; run again to make it") from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise damaged(path) from None
    if seal != _seal(path, value):
        raise damaged(path)
    return value


def _seal(path: str | Path, value: Mapping[str, Any]) -> str:
    """Checksum of name and content: a file copied to another name is found too."""
    return checksum([Path(path).name, value])


def checksum(value: Any) -> str:
    """SHA-256 hex digest of a JSON value, independent of the order of keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def verify(path: str | Path) -> None:
    """Check a file against the sha256 in <path>.json; ValueError in one line if it differs."""
    if read_json(f"{path}.json")["sha256"] != sha256(path):
        raise damaged(path)


def damaged(path: str | Path, why: str = "its checksum is wrong") -> ValueError:
    """ValueError, to be raised, with one line about a file that is not as it was written."""
    return ValueError(f"{str(path)!r} is damaged ({why}); delete it and run again")


def sha256(path: str | Path) -> str:
    """SHA-256 hex digest of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Context that yields an empty temporary folder; at its end it is renamed to `path`.

    An existing folder is replaced. After an error the temporary folder is removed.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for begun in remains(path):
        shutil.rmtree(begun)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.mkdir()
    try:
        yield beside
        shutil.rmtree(path, ignore_errors=True)
        os.replace(beside, path)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
