"""Files that a corpus or a tokenizer comes from, known by their content and not by their dates.

The description of a corpus and the record of each run list name, size and sha256 of every file.
Steps and records are compared by `identity` of such a list, which names and dates do not change.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bitnet.common.errors import CorpusError, shorten
from bitnet.common.files import checksum, read_json, sha256, write_json
from bitnet.data.local_files import source_files

Listed = Mapping[str, Sequence[Mapping]]
"""By split: name, size in bytes and sha256 of each file, in the order in which they are read."""


class Digests:
    """SHA-256 of files, each computed once for a size, inode, date and date of change.

    path: the file that keeps them from one process to the next; None: nothing does. A file there
    that is damaged or cannot be written costs time only.
    """

    def __init__(self, path: str | Path | None = None):
        self.path, self.new = path, False
        try:
            self.known = read_json(path)["files"] if path else {}
        except (ValueError, OSError, KeyError):
            self.known = {}

    def of(self, path: str | Path) -> dict[str, object]:
        """Size and sha256 of a file; OSError where it cannot be read."""
        about = os.stat(path)
        now = [about.st_size, about.st_ino, about.st_mtime_ns, about.st_ctime_ns]
        key = os.path.abspath(path)
        if self.known.get(key, {}).get("stat") != now:
            self.known[key] = {"stat": now, "sha256": sha256(path)}
            self.new = True
        return {"size": about.st_size, "sha256": self.known[key]["sha256"]}

    def keep(self) -> None:
        """Write what is known to the file; entries of files that are no more are left out."""
        if not (self.path and self.new):
            return
        there = {path: entry for path, entry in self.known.items() if os.path.exists(path)}
        try:
            write_json(self.path, {"files": there})
        except OSError:
            return


def list_sources(source: Mapping, digests: Digests, key: str = "corpora: ") -> Listed:
    """Files by split of a block of `corpora`; CorpusError where one is missing or unreadable.

    key: what an error writes before the name of a split.
    """
    found = {}
    for split, files in source_files(source, key).items():
        found[split] = listed = []
        for file in files:
            try:
                listed.append({"name": file.name, **digests.of(file.path)})
            except OSError as error:
                raise CorpusError(f"file {file.path!r} cannot be read: {error.strerror}") from None
    digests.keep()
    return found


def identity(sources: Listed) -> str:
    """SHA-256 of what the text depends on: contents and kinds of the files, in order."""
    return checksum(
        {
            split: [[Path(file["name"]).suffix, file["sha256"]] for file in files]
            for split, files in sources.items()
        }
    )


def differing(one: Listed, other: Listed) -> str:
    """Names of files that are in one list only or have another content there, shortened."""
    return shorten(", ".join(sorted(set(_differing(one, other)))), 120)


def _differing(one: Listed, other: Listed) -> Iterator[str]:
    for split in {*one, *other}:
        left, right = (
            {(file["name"], file["sha256"]) for file in sources.get(split, [])}
            for sources in (one, other)
        )
        yield from (repr(name) for name, _ in left ^ right)
