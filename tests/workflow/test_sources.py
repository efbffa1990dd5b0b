"""Source files known by content: digests, what is listed of them, what the script `text` says."""

import json
import os
from pathlib import Path

import pytest

from bitnet.common.errors import CorpusError
from bitnet.common.files import read_json
from workflow.helpers.remarks import remarks
from workflow.provenance import sources
from workflow.provenance.sources import Digests, differing, identity, list_sources
from workflow.scripts import text

WORDS = ["the", "fox", "ran", "over", "old", "red", "hills", "and", "under", "new", "blue", "trees"]


def documents(count: int, seed: int = 0) -> str:
    """Different documents of a few words each, with separators."""
    texts = (
        " ".join(f"{word}{'s' * (i * (j + 3 + seed) % 7 % 2)}" for j, word in enumerate(WORDS * 4))
        + f" {i} {i * 37 % 89}."
        for i in range(count)
    )
    return "\n<|endoftext|>\n".join(texts)


def put(path: Path, content: str, date: float | None = None) -> None:
    """Replace a file by a new one, of an old date if one is given, as mv, cp -p and rsync -a do."""
    beside = path.with_name("beside")
    beside.write_text(content, encoding="utf-8")
    if date:
        os.utime(beside, (date, date))
    os.replace(beside, path)


@pytest.fixture
def hashed(monkeypatch) -> list[str]:
    """Names of the files whose bytes were read."""
    read, sha256 = [], sources.sha256
    monkeypatch.setattr(
        sources, "sha256", lambda path: read.append(Path(path).name) or sha256(path)
    )
    return read


def test_a_digest_is_computed_once_and_again_for_every_way_to_change_a_file(tmp_path, hashed):
    """Reports of caches by date alone, which a copy with an old date passes by."""
    path, store = tmp_path / "a.txt", tmp_path / "data/digests.json"

    def digest() -> str:
        digests = Digests(store)
        found = digests.of(path)
        digests.keep()
        assert found["size"] == path.stat().st_size
        return found["sha256"]

    put(path, "one", date=1e9)
    first = digest()
    assert digest() == first and hashed == ["a.txt"]
    put(path, "two", date=1e9)  # of the same size and date
    assert digest() != first and len(hashed) == 2
    before = path.stat()
    path.write_text("ten", encoding="utf-8")  # in the same inode
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    third = digest()
    assert third != first and len(hashed) == 3
    os.utime(path)  # a new date, the same content
    assert digest() == third and len(hashed) == 4 and digest() == third and len(hashed) == 4


@pytest.mark.parametrize("damage", [b"", b"\xff\xfe", b"{}", b'{"files": 3}', None])
def test_a_damaged_store_of_digests_costs_time_only(tmp_path, hashed, damage):
    (tmp_path / "a.txt").write_text("one", encoding="utf-8")
    store = tmp_path / "digests.json"
    store.mkdir() if damage is None else store.write_bytes(damage)
    for _ in range(2):
        digests = Digests(store)
        assert len(digests.of(tmp_path / "a.txt")["sha256"]) == 64
        digests.keep()
    assert hashed == ["a.txt"] * (2 if damage is None else 1)


def test_sources_are_listed_by_split_and_identified_by_content_and_order(tmp_path):
    for name in ("a.txt", "b.txt", "v.txt"):
        (tmp_path / name).write_text(name, encoding="utf-8")
    source = {"source": "files", "train": [f"{tmp_path}/[ab].txt"]}
    source["validation"] = [f"{tmp_path}/v.txt"]
    listed = list_sources(source, Digests())
    assert [file["name"] for file in listed["train"]] == ["a.txt", "b.txt"]
    assert {*listed["validation"][0]} == {"name", "size", "sha256"}
    first = identity(listed)
    os.replace(tmp_path / "a.txt", tmp_path / "aa.txt")
    source["train"] = [f"{tmp_path}/aa.txt", f"{tmp_path}/b.txt"]
    assert identity(list_sources(source, Digests())) == first  # renamed
    put(tmp_path / "b.txt", "other")
    changed = list_sources(source, Digests())
    assert identity(changed) != first
    assert differing(listed, changed) == "'a.txt', 'aa.txt', 'b.txt'"
    swapped = {**listed, "train": listed["train"][::-1]}
    assert identity(swapped) != first
    other_kind = [{**file, "name": f"{file['name']}.jsonl"} for file in listed["train"]]
    assert identity({**listed, "train": other_kind}) != first
    (tmp_path / "v.txt").unlink()
    with pytest.raises(CorpusError, match="matches a file"):
        list_sources(source, Digests())


