"""Reading config.yaml: what YAML would quietly take for something else is refused, by its line."""

from pathlib import Path

import pytest
import yaml

from bitnet.config.load import read_config

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "config.yaml").read_text()
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())


def read(folder: Path, text: str | bytes) -> dict:
    path = folder / "config.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_config(path, SCHEMA)


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + TEXT,
        TEXT.replace("\n", "\r\n"),
        TEXT.replace("formats: [svg, png]", "<<: &base {formats: [svg, png]}"),
        TEXT.replace("5, 0]", "5, &zero 0]", 1).replace("treatment: 0", "treatment: *zero"),
        "--- " + TEXT,
    ],
    ids=["mark", "crlf", "merge", "alias", "document"],
)
def test_the_ways_of_yaml_that_do_no_harm_are_accepted(tmp_path, text):
    assert read(tmp_path, text) == yaml.safe_load(TEXT)


def bomb(form: str) -> str:
    lines = [f"a{i}: &a{i} {form}".replace("*", f"*a{i - 1}") for i in range(1, 30)]
    return "\n".join(["a0: &a0 {x: 1}", *lines])


FIRST = TEXT.splitlines().index("  wd_fix:") + 1
CASES = [
    ("", ["the file is None"]),
    ("- 1", ["the file is [1]"]),
    ("a: [1\n", ["line 1 is 'a: [1'", "expected ',' or ']'"]),
    (TEXT.encode("utf-16"), ["line 1", "UTF-8"]),
    (TEXT.replace("study", "st\xfcdy", 1).encode("latin1"), ["line 5 is '# Which stüdy", "UTF-8"]),
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
    ("a: &a [*a]", ["line 1", "no alias inside"]),
    ("a: &a {b: *a}", ["line 1", "no alias inside"]),
    (bomb("[*, *, *, *, *, *, *, *, *]"), ["no more than"]),
    (bomb("{<<: [*, *, *, *, *, *, *, *]}"), ["no more than"]),
    (bomb("[*]"), ["no more than"]),
    ("[" * 100_000, ["the file is '[[[", "levels"]),
    ("[" * 30 + "]" * 30, ["line 1", "levels"]),
    ("a: " + "x" * 300_000, ["'300003 bytes'", "at most"]),
    (TEXT + "__use_yte__: true\n", ["unknown key '__use_yte__'"]),
    (TEXT + "---\n" + TEXT, ["'---'", "another document"]),
    (TEXT.replace('title: ""', 'title: "\\ud800"'), ["figures.title is '\\ud800'"]),
    (TEXT.replace('title: ""', 'title: "a\\nb"'), ["figures.title is 'a\\nb'", "one line"]),
    (TEXT.replace('title: ""', 'title: "$\\\\x$"'), ["figures.title", "without $"]),
    (TEXT.replace("  quick:\n", '  "quick\\n":\n'), ["a key of studies is 'quick\\n'"]),
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
            read_config(path)
