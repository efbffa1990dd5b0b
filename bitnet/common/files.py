"""Files and folders that are written whole or not at all, and JSON with a checksum.

What is written lies beside its place and is renamed into it when done. JSON carries a
checksum of its own content, so that a flipped byte is found before a wrong number is used.
"""

import glob
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Give a path to write to; rename it to `path` at the end, remove it after an error.

    What is written is on the disk before it gets its name, so neither a crash nor a full disk
    leaves half a file there.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    for begun in remains(path):
        begun.unlink(missing_ok=True)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield beside
        with beside.open("rb+") as file:
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        beside.chmod(0o666 & ~mask)  # safetensors writes files that only their owner can read
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write UTF-8 text as a whole file."""
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8")


def remains(path: Path) -> Iterator[Path]:
    """What killed processes had begun to write as `path`: a full disk needs the room."""
    for beside in path.parent.glob(f".{glob.escape(path.name)}.*"):
        pid = beside.suffix[1:]
        if pid.isdecimal() and (int(pid) == os.getpid() or not psutil.pid_exists(int(pid))):
            yield beside


def write_json(path: str | Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object with sorted keys as a whole file, with a checksum of name and content."""
    sealed = {**value, "checksum": _seal(path, value)}
    write_text(path, json.dumps(sealed, indent=1, sort_keys=True) + "\n")


def read_json(path: str | Path) -> dict[str, Any]:
    """What `write_json` wrote; ValueError in one line where it is missing or was changed."""
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
    """A sealed file in the place of another is found, too: that one has another name."""
    return checksum([Path(path).name, value])


def checksum(value: Any) -> str:
    """Hex digest of a JSON value, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def verify(path: str | Path) -> None:
    """ValueError unless a file's sha256 is the one that the JSON beside it states."""
    if read_json(f"{path}.json")["sha256"] != sha256(path):
        raise damaged(path)


def damaged(path: str | Path, why: str = "its checksum is wrong") -> ValueError:
    """The one form of a complaint about a file that is not what was written."""
    return ValueError(f"{str(path)!r} is damaged ({why}); delete it and run again")


def sha256(path: str | Path) -> str:
    """Hex digest of a file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def whole_folder(path: str | Path) -> Iterator[Path]:
    """Give an empty folder to fill; rename it to `path` at the end, remove it after an error.

    A folder that is there already is replaced.
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
