"""Recognition of committed results: may they stay where Snakemake has forgotten them?

A fresh clone holds committed results but no `.snakemake/`: Snakemake then judges by dates alone,
and a clone's dates mean nothing. Records say what each result was made from and by which code.
"""

import os
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from bitnet.common.files import read_json, sha256
from workflow.provenance.records import differences

_said: set[str] = set()


def stale_outputs(
    record: Path,
    expected: Mapping[str, Mapping],
    outputs: Mapping[str, list[str]],
    remembered: Callable[[str], bool],
) -> list[str]:
    """Outputs to be made again although they exist.

    record: that of a result. expected: the lineage it would get now, a part a step. outputs: for
    each part the files that its step writes, the result's own part last. remembered: whether
    Snakemake knows how a file was made, and so compares the lineage itself. What was changed by
    hand or by a fault is always made again. Says why, once.
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
    """Date outputs that are older than their inputs like the newest of these."""
    dates = [Path(path).stat().st_mtime_ns for path in inputs if Path(path).exists()]
    for path in map(Path, outputs):
        if dates and path.exists() and path.stat().st_mtime_ns < max(dates):
            os.utime(path, ns=(max(dates), max(dates)))


def say(line: str) -> None:
    """Tell once, however many results it concerns."""
    if line not in _said:
        _said.add(line)
        print(line, file=sys.stderr)
