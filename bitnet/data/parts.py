"""Parts: files of bounded size that together hold a split, kept when their script is killed.

A finished part is described beside itself, with the key of its making: a script that is run again
finds what is whole and of the same making. Once all are done, one description of them all takes the
place of those.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from bitnet.common.files import read_json, remains, sha256, write_json

PART_BYTES = 256_000_000  # of text in one part, by default: what an interruption costs at most


def part_path(folder: str | Path, split: str, number: int, suffix: str) -> Path:
    """Where a part lies: train-00003.bin."""
    return Path(folder) / f"{split}-{number:05d}{suffix}"


def keep(path: Path, key: Mapping, part: Mapping) -> None:
    """Describe a finished part, `part["sha256"]` being that of its file."""
    write_json(f"{path}.json", {"key": key, "part": part})


def kept(path: Path, key: Mapping) -> dict | None:
    """What was said of a finished part; None where it is not there, not whole or of another key."""
    try:
        found = read_json(f"{path}.json")
    except ValueError:
        return None
    if found["key"] != key or not path.is_file() or sha256(path) != found["part"]["sha256"]:
        return None
    return found["part"]


def settle(folder: str | Path, suffix: str, files: Iterable[str]) -> None:
    """Remove the descriptions of single parts, and parts that are none of `files`."""
    folder, files = Path(folder), set(files)
    for path in folder.glob(f"*-[0-9]*{suffix}*"):
        if path.name not in files:
            path.unlink()
    for path in folder.glob(f".*-[0-9]*{suffix}*"):
        for begun in remains(path.with_name(path.stem[1:])):
            begun.unlink(missing_ok=True)


def intact(folder: str | Path, part: Mapping, kind: str) -> Path:
    """Path of a part; ValueError unless its bytes are those that were written.

    `kind` is the rule that makes it again.
    """
    path = Path(folder) / part["file"]
    if not path.is_file():
        raise ValueError(f"{kind} {str(path)!r} is missing; run again with --forcerun {kind}")
    if sha256(path) != part["sha256"]:
        raise ValueError(f"{kind} {str(path)!r} is damaged; run again with --forcerun {kind}")
    return path
