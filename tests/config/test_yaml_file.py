"""Strict YAML: what YAML would quietly take for something else is refused, by its line."""

from pathlib import Path

import pytest
import yaml

from bitnet.config.yaml_file import read_yaml
from tests.helpers.project import ROOT

TEXT = (ROOT / "config.yaml").read_text()


def read(folder: Path, text: str | bytes) -> tuple[dict, dict[tuple, int]]:
    path = folder / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_yaml(path, path.name)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + TEXT,
        TEXT.replace("\n", "\r\n"),
        "--- " + TEXT,
    ],
    ids=["mark", "crlf", "document"],
)
def test_the_ways_of_yaml_that_do_no_harm_are_accepted(tmp_path, text):
    assert read(tmp_path, text)[0] == yaml.safe_load(TEXT)


def test_every_value_has_its_line(tmp_path):
    text = "# a remark\na: 1\nb:\n  c:\n    - 2\n    - {d: 3}\n\n  'e f': [4,\n    5]\n"
    lines = {(): 2, ("a",): 2, ("b",): 3, ("b", "c"): 4, ("b", "c", 0): 5, ("b", "c", 1): 6}
    lines |= {("b", "c", 1, "d"): 6, ("b", "e f"): 8, ("b", "e f", 0): 8, ("b", "e f", 1): 9}
    assert read(tmp_path, text) == ({"a": 1, "b": {"c": [2, {"d": 3}], "e f": [4, 5]}}, lines)


STUDY = next(i for i, line in enumerate(TEXT.splitlines(), 1) if "# Which study" in line)
FIRST = TEXT.splitlines().index("  wd_fix:") + 1
CASES = [
    ("", ["the file is None"]),
    ("- 1", ["the file is [1]"]),
    ("a: [1\n", ["line 1 is 'a: [1'", "expected ',' or ']'"]),
    (TEXT.encode("utf-16"), ["line 1", "UTF-8"]),
    (
        TEXT.replace("# Which study", "# Which st\xfcdy").encode("latin1"),
        [f"line {STUDY} is '# Which stüdy", "UTF-8"],
    ),
    ("a: \0", ["line 1 is 'a: \\x00'"]),
    (TEXT.replace("  quick:\n", "  wd_fix:\n"), ["'wd_fix:'", "second", f"line {FIRST})"]),
    (TEXT.replace("hidden_size: [64]\n", "weights: [ternary]\n", 1), ["'weights'", "second"]),
    ("a: {b: 1, b: 2}", ["line 1 is 'a: {b: 1, b: 2}'", "no second 'b'"]),
    ("seeds: 010", ["line 1 is 'seeds: 010'", "no int"]),
    ("seeds: 0x10", ["line 1 is 'seeds: 0x10'", "no int"]),
    ("seeds: 1:30", ["line 1 is 'seeds: 1:30'", "no int"]),
    ("lr: 1:30.5", ["line 1 is 'lr: 1:30.5'", "no float"]),
    ("seeds: " + "9" * 5_000, ["line 1 is 'seeds: 999", "no int"]),
    ("title: 2024-01-01", ["line 1", "no timestamp"]),
    ("a: !!bool maybe", ["line 1", "no bool"]),
    ("true: 1", ["line 1", "no key that is not text"]),
    ("? [a]\n: 1", ["line 1", "no key that is not text"]),
    ("a: !!python/object/apply:os.mkdir [made]", ["line 1", "no python/object"]),
    ("a: !!set {b}", ["line 1", "no set"]),
    ("a: &a [*a]", ["line 1", "no alias", "base: NAME"]),
    ("a: &a {b: 1}\nc: *a", ["line 2 is 'c: *a'", "no alias", "base: NAME"]),
    ("a: {<<: {b: 1}}", ["line 1", "no key <<", "base: NAME"]),
    ("[" * 100_000, ["the file is '[[[", "levels"]),
    ("[" * 30 + "]" * 30, ["line 1", "levels"]),
    ("a: " + "x" * 300_000, ["'300003 bytes'", "at most"]),
    (TEXT + "---\n" + TEXT, ["'---'", "another document"]),
]


@pytest.mark.parametrize(("text", "words"), CASES, ids=range(len(CASES)))
def test_what_yaml_takes_for_something_else_is_refused_by_line_and_cause(tmp_path, text, words):
    with pytest.raises(ValueError) as error:
        read(tmp_path, text)
    said = str(error.value)
    assert said.startswith("config.yaml: ") and said.isprintable() and len(said) < 500
    assert all(word in said for word in (*words, "allowed")), said
    assert not Path("made").exists()


def test_a_file_that_cannot_be_read_is_one_line_too(tmp_path):
    for path, words in ((tmp_path, "directory"), (tmp_path / "no.yaml", "No such file")):
        with pytest.raises(ValueError, match=rf"^{path.name}: .*{words}.*; allowed"):
            read_yaml(path, path.name)
