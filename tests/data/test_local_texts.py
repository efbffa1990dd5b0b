"""Readers of local files: what is refused, with its place, and what is remarked on."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bitnet.common.errors import CorpusError
from bitnet.data.corpora import Documents
from tests.data.test_corpora import TEXTS, WRITERS, read, write_jsonl, write_parquet, write_txt


def refusal(*paths: Path, **others) -> str:
    """The line with which files are refused."""
    with pytest.raises(CorpusError) as caught:
        read(*paths, **others)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_an_empty_file_is_refused(tmp_path):
    for kind in WRITERS:
        path = tmp_path / f"a.{kind}"
        path.touch()
        assert refusal(path) == f"file {str(path)!r} is empty; allowed: UTF-8 text"


def test_a_binary_file_is_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"text\n\0\1\2\n")
    said = f"file {str(path)!r} is binary (a zero byte in line 2); allowed: UTF-8 text"
    assert refusal(path) == said


@pytest.mark.parametrize("name", ["a.txt", "a.jsonl"])
def test_a_byte_that_is_not_utf8_is_refused_with_its_place(tmp_path, name):
    """Reports of one bad byte among gigabytes, for which a decoder names no line."""
    path = tmp_path / name
    lines = ["fine", "fine too 🙂", "a café"]
    path.write_bytes("\n".join(lines[:2]).encode() + b"\n" + lines[2].encode("latin-1"))
    if name.endswith("jsonl"):
        rows = [
            json.dumps({"text": line}, ensure_ascii=False).encode("utf-8") for line in lines[:2]
        ]
        path.write_bytes(b"\n".join([*rows, b'{"text": "a caf\xe9"}']))
    place = "line 3, character " + ("16" if name.endswith("jsonl") else "6")
    said = refusal(path)
    assert said.startswith(
        f"file {str(path)!r} is not UTF-8 text: {place}: byte 0xe9; allowed: UTF-8"
    )
    assert "Latin-1" in said


def test_a_file_in_utf16_is_named_as_such(tmp_path):
    """Reports of exports from Windows that no reader of UTF-8 understands."""
    path = tmp_path / "a.txt"
    path.write_text("text", encoding="utf-16")
    assert "UTF-16" in refusal(path)


def test_half_a_character_in_json_is_refused_with_its_line(tmp_path):
    """Reports of crawled text cut inside an emoji: UTF-8 whose JSON spells half of one."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "fine"}\n{"text": "\\ud83d"}\n')
    said = f"file {str(path)!r}, line 2: half a surrogate pair, \\ud83d; allowed: whole characters"
    assert refusal(path) == said


def test_a_file_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    """Reports of disks that fail while a text is read: an error number and no file."""
    path = write_jsonl(tmp_path / "a.jsonl", TEXTS)

    def fail(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(json, "loads", fail)
    assert refusal(path) == f"file {str(path)!r} cannot be read: Input/output error"


def test_an_unknown_suffix_is_refused_with_the_known_ones(tmp_path):
    path = write_txt(tmp_path / "a.csv", TEXTS)
    assert refusal(path) == f"file {str(path)!r}: allowed: .txt, .jsonl, .parquet"


def test_a_missing_column_is_refused_with_the_ones_there_are(tmp_path):
    """Questions of newcomers whose text stands in a field of another name."""
    path = write_parquet(tmp_path / "a.parquet", TEXTS, column="story")
    assert refusal(path) == f"column is 'text'; allowed in {str(path)!r}: one of id, story"
    path = write_jsonl(tmp_path / "a.jsonl", TEXTS, column="story")
    assert refusal(path) == f"column is 'text'; allowed in {str(path)!r}, line 1: one of id, story"


def test_a_value_that_is_no_text_is_refused_with_its_line_or_row(tmp_path):
    """Reports of one number among millions of texts, for which no row is named."""
    path = tmp_path / "a.jsonl"
    for value, kind in (
        (42, "int 42"),
        ({"a": 1}, "dict {'a': 1}"),
        ([], "list []"),
        (True, "bool"),
    ):
        path.write_text(f'{{"text": "fine"}}\n\n{json.dumps({"text": value})}\n')
        said = f"column is 'text'; in file {str(path)!r}, line 3 it holds {kind}"
        assert refusal(path).startswith(said) and refusal(path).endswith("allowed: text")
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": [None] * 2000 + [["a"]]}), path)
    said = f"column is 'text'; in file {str(path)!r}, row 2001 it holds list ['a'], allowed: text"
    assert refusal(path) == said


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON (Expecting property name enclosed in double quotes at character"),
        ("not json", "not JSON (Expecting value at character 1)"),
        ("[1]", "holds list [1]; allowed: a JSON object with 'text'"),
        ('"text"', "holds str 'text'; allowed: a JSON object with 'text'"),
        ('{"text": "a"} x', "not JSON (Extra data at character 15)"),
        ('{"text": "a", "n": ' + "9" * 6000 + "}", "a number too long; allowed: up to 4300 digits"),
        ('{"n": ' + "[" * 99_999 + "]" * 99_999 + "}", "lists or objects nested too deep"),
        ('{"text": "a", "n": 1, "text": "b"}', "two fields 'text'; allowed: one"),
    ],
)
def test_a_bad_line_of_json_is_refused_with_its_number(tmp_path, line, said):
    """Reports of limits of the json library that ended in a traceback without a line."""
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"text": "fine"}}\n\n{line}\n')
    assert refusal(path).startswith(f"file {str(path)!r}, line 3: {said}")


