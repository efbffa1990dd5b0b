"""Sources of text: local files of three kinds, their splits, what is refused."""

import json
from itertools import islice
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitnet.data.corpora import Documents
from bitnet.data.holdout import document_hash, in_validation

TEXTS = ["One day, a cat\nsat down.", "Émile a dit « oui » 🙂", "Third, with  two spaces "]
ROOT = Path(__file__).parents[2]


def write_txt(path: Path, texts: list[str], separator: str = "<|endoftext|>") -> Path:
    path.write_bytes(f"\n{separator}\n".join(texts).encode())
    return path


def write_jsonl(path: Path, texts: list[str], column: str = "text") -> Path:
    lines = [json.dumps({"id": i, column: text}) for i, text in enumerate(texts)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def write_parquet(path: Path, texts: list[str], column: str = "text") -> Path:
    pq.write_table(pa.table({"id": range(len(texts)), column: texts}), path)
    return path


WRITERS = {"txt": write_txt, "jsonl": write_jsonl, "parquet": write_parquet}


def read(*paths: Path, split: str = "train", **others) -> list[str]:
    """Documents of files whose validation split is given too: nothing is held out by hash."""
    patterns = [str(path) for path in paths]
    source = {"source": "files", "train": patterns, "validation": patterns, **others}
    return list(Documents(source, split))


# --- readers ---


@pytest.mark.parametrize("kind", WRITERS)
def test_documents_come_back_as_they_were_written(tmp_path, kind):
    assert read(WRITERS[kind](tmp_path / f"a.{kind}", TEXTS)) == TEXTS


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_the_column_can_be_chosen(tmp_path, kind):
    path = WRITERS[kind](tmp_path / f"a.{kind}", TEXTS, column="story")
    assert read(path, column="story") == TEXTS


@pytest.mark.parametrize("kind", WRITERS)
def test_empty_documents_are_left_out(tmp_path, kind):
    path = WRITERS[kind](tmp_path / f"a.{kind}", ["", TEXTS[0], " \n ", TEXTS[1], ""])
    assert read(path) == TEXTS[:2]


def test_the_separator_of_text_files_is_a_line_of_its_own(tmp_path):
    path = write_txt(tmp_path / "a.txt", ["first", "second -- third", "fourth"], separator="--")
    assert read(path, separator="--") == ["first", "second -- third", "fourth"]


def test_a_text_file_without_separators_is_one_document(tmp_path):
    (tmp_path / "a.txt").write_text("\nfirst\n\nsecond\n", encoding="utf-8")
    assert read(tmp_path / "a.txt") == ["first\n\nsecond"]


def test_files_from_windows_lose_their_byte_order_mark_and_outer_line_ends(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"\xef\xbb\xbfone\r\ntwo\r\n<|endoftext|>\r\nthree\r\n")
    (tmp_path / "a.jsonl").write_bytes(b'\xef\xbb\xbf{"text": "four"}\r\n\r\n')
    assert read(tmp_path / "a.txt") == ["one\r\ntwo", "three"]
    assert read(tmp_path / "a.jsonl") == ["four"]


def test_files_are_read_once_each_and_sorted_whatever_the_order_of_patterns(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("b.txt", "a.txt", "sub/c.txt"):
        write_txt(tmp_path / name, [name])
    (tmp_path / "d.txt").mkdir()  # matches the pattern, but is no file
    assert read(tmp_path / "**/*.txt", tmp_path / "b.txt") == ["a.txt", "b.txt", "sub/c.txt"]


def test_kinds_of_files_can_be_mixed(tmp_path):
    paths = [write(tmp_path / f"{kind}.{kind}", [kind]) for kind, write in WRITERS.items()]
    assert read(*paths) == ["jsonl", "parquet", "txt"]


def test_null_is_an_empty_document(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": null}\n{"text": "x"}\n')
    pq.write_table(pa.table({"text": [None, "y"]}), tmp_path / "b.parquet")
    assert read(tmp_path / "a.jsonl", tmp_path / "b.parquet") == ["x", "y"]


def test_the_stories_have_two_different_endless_splits():
    train, validation = (
        list(islice(Documents({"source": "stories"}, split), 20))
        for split in ("train", "validation")
    )
    assert len({*train, *validation}) == 40
    assert train != list(islice(Documents({"source": "stories", "seed": 1}, "train"), 20))


# --- real files ---


@pytest.mark.parametrize(
    ("name", "count", "size"),
    [  # documents and bytes of text as SOURCES.md counts them
        ("tinystories_validation_sample.parquet", 800, 629_090),
        ("fineweb_edu_validation_sample.parquet", 501, 2_533_628),
        ("tinyshakespeare.txt", 1, 1_115_393),  # without the newline at its end
    ],
)
def test_real_files_hold_the_documents_they_are_said_to_hold(real_data, name, count, size):
    texts = read(real_data(name))
    assert len(texts) == count
    assert sum(len(text.encode()) for text in texts) == size


@pytest.mark.parametrize(
    ("name", "parquet"),
    [
        ("tinystories_validation_first200.txt", "tinystories_validation_sample.parquet"),
        ("fineweb_edu_validation_first50.jsonl", "fineweb_edu_validation_sample.parquet"),
    ],
)
def test_the_same_real_documents_come_out_of_every_kind_of_file(real_data, name, parquet):
    texts = read(real_data(name))
    rows = pq.read_table(real_data(parquet))["text"].to_pylist()[: len(texts)]
    assert len(texts) in (50, 200)
    assert [text.strip("\n") for text in texts] == [row.strip("\n") for row in rows]


# --- splits ---


def test_without_validation_files_the_splits_are_disjoint_and_lose_nothing(tmp_path):
    texts = [f"document {i}" for i in range(3000)]
    source = {"source": "files", "train": [str(write_jsonl(tmp_path / "a.jsonl", texts))]}
    train, validation = (list(Documents(source, split)) for split in ("train", "validation"))
    assert not set(train) & set(validation)
    assert sorted(train + validation) == sorted(texts)
    assert 300 * 0.8 < len(validation) < 300 * 1.2  # a tenth; five standard deviations
    assert validation == list(Documents(source, "validation"))


def test_a_document_keeps_its_split_whatever_stands_around_it(tmp_path):
    texts = [f"document {i}" for i in range(400)]
    whole = {"source": "files", "train": [str(write_jsonl(tmp_path / "a.jsonl", texts))]}
    half = {"source": "files", "train": [str(write_txt(tmp_path / "b.txt", texts[::-2]))]}
    for split in ("train", "validation"):
        assert set(Documents(half, split)) == set(Documents(whole, split)) & set(texts[::-2])


def test_given_validation_files_are_the_validation_split(tmp_path):
    write_txt(tmp_path / "train.txt", ["a", "b"])
    write_txt(tmp_path / "validation.txt", ["c"])
    source = {
        "source": "files",
        "train": [str(tmp_path / "train.txt")],
        "validation": [str(tmp_path / "validation.txt")],
    }
    assert list(Documents(source, "train")) == ["a", "b"]
    assert list(Documents(source, "validation")) == ["c"]


@given(st.text(st.characters(exclude_categories=["Cs"])), st.floats(0, 1))
def test_more_held_out_holds_out_all_that_less_did(text, share):
    assert in_validation(text, share) <= in_validation(text, (1 + share) / 2)
    assert not in_validation(text, 0.0)
    assert in_validation(text, 1.0)


def test_white_space_does_not_make_another_document():
    assert document_hash("a  b\n c ") == document_hash("a b c")
    assert document_hash("a b c") != document_hash("ab c")
