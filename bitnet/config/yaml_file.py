"""Strict YAML: a file's values and the line of each; YAML's silent conversions are refused.

A key that stands twice (the last one would win), 010 (octal) or 1:30 (base 60) are refused, as are
tags, keys that are no text, aliases and merge keys. Free of torch.
"""

import re
from pathlib import Path

import yaml

from bitnet.common.errors import refuse, shorten

LARGEST_FILE = 256 * 1024  # bytes: some seconds to parse
MOST_LEVELS = 20
DIGITS = r"[0-9][0-9_]*"
SPELLED = {  # values that a config may hold, and how they are written
    "str": r".*",
    "null": r"~|null|",
    "bool": r"true|false|yes|no|on|off",
    "int": r"[-+]?(0|[1-9][0-9_]{0,30})",
    "float": rf"[-+]?({DIGITS}(\.[0-9_]*)?|\.{DIGITS})(e[-+]?[0-9]+)?|[-+]?\.(inf|nan)",
}
CORE = "tag:yaml.org,2002:"
BASE = "a study says by `base: NAME` what it shares"


def read_yaml(path: Path, name: str) -> tuple[dict, dict[tuple, int]]:
    """The mapping in a YAML file, and the line of each of its values, by the keys that lead there.

    ValueError in one line that begins with `name` and says where and what is wrong.
    """
    try:
        return _read(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{name}: {error.strerror}; allowed: a file to read") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _read(data: bytes) -> tuple[dict, dict[tuple, int]]:
    if len(data) > LARGEST_FILE:
        raise refuse("the file", f"{len(data)} bytes", f"at most {LARGEST_FILE}")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _refuse_line(data.decode("latin1"), error.start, "UTF-8") from None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        values = None if node is None else loader.construct_document(node)
    except yaml.reader.ReaderError as error:
        raise _refuse_line(text, error.position, "YAML, but not this character") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _refuse_line(text, mark.index, f"YAML, but {error.problem}") from None
    except RecursionError:
        raise refuse("the file", text, f"at most {MOST_LEVELS} levels") from None
    if not isinstance(values, dict):
        raise refuse("the file", values, "keys with values")
    return values, _lines(node)


def _lines(node: yaml.Node) -> dict[tuple, int]:
    """Line of a node, under (), and of all below it: of a key, where it has one."""
    lines, parts = {(): node.start_mark.line + 1}, []
    if isinstance(node, yaml.MappingNode):
        parts = [(key.value, key, value) for key, value in node.value]
    elif isinstance(node, yaml.SequenceNode):
        parts = [(i, value, value) for i, value in enumerate(node.value)]
    for key, begin, value in parts:
        lines |= {(key, *path): line for path, line in _lines(value).items()}
        lines[(key,)] = begin.start_mark.line + 1
    return lines


def _refuse_line(text: str, index: int, allowed: str) -> ValueError:
    number = len(text[: index + 1].splitlines())
    line = text.splitlines()[number - 1].strip()
    return refuse(f"line {number}", line, shorten(" ".join(allowed.split())))


class _Loader(yaml.SafeLoader):
    def compose_node(self, parent, index):
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.composer.ComposerError(None, None, f"no alias: {BASE}", mark)
        node = super().compose_node(parent, index)
        _inspect(node)
        return node


def _inspect(node: yaml.Node) -> None:
    """Refuse what a node may not be; note its depth."""
    kind, children = node.tag.removeprefix(CORE), []
    if isinstance(node, yaml.MappingNode):
        _inspect_keys([key for key, _ in node.value])
        plain, children = kind == "map", [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        plain, children = kind == "seq", node.value
    else:
        plain = re.fullmatch(SPELLED.get(kind, "(?!)"), node.value, re.DOTALL | re.IGNORECASE)
    if not plain:
        problem = f"key <<: {BASE}" if kind == "merge" else f"{kind} written like this"
        raise _refuse_node(node, f"no {problem}")
    node.depth = 1 + max((child.depth for child in children), default=0)
    if node.depth > MOST_LEVELS:
        raise _refuse_node(node, f"no more than {MOST_LEVELS} levels")


def _inspect_keys(keys: list[yaml.Node]) -> None:
    lines: dict[str, int] = {}
    for key in keys:
        if key.tag != f"{CORE}str":
            raise _refuse_node(key, "no key that is not text")
        if key.value in lines:
            again = shorten(repr(key.value), 80)
            raise _refuse_node(key, f"no second {again} (the first: line {lines[key.value]})")
        lines[key.value] = key.start_mark.line + 1


def _refuse_node(node: yaml.Node, problem: str) -> yaml.MarkedYAMLError:
    return yaml.composer.ComposerError(None, None, problem, node.start_mark)
