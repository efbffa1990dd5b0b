"""Records beside results: reading, writing, and differences between them.

A record is sealed JSON: `files` (name: sha256 of what it speaks for), `lineage` (a part a step of
the way from text to result: what each was made from and by which code), and what was measured on
the way (`data`, `environment`, ...). Results are compared, recognised and refused by it.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from bitnet.common.files import damaged, read_json, sha256, write_json
from bitnet.config.run_names import AXES, BASE, VARIANT, keys_of
from bitnet.evaluation.record import RunRecord

SUFFIX = ".provenance.json"
# Keys that a grid varies on purpose. Rates that scale with peak_lr are compared as multiples of it.
# A run's variant names the other keys that may differ.
VARIED = {
    "train.recipe.model": ["hidden_size", "weights"],
    "train.recipe.training": [axis.key for axis in AXES if axis.column != VARIANT],
}
SCALED = ("switch_lr", "final_lr")
BY_SIZE = ("num_heads", "num_kv_heads")
NOTED = ("device", "torch", "python")  # of the environment: differences are reported, not refused


def record_of(path: str | Path) -> Path:
    """Path of the record of a result: h64_wd0.csv -> h64_wd0.provenance.json."""
    return Path(path).with_suffix(SUFFIX)


def write_record(record: Path, paths: Sequence[Path], lineage: Mapping, **measured: Any) -> None:
    """Write the record of finished files, which must lie in or below its folder."""
    files = {str(path.relative_to(record.parent)): sha256(path) for path in paths}
    write_json(record, {"files": files, "lineage": lineage, **measured})


def read_record(path: str | Path) -> dict[str, Any]:
    """Record of a result; ValueError in one line where either is missing or damaged."""
    record = read_json(record_of(path))
    if sha256(path) != record["files"].get(Path(path).name):
        raise damaged(path, "it is not the file that its record speaks of")
    return record


def flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Pairs (dotted key, value) of a nested mapping."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from flat(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, value


def differences(one: Mapping, other: Mapping) -> list[str]:
    """Dotted keys in which two mappings differ."""
    left, right = dict(flat(one)), dict(flat(other))
    return sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key))


def disagreements(records: Mapping[str, RunRecord]) -> list[str]:
    """What records of one study must share and do not, naming the runs; empty where they agree."""
    return _split({name: _shared(record) for name, record in records.items()})


def unlike(records: Mapping[str, RunRecord]) -> list[str]:
    """Differences of device, versions and precision, which a verdict mentions."""
    found = {
        name: {
            **{key: record.environment.get(key) for key in NOTED},
            "precision": _in_turn(record.trained_on, "precision"),
        }
        for name, record in records.items()
    }
    return _split(found)


def _in_turn(pieces: Sequence[Mapping[str, Any]], key: str) -> str:
    """Values of a key over the pieces of a training, each change once: "mixed, then float32"."""
    return ", then ".join(str(value) for value, _ in groupby(p.get(key) for p in pieces))


def _shared(record: RunRecord) -> dict[str, Any]:
    found = {**dict(flat(record.lineage)), "data": record.data}
    model, training = (record.lineage["train"]["recipe"][k] for k in ("model", "training"))
    meant = keys_of(found.pop("evaluate.variant", BASE))
    for block, keys in VARIED.items():
        for key in [*keys, *meant]:
            found.pop(f"{block}.{key}", None)
    for key in SCALED:
        ratio = training[key] / training["peak_lr"]
        found[f"train.recipe.training.{key}"] = f"{ratio:.9g} of peak_lr"
    for key in BY_SIZE:
        found.pop(f"train.recipe.model.{key}")
        found[f"train.recipe.model.{key} of hidden {model['hidden_size']}"] = model[key]
    return found


def _split(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """`key is a in run1, run2 and b in the other 6`, the rarer value first, one line per key."""
    lines = []
    for key in sorted({key for values in found.values() for key in values}):
        by_value: dict[str, list[str]] = {}
        for name, values in found.items():
            if key in values:
                by_value.setdefault(str(values[key]), []).append(name)
        if len(by_value) > 1:
            sides = sorted(by_value.items(), key=lambda side: len(side[1]))
            lines.append(f"{key} is " + " and ".join(_side(*side) for side in sides))
    return lines


def _side(value: str, names: Sequence[str]) -> str:
    shown = ", ".join(sorted(names)[:3])
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{value} in {shown}{more}"
