"""Which keys of the config were edited since files were made, from what Snakemake remembers."""

import ast
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from bitnet.common.errors import shorten
from workflow.provenance.records import flat

MOST = 5  # changes that are shown
CODE = re.compile("[0-9a-f]{16}")  # a fingerprint


def changes(jobs: Iterable[tuple[str, Any]]) -> list[str]:
    """Lines "changed: key a -> b (16 jobs)", the most frequent change first.

    jobs: for each job the name of its rule and Snakemake's reason to run it.
    """
    found: dict[str, int] = {}
    for rule, reason in jobs:
        if change := getattr(reason, "params_changed", None):
            for line in set(differing(rule, change.only_old, change.only_new)):
                found[line] = found.get(line, 0) + 1
    lines = sorted(found, key=lambda line: (-found[line], line))
    more = [f"and {_count(len(lines) - MOST, 'change')} more"] if len(lines) > MOST else []
    return [f"changed: {line} ({_count(found[line], 'job')})" for line in lines[:MOST]] + more


def differing(rule: str, before: Iterable[str], now: Iterable[str]) -> Iterator[str]:
    """What differs between the params that only one of two calls of a rule has."""
    old, new = ([_read(text) for text in sorted(texts)] for texts in (before, now))
    blocks = [[v for v in values if isinstance(v, Mapping)] for values in (old, new)]
    plain = [[v for v in values if not isinstance(v, Mapping)] for values in (old, new)]
    for one in blocks[0]:
        left = dict(flat(one))
        for other in blocks[1]:
            right = dict(flat(other))
            if left.keys() & right.keys():
                for key in sorted(left.keys() | right.keys()):
                    if left.get(key) != right.get(key):
                        yield f"{key} {_show(left.get(key))} -> {_show(right.get(key))}"
    for one, other in zip(*plain, strict=False):
        what = "the code of " if all(CODE.fullmatch(str(v)) for v in (one, other)) else ""
        yield f"{what}{rule} {_show(one)} -> {_show(other)}"


def _read(text: str) -> Any:
    """A param as Snakemake remembers it: the text of a Python value, often a text of JSON."""
    try:
        value = ast.literal_eval(text)
        return json.loads(value) if isinstance(value, str) else value
    except (ValueError, SyntaxError):
        return text.strip("'")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def _show(value: Any) -> str:
    return "nothing" if value is None else shorten(str(value), 60)