# --- the script ---


def take(folder: Path, **source) -> dict:
    block = {"source": "files", "train_bytes": 10**6, "validation_bytes": 10**6, **source}
    text.main(["--source", json.dumps(block), "--output", str(folder / "text.json")])
    return read_json(folder / "text.json")


def test_files_that_were_edited_since_the_pipeline_began_are_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text(documents(50), encoding="utf-8")
    source = {"source": "files", "train": [str(path)], "train_bytes": 9999, "validation_bytes": 999}
    flags = ["--source", json.dumps(source), "--output", str(tmp_path / "out/text.json")]
    known = identity(list_sources(source, Digests()))
    text.main([*flags, "--sources", known])
    put(path, documents(50, seed=1))
    with pytest.raises(ValueError, match="edited while the pipeline ran"):
        text.main([*flags, "--sources", known])


def test_parts_of_other_files_of_the_same_name_are_not_kept(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    monkeypatch.setattr(text, "settle", lambda *_: None)  # as if it was killed at the very end
    path.write_text(documents(300), encoding="utf-8")
    take(tmp_path / "out", train=[str(path)], part_bytes=5_000)
    put(path, documents(300, seed=1))
    found = take(tmp_path / "out", train=[str(path)], part_bytes=5_000)
    assert found == take(tmp_path / "clean", train=[str(path)], part_bytes=5_000)


def test_what_is_odd_in_a_text_is_said_once_and_described(tmp_path, capsys):
    """Reports of corpora with repeats, marks of their own and separators that separate nothing."""
    path = tmp_path / "a.txt"
    texts = documents(40).split("\n<|endoftext|>\n")
    texts[3] = texts[4] = "the same   document"
    texts[5] = "the same document"
    texts[6] += " \u2581\u2582"
    texts[7] += "<|endoftext|>more"
    path.write_text("\n<|endoftext|>\n".join(texts), encoding="utf-8")
    held_out = tmp_path / "v.txt"
    held_out.write_text("one\n<|endoftext|>\ntwo", encoding="utf-8")
    found = take(tmp_path / "out", train=[str(path)], validation=[str(held_out)])
    assert (found["train"]["documents"], found["train"]["repeated"]) == (40, 2)
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 3 and said == remarks(
        found, {"separator": "<|endoftext|>", **found["made_from"]["source"]}
    )
    assert said[0].startswith(f"file {str(path)!r}, line 15: the separator stands inside a line")
    assert said[1] == "2 of 40 training documents repeat an earlier one"
    assert said[2].startswith("1 documents hold the sign U+2581")
    whole = tmp_path / "whole.txt"
    whole.write_text("one line\n" * 100, encoding="utf-8")
    take(tmp_path / "one", train=[str(whole)])
    [said] = capsys.readouterr().err.splitlines()
    for word in ("one document", "validation_share 0.1", "`validation`", "'<|endoftext|>'", '""'):
        assert word in said


def test_documents_that_are_all_held_out_are_said_to_be(tmp_path):
    """Questions of newcomers with a copy of the training file as validation file."""
    for name in ("a.txt", "copy.txt"):
        (tmp_path / name).write_text(documents(9), encoding="utf-8")
    files = {"train": [f"{tmp_path}/a.txt"], "validation": [f"{tmp_path}/copy.txt"]}
    with pytest.raises(CorpusError) as caught:
        take(tmp_path / "out", **files)
    assert "only documents that are held out, 9 of them" in str(caught.value)
