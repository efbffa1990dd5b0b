"""The reference in docs/ says what schema, config.yaml and code say."""

import re
from collections.abc import Iterator

import pytest
import yaml

from bitnet.config.load import read_schema
from bitnet.config.reference import NO_DEFAULT, keys
from bitnet.data import arithmetic, hub, local_texts, parts
from tests.helpers.project import ROOT
from workflow.scripts.reference import made

WRITTEN = yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))
SCHEMA = read_schema(ROOT)


def test_the_pages_are_what_the_files_say():
    old = [page for page, text in made(ROOT).items() if (ROOT / page).read_text("utf-8") != text]
    assert old == [], f"{old} are out of date: run `python -m workflow.scripts.reference`"


def leaves(values: dict, before: str = "") -> Iterator[tuple[str, object]]:
    for key, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


@pytest.mark.parametrize("block", ["defaults", "verdict", "figures", "sanity"])
def test_each_value_of_the_file_is_the_default_of_its_key(block):
    shown = {key: yaml.safe_load(default) for key, _, default, _ in keys(SCHEMA, WRITTEN)[block]}
    assert shown == dict(leaves(WRITTEN[block]))


def test_each_key_says_what_it_is_and_what_is_allowed():
    rows = [row for block in keys(SCHEMA, WRITTEN).values() for row in block]
    assert [key for key, allowed, _, says in rows if not allowed or not says] == []


def test_each_key_that_a_study_or_corpus_uses_has_a_row():
    found = keys(SCHEMA, WRITTEN)
    known = {
        name: {key.partition(".")[0].removesuffix("[]") for key, *_ in found[name]}
        for name in ("corpora.<name>", "studies.<name>", "defaults")
    }
    files = [yaml.safe_load(path.read_text("utf-8")) for path in (ROOT / "studies").glob("*.yaml")]
    used = {key for study in [*files, *WRITTEN["studies"].values()] for key in study}
    assert used - known["studies.<name>"] - known["defaults"] == set()
    assert {key for corpus in WRITTEN["corpora"].values() for key in corpus} <= known[
        "corpora.<name>"
    ]


def test_defaults_of_corpora_are_those_of_the_code():
    rows = keys(SCHEMA, WRITTEN)["corpora.<name>"]
    shown = {key: yaml.safe_load(text) for key, _, text, _ in rows if text != NO_DEFAULT}
    assert shown == {
        "seed": 0,
        "operators": list(arithmetic.OPERATORS),
        "largest_operand": arithmetic.LARGEST_OPERAND,
        "pad": False,
        "reverse": False,
        "one_digit_share": 0,
        "column": local_texts.DEFAULTS["column"],
        "separator": local_texts.DEFAULTS["separator"],
        "subset": hub.HUB["fineweb_edu"].name,
        "part_bytes": parts.PART_BYTES,
    }


def test_words_of_a_schema_are_not_cut():
    """YAML ends an unquoted text at a comma: what follows becomes a key without a value."""

    def cut(node: object) -> Iterator[str]:
        for key, value in node.items() if isinstance(node, dict) else ():
            if value is None:
                yield key
            yield from cut(value)

    assert list(cut(SCHEMA)) == []


def test_a_new_key_is_a_new_row():
    schema = {
        "$defs": {
            "defaults": {"properties": {"steps": {"type": "integer"}}},
            "corpus": {"properties": {"a": {"type": "string", "description": "b"}}},
            "positive": {"type": "number", "exclusiveMinimum": 0},
        },
        "properties": {
            "corpora": {"additionalProperties": {"$ref": "#/$defs/corpus"}},
            "studies": {
                "additionalProperties": {
                    "properties": {
                        "steps": {},
                        "list": {"items": {"properties": {"x": {"enum": [1, None]}}}},
                    }
                }
            },
            "limit": {"$ref": "#/$defs/positive", "description": "most"},
        },
    }
    assert keys(schema, {"limit": 0.5}) == {
        "": [("limit", "number, above 0", "0.5", "most")],
        "corpora.<name>": [("a", "string", "-", "b")],
        "studies.<name>": [("list", "", "-", ""), ("list[].x", "1 or null", "-", "")],
    }


def test_every_study_of_config_and_folder_has_its_question():
    text = (ROOT / "docs/studies.md").read_text(encoding="utf-8").split("<!-- studies made")[1]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", text, re.M))
    names = {path.stem for path in (ROOT / "studies").glob("*.yaml")} | WRITTEN["studies"].keys()
    assert rows.keys() == names and min(map(len, rows.values())) > 10
