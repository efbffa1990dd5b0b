"""Token shards and batches: what is written is read, and a batch is of its seed and step."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitnet.common.files import whole_file
from bitnet.data.dataloader import batch, open_shard
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


# --- batches ---


@given(
    tokens=st.integers(10, 500),
    length=st.integers(1, 9),
    size=st.integers(1, 20),
    seed=st.integers(0, 2**32),
    step=st.integers(0, 2**32),
)
def test_a_batch_is_consecutive_tokens_of_the_shard(tokens, length, size, seed, step):
    rows = batch(np.arange(1000, 1000 + tokens, dtype=np.uint16), seed, step, size, length)
    assert rows.shape == (size, length + 1)
    assert rows.dtype == np.int64
    assert (np.diff(rows, axis=1) == 1).all()  # each target is the next token of its input
    assert rows.min() >= 1000
    assert rows.max() < 1000 + tokens


def test_every_window_of_the_shard_can_be_drawn():
    tokens = np.arange(12)
    starts = {int(row[0]) for step in range(50) for row in batch(tokens, 0, step, 8, 4)}
    assert starts == set(range(12 - 4))


def test_a_batch_depends_on_seed_and_step_alone():
    tokens = np.arange(10_000)
    alone = batch(tokens, 3, 70, 16, 8)
    for step in range(70):  # what was trained before does not matter
        batch(tokens, 3, step, 16, 8)
    np.random.seed(0)  # whatever happens to the global generator
    assert (batch(tokens, 3, 70, 16, 8) == alone).all()
    assert (batch(tokens, 3, 71, 16, 8) != alone).any()
    assert (batch(tokens, 4, 70, 16, 8) != alone).any()
    assert (batch(tokens, 70, 3, 16, 8) != alone).any()


def test_shuffled_batches_have_the_texts_frequencies_and_none_of_its_order():
    tokens = np.tile(np.array([1, 2, 3, 3]), 2_500)  # after a 1 comes a 2, always
    rows = np.concatenate([batch(tokens, 0, step, 16, 64, shuffled=True) for step in range(50)])
    assert rows.shape == (50 * 16, 65)
    shares = np.bincount(rows.ravel())[1:] / rows.size
    np.testing.assert_allclose(shares, [0.25, 0.25, 0.5], atol=0.01)
    after = rows[:, 1:][rows[:, :-1] == 1]  # over 10,000 of them
    np.testing.assert_allclose(np.bincount(after)[1:] / len(after), shares, atol=0.02)
    assert (rows[:16] == batch(tokens, 0, 0, 16, 64, shuffled=True)).all()
