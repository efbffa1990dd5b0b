"""Reference of config.yaml: a row for each key, from the schema and from the values in the file."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from bitnet.config.validate import allowed_by

HEADER = ("key", "allowed", "default", "meaning")
NAMED = ("corpora", "studies")  # blocks whose keys are names
NO_DEFAULT = "-"

Row = tuple[str, str, str, str]


def keys(schema: Mapping, config: Mapping) -> dict[str, list[Row]]:
    """Rows of HEADER by block of the file; "" holds the keys outside the blocks.

    schema: of the whole config. config: values of config.yaml, which are the defaults. Keys that a
    study shares with `defaults` stand there alone.
    """
    shared = schema["$defs"]["defaults"]["properties"]
    found: dict[str, list[Row]] = {"": []}
    for name, node in schema["properties"].items():
        node, values = _resolved(schema, node), config.get(name, {})
        if name in NAMED:  # each block of it has these keys
            name, values = f"{name}.<name>", {}
            node = _resolved(schema, node["additionalProperties"])
            own = {key: child for key, child in node["properties"].items() if key not in shared}
            node = {"properties": own if name.startswith("studies") else node["properties"]}
        if "properties" in node:
            found[name] = list(_inside(schema, node, values))
        else:
            found[""] += _rows(schema, node, name, config)
    return found


def _rows(schema: Mapping, node: Mapping, key: str, values: Mapping) -> Iterator[Row]:
    """Rows of a key: its own, or those of the keys below it."""
    node = _resolved(schema, node)
    value, item = values.get(key, node.get("default", NO_DEFAULT)), node.get("items", {})
    if "properties" in node:
        inner = value if isinstance(value, Mapping) else {}
        yield from _inside(schema, node, inner, f"{key}.")
        return
    yield key, *_described(schema, node, value)
    if "properties" in (item := _resolved(schema, item)):
        yield from _inside(schema, item, {}, f"{key}[].")


def _inside(schema: Mapping, node: Mapping, values: Mapping, before: str = "") -> Iterator[Row]:
    for key, child in node["properties"].items():
        for name, *rest in _rows(schema, child, key, values):
            yield f"{before}{name}", *rest


def _described(schema: Mapping, node: Mapping, value: Any) -> tuple[str, str, str]:
    words = ", ".join(allowed_by(node))
    if "items" in node:
        items = _resolved(schema, node["items"])
        if inner := ", ".join(allowed_by(items)):
            words += f"; each {inner}"
    return words, _yaml(value), node.get("description", "")


def _yaml(value: Any) -> str:
    """A value in one line, as config.yaml would spell it."""
    if value == NO_DEFAULT:
        return value
    text = yaml.safe_dump(value, default_flow_style=True, width=math.inf, allow_unicode=True)
    return text.removesuffix("...\n").strip()


def _resolved(schema: Mapping, node: Mapping) -> dict:
    """A part of the schema with what its reference leads to; its own words win."""
    found = dict(node)
    while reference := found.pop("$ref", None):
        target: Any = schema
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]
        merged = {**target, **found}
        if "properties" in target and "properties" in found:  # `defaults` only requires more there
            merged["properties"] = target["properties"]
        found = merged
    return found
