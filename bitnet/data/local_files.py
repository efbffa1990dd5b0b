"""Local files of a corpus: which ones its glob patterns mean, each file once."""

import fnmatch
import glob
import os
import stat
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from bitnet.common.errors import CorpusError

SPLITS = ("train", "validation")


class LocalFile(NamedTuple):
    """A file that a pattern matches."""

    path: str
    name: str
    """Its path below the folder that the pattern names without a wildcard."""


def source_files(source: Mapping, key: str = "corpora: ") -> dict[str, list[LocalFile]]:
    """Files by split of a block of `corpora` whose source is files, as `matching_files` finds them.

    key: what an error writes before the name of a split. CorpusError also where every training file
    is a validation file too.
    """
    found = {s: matching_files(source[s], f"{key}{s}") for s in SPLITS if source.get(s)}
    held_out = {os.path.realpath(file.path) for file in found.get("validation", [])}
    if all(os.path.realpath(file.path) in held_out for file in found["train"]):
        path = found["train"][0].path
        raise CorpusError(
            f"{key}validation names {path!r}, as {key}train does; allowed: other files, "
            "or no `validation` (then validation_share of the documents is held out)"
        )
    return found


def matching_files(patterns: list[str], key: str) -> list[LocalFile]:
    """Files that match glob patterns, sorted by path; links to one file are that file once.

    `~` and `$VAR` are expanded where nothing has the name as it stands. key: the config key that an
    error names. CorpusError for a pattern without a match and for what cannot be read.
    """
    found: dict[str, LocalFile] = {}
    for pattern in patterns:
        try:
            files = list(_glob(pattern)) or list(_glob(expanded(pattern)))
        except PermissionError as error:
            raise CorpusError(
                f"{key} is {pattern!r}; allowed: only what may be read, unlike {error.filename!r}"
            ) from None
        if not files:
            meant = f" ({expanded(pattern)!r})" if expanded(pattern) != pattern else ""
            raise CorpusError(
                f"{key} is {pattern!r}{meant}; allowed: a pattern that matches a file"
            )
        for file in files:
            found.setdefault(file.path, file)
    return _each_once([found[path] for path in sorted(found)])


def expanded(path: str) -> str:
    """A path with `~` and environment variables replaced by what they stand for."""
    return os.path.expandvars(os.path.expanduser(path))


def _each_once(files: list[LocalFile]) -> list[LocalFile]:
    """The files without later paths of an earlier one."""
    by_inode = defaultdict(list)
    for file in files:
        about = os.stat(file.path)
        by_inode[about.st_dev, about.st_ino].append(file)
    repeats = set()
    for same in by_inode.values():
        if len(same) > 1:  # hard links are two files, as copies are
            real: set[str] = set()
            for file in same:
                where = os.path.realpath(file.path)
                if where in real:
                    repeats.add(file)
                real.add(where)
    return [file for file in files if file not in repeats]


def _glob(pattern: str) -> Iterator[LocalFile]:
    """Files that match a pattern, as `glob.glob(pattern, recursive=True)` understands it.

    Unlike that, a folder that cannot be read is a PermissionError, and a folder that links lead
    back to is entered once.
    """
    whole = Path(pattern)
    parts = [part for part in whole.parts if part != whole.anchor]
    fixed = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    folder = os.path.join(whole.anchor, *parts[: max(fixed, 0)])
    for path in _below(folder, parts[max(fixed, 0) :], set()):
        yield LocalFile(path, os.path.relpath(path, folder or os.curdir))


def _below(path: str, parts: list[str], entered: set) -> Iterator[str]:
    """Files below a path whose names match the rest of a pattern, a part a folder."""
    mode = _mode(path or os.curdir)
    if not parts:
        if stat.S_ISREG(mode):
            yield path
        return
    if not stat.S_ISDIR(mode):
        return
    part, rest = parts[0], parts[1:]
    if part == "**":
        here = (os.path.realpath(path), len(parts))
        if here in entered:
            return
        entered.add(here)
        yield from _below(path, rest or ["*"], entered)
        for name in _names(path):
            if not name.startswith("."):
                yield from _below(os.path.join(path, name), parts, entered)
    elif glob.has_magic(part):
        for name in fnmatch.filter(_names(path), part):
            if part.startswith(".") or not name.startswith("."):
                yield from _below(os.path.join(path, name), rest, entered)
    else:
        yield from _below(os.path.join(path, part), rest, entered)


def _names(folder: str) -> list[str]:
    return sorted(os.listdir(folder or os.curdir))


def _mode(path: str) -> int:
    """Type bits of what a path leads to, 0 where that is nothing; PermissionError gets through."""
    try:
        return os.stat(path).st_mode
    except PermissionError:
        raise
    except (OSError, ValueError):
        return 0
