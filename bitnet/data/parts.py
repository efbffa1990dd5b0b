"""Parts: files of bounded size that together hold a split and survive an interruption.

Beside each finished part lies a JSON description with a key of what it was made from. A script
that runs again reuses the parts that are intact and have the same key. When all are finished, one
description of the whole split replaces those of the parts.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from bitnet.common.files import read_json, remains, sha256, write_json

PART_BYTES = 256_000_000  # default text of a part: the most that an interruption can lose


def part_path(folder: str | Path, split: str, number: int, suffix: str) -> Path:
    """Path of a part, such as train-00003.bin."""
    return Path(folder) / f"{split}-{number:05d}{suffix}"


def keep(path: Path, key: Mapping, part: Mapping) -> None:
    """Write the description of a finished part; `part["sha256"]` is that of its file."""
    write_json(f"{path}.json", {"key": key, "part": part})


def kept(path: Path, key: Mapping) -> dict | None:
    """Description of a finished part; None if it is missing, damaged or has another key."""
    try:
        found = read_json(f"{path}.json")
    except ValueError:
        return None
    if found["key"] != key or not path.is_file() or sha256(path) != found["part"]["sha256"]:
        return None
    return found["part"]


def settle(folder: str | Path, suffix: str, files: Iterable[str]) -> None:
    """Remove descriptions of single parts, unfinished files, and parts not among `files`."""
    folder, files = Path(folder), set(files)
    for path in folder.glob(f"*-[0-9]*{suffix}*"):
        if path.name not in files:
            path.unlink()
    for path in folder.glob(f".*-[0-9]*{suffix}*"):
        for begun in remains(path.with_name(path.stem[1:])):
            begun.unlink(missing_ok=True)


def intact(folder: str | Path, part: Mapping, kind: str) -> Path:
    """Path of a part; ValueError in one line where it is missing or its checksum is wrong.

    kind: name of the rule that makes it, which the error recommends to run again.
    """
    path = Path(folder) / part["file"]
    if not path.is_file():
        raise ValueError(f"{kind} {str(path)!r} is missing; run again with --forcerun {kind}")
    if sha256(path) != part["sha256"]:
        raise ValueError(f"{kind} {str(path)!r} is damaged; run again with --forcerun {kind}")
    return path
