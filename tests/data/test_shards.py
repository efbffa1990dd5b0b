"""Token shards: what is written is read, and what was damaged is refused."""

import hashlib

import numpy as np
import pytest

from bitnet.common.files import whole_file
from bitnet.data.dataloader import open_shard
from bitnet.data.shards import as_split, write_shard
from tests.data.test_tokenizer import NASTY, one_line


def test_a_shard_holds_each_document_between_begin_and_end(tmp_path, stories_data):
    tokenizer = stories_data.tokenizer
    documents = ["One day", "a cat 🙂\nsat", "down."]
    shard = write_shard(documents, tokenizer, tmp_path / "a.bin")
    raw = (tmp_path / "a.bin").read_bytes()
    ids = np.frombuffer(raw, dtype="<u2").tolist()
    expected = []
    for text in documents:
        expected += [1, *tokenizer.model.encode(text), 2]
    assert ids == expected
    assert shard == {
        "file": "a.bin",
        "sha256": hashlib.sha256(raw).hexdigest(),
        "dtype": "uint16",
        "tokens": len(expected),
        "bytes": 7 + (5 + 1 + 4 + 1 + 3) + 5,  # the emoji has four bytes
        "documents": 3,
    }
    assert open_shard(tmp_path, as_split([shard])).tolist() == expected


def test_writing_twice_gives_the_same_shard_bit_for_bit(tmp_path, stories_data):
    documents = [f"Story {i}: {text}" for i in range(200) for text in NASTY]
    tokenizer = stories_data.tokenizer
    first = write_shard(documents, tokenizer, tmp_path / "a.bin")
    second = write_shard(iter(documents), tokenizer, tmp_path / "b.bin")
    assert {**first, "file": ""} == {**second, "file": ""}
    assert first["documents"] == 1600  # several times what is encoded at once
    assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes()


@pytest.mark.parametrize(
    "change", [lambda raw: raw[:-2], lambda raw: raw + b"\0", lambda raw: raw[::-1], None]
)
def test_a_shard_cut_off_grown_changed_or_gone_is_refused(tmp_path, stories_data, change):
    shard = write_shard(["One day"], stories_data.tokenizer, tmp_path / "a.bin")
    raw = (tmp_path / "a.bin").read_bytes()
    (tmp_path / "a.bin").unlink()
    if change is not None:
        (tmp_path / "a.bin").write_bytes(change(raw))
    with pytest.raises(ValueError) as caught:
        open_shard(tmp_path, as_split([shard]))
    assert f"a.bin' is {'missing' if change is None else 'damaged'}" in one_line(caught)


def test_a_shard_with_ids_that_the_model_has_no_embedding_for_is_refused(tmp_path, stories_data):
    shard = write_shard(["One day"], stories_data.tokenizer, tmp_path / "a.bin")
    largest = int(open_shard(tmp_path, as_split([shard]), 512).max())
    with pytest.raises(ValueError) as caught:
        open_shard(tmp_path, as_split([shard]), largest)
    assert f"is {largest}; allowed: below vocab_size = {largest}" in one_line(caught)


def test_a_failure_while_writing_leaves_neither_half_a_shard_nor_the_old_one_harmed(
    tmp_path, stories_data
):
    def broken():
        yield "One day"
        raise OSError("disk on fire")

    path = tmp_path / "a.bin"
    with pytest.raises(OSError, match="fire"):
        write_shard(broken(), stories_data.tokenizer, path)
    assert list(tmp_path.iterdir()) == []
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="fire"), whole_file(path) as beside:
        beside.write_bytes(b"new")
        raise OSError("fire")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
