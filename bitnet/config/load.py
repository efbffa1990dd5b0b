"""Strict YAML loader for config.yaml: refuses what YAML would silently misread.

It refuses a repeated key (the last one would win), 010 (octal), 1:30 (base 60), tags, keys that
are not text, and aliases that expand without end. Free of torch.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from bitnet.common.errors import refuse, shorten
from bitnet.config.validate import check

LARGEST_FILE = 256 * 1024  # bytes, which take some seconds to parse
MOST_VALUES = 20_000  # with every alias expanded
MOST_LEVELS = 20
DIGITS = r"[0-9][0-9_]*"
SPELLED = {  # types of values that a config may hold, and their allowed spellings
    "str": r".*",
    "null": r"~|null|",
    "bool": r"true|false|yes|no|on|off",
    "int": r"[-+]?(0|[1-9][0-9_]{0,30})",
    "float": rf"[-+]?({DIGITS}(\.[0-9_]*)?|\.{DIGITS})(e[-+]?[0-9]+)?|[-+]?\.(inf|nan)",
    "merge": r"<<",
}
CORE = "tag:yaml.org,2002:"


def read_config(path: str | Path, schema: Mapping | None = None) -> dict:
    """The mapping in a YAML file, checked as a whole config if a schema is given.

    ValueError in one line that names the file, the line or key, the value and what is allowed.
    """
    path = Path(path)
    try:
        config = _mapping(path.read_bytes())
        if schema:
            check(config, schema)
    except OSError as error:
        raise ValueError(f"{path.name}: {error.strerror}; allowed: a file to read") from None
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None
    return config


def _mapping(data: bytes) -> dict:
    if len(data) > LARGEST_FILE:
        raise refuse("the file", f"{len(data)} bytes", f"at most {LARGEST_FILE}")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _refuse_line(data.decode("latin1"), error.start, "UTF-8") from None
    try:
        config = yaml.load(text, _Loader)
    except yaml.reader.ReaderError as error:
        raise _refuse_line(text, error.position, "YAML, but not this character") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _refuse_line(text, mark.index, f"YAML, but {error.problem}") from None
    except RecursionError:
        raise refuse("the file", text, f"at most {MOST_LEVELS} levels") from None
    if not isinstance(config, dict):
        raise refuse("the file", config, "keys with values")
    return config


def _refuse_line(text: str, index: int, allowed: str) -> ValueError:
    number = len(text[: index + 1].splitlines())
    line = text.splitlines()[number - 1].strip()
    return refuse(f"line {number}", line, shorten(" ".join(allowed.split())))


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent, index):
        node = super().compose_node(parent, index)
        if node.end_mark is None:
            raise _refuse_node(node, "no alias inside what it names")
        if not hasattr(node, "size"):  # an alias returns a node that was inspected before
            _inspect(node)
        return node


def _inspect(node: yaml.Node) -> None:
    """Refuse a node with a wrong tag, spelling or size; set its `size` and `depth`.

    Both count the nodes behind aliases as often as they are referred to.
    """
    kind, children = node.tag.removeprefix(CORE), []
    if isinstance(node, yaml.MappingNode):
        _inspect_keys([key for key, _ in node.value])
        plain, children = kind == "map", [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        plain, children = kind == "seq", node.value
    else:
        plain = re.fullmatch(SPELLED.get(kind, "(?!)"), node.value, re.DOTALL | re.IGNORECASE)
    if not plain:
        raise _refuse_node(node, f"no {kind} written like this")
    node.size = 1 + sum(child.size for child in children)
    node.depth = 1 + max((child.depth for child in children), default=0)
    if node.size > MOST_VALUES or node.depth > MOST_LEVELS:
        raise _refuse_node(node, f"no more than {MOST_VALUES} values, {MOST_LEVELS} levels")


def _inspect_keys(keys: list[yaml.Node]) -> None:
    lines: dict[str, int] = {}
    for key in keys:
        if key.tag not in (f"{CORE}str", f"{CORE}merge"):
            raise _refuse_node(key, "no key that is not text")
        if key.value in lines:
            again = shorten(repr(key.value), 80)
            raise _refuse_node(key, f"no second {again} (the first: line {lines[key.value]})")
        lines[key.value] = key.start_mark.line + 1


def _refuse_node(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.composer.ComposerError(None, None, problem, node.start_mark)