def test_a_word_of_the_text_that_looks_like_its_field_is_no_second_field(tmp_path):
    path = tmp_path / "a.jsonl"
    row = {"text": 'he wrote "text": twice', "more": {"text": "text"}, "tags": ["text"]}
    path.write_text(json.dumps(row))
    assert read(path) == [row["text"]]


def test_two_columns_of_one_name_are_refused(tmp_path):
    """Reports of tables of which a reader takes the first of two equal columns."""
    path = tmp_path / "a.parquet"
    columns = [pa.array(["a"]), pa.array(["b"])]
    pq.write_table(pa.Table.from_arrays(columns, names=["text", "text"]), path)
    assert refusal(path) == f"file {str(path)!r}: two columns 'text'; allowed: one"


def test_a_row_of_parquet_that_is_not_utf8_is_refused_with_its_number(tmp_path):
    path = tmp_path / "a.parquet"
    raw = pa.array([b"fine"] * 1500 + [b"caf\xe9", b"fine"], pa.binary())
    text = pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())
    pq.write_table(pa.table({"text": text}), path)
    said = f"file {str(path)!r}, row 1501: byte 0xe9 is not UTF-8; allowed: UTF-8 text"
    assert refusal(path) == said


@pytest.mark.parametrize("content", [b"no parquet at all", b"PAR1 cut off"])
def test_a_damaged_parquet_is_refused(tmp_path, content):
    path = tmp_path / "a.parquet"
    path.write_bytes(content)
    assert refusal(path).startswith(f"file {str(path)!r} is no readable parquet: ")


def test_a_cut_off_parquet_is_refused(tmp_path):
    path = write_parquet(tmp_path / "a.parquet", TEXTS * 100)
    path.write_bytes(path.read_bytes()[:-20])
    assert refusal(path).startswith(f"file {str(path)!r} is no readable parquet: ")


# --- what is no error and yet said ---


def odd(path: Path, **others) -> dict:
    documents = Documents({"source": "files", "train": [str(path)], **others}, "train")
    list(documents)
    return documents.odd


def test_separators_inside_lines_and_lone_line_ends_are_counted_with_the_first_place(tmp_path):
    """Reports of dumps joined without line ends and of old Macs: one document, silently."""
    path = tmp_path / "a.txt"
    path.write_bytes(
        b"one<|endoftext|>two\n<|endoftext|>\r\nthree\r\n\rfour\n<|endoftext|> and five\n"
    )
    assert odd(path) == {
        "separator_in_line": {"count": 2, "first": f"file {str(path)!r}, line 1"},
        "lone_cr": {"count": 1, "first": f"file {str(path)!r}, line 4"},
    }
    path.write_bytes(b"one\r\n<|endoftext|>\r\ntwo\r\n")
    assert odd(path) == {}


def test_a_text_without_separators_is_said_to_be_one_document(tmp_path):
    """Questions of newcomers with one plain file, of which nothing says what a document is."""
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(f"{name}\n\nmore\n")
    found = odd(tmp_path / "*.txt", validation_share=0.0)
    path = str(tmp_path / "a.txt")
    assert found == {"no_separator": {"count": 2, "first": f"file {path!r}"}}


def test_blank_lines_can_be_the_separator(tmp_path):
    """Wishes for collections of poems and quotes, which have no other mark between them."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"\n\none\ntwo\n\n\r\n \nthree\r\n\nfour")
    documents = Documents(
        {"source": "files", "train": [str(path)], "validation": [str(path)], "separator": ""},
        "train",
    )
    assert list(documents) == ["one\ntwo", "three", "four"]
    assert documents.empty == 0 and documents.odd == {}
