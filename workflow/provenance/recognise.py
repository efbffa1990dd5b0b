"""Recognition of committed results: whether a result may stay, decided from its record.

A fresh clone has committed results but no `.snakemake/`. Snakemake would then compare dates only,
and the dates in a clone mean nothing. Records state from what and by which code a result was made.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bitnet.common.files import read_json, sha256
from workflow.provenance.records import differences

_said: set[str] = set()


def forget_unreadable(memory: Path) -> None:
    """Delete what Snakemake remembers of a file where that is not text, at which it would stop.

    memory: its folder .snakemake/metadata. Results without are known by their records.
    """
    for path in memory.rglob("*"):
        if path.is_file():
            try:
                path.read_text(encoding="utf-8")
            except UnicodeDecodeError:
                path.unlink()
                say(f"{path} was damaged: Snakemake forgets how one file was made")


def stale_outputs(
    record: Path,
    expected: Mapping[str, Mapping],
    outputs: Mapping[str, list[str]],
    remembered: Callable[[str], bool],
) -> list[str]:
    """Existing outputs that must be made again; the reason is printed once.

    record: path of a result's record. expected: the lineage that the result would get now, by step.
    outputs: for each step the files that it writes, the result's own step last. remembered: whether
    Snakemake knows how a file was made and so compares the lineage itself. A file that was changed
    by hand or by a fault is always made again.
    """
    *_, own = outputs.values()
    if not record.exists():
        return []
    try:
        found = read_json(record)
    except ValueError:
        say(f"{record} is damaged: what it speaks for is made again")
        return own
    for name, digest in found["files"].items():
        path = record.parent / name
        if path.exists() and sha256(path) != digest:
            say(f"{path} is not as it was written: it is made again")
            return own
    if all(map(remembered, own)):
        return []
    stale = []
    for part, output in outputs.items():
        if odd := differences(found["lineage"].get(part, {}), expected[part]):
            say(f"committed results differ in {part}.{odd[0]}: what depends on it is made again")
            stale += output
    return stale


def bring_in_order(outputs: Iterable[str], inputs: Iterable[str]) -> None:
    """Set the date of outputs that are older than their newest input to that input's."""
    dates = [Path(path).stat().st_mtime_ns for path in inputs if Path(path).exists()]
    for path in map(Path, outputs):
        if dates and path.exists() and path.stat().st_mtime_ns < max(dates):
            os.utime(path, ns=(max(dates), max(dates)))


def say(line: str) -> None:
    """Print a line to the standard error, once per process."""
    if line not in _said:
        _said.add(line)
        print(line, file=sys.stderr)
