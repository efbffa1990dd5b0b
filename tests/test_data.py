"""From text to tokens: tokenizer, shards, probe, count models, manifest."""

import hashlib
import json
import math
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bitnet import ngrams, probe
from bitnet.files import whole_file
from bitnet.manifest import make_manifest
from bitnet.references import make_references
from bitnet.shards import batch, open_shard, write_shard
from bitnet.stories import stories
from bitnet.tokenizer import Tokenizer, train_tokenizer

NASTY = [
    "line\nbreak\n\nand\r\nWindows",
    "  spaces  inside   and  at the ends ",
    "\ttabs\tand \u00a0 odd \u3000 spaces",
    "emoji 🙂👩\u200d👩\u200d👧🇫🇷 and e\u0301 é",
    "\0 nul \x7f \x80 controls \u2028",
    "\ufeff mark, \ufffd replacement, \uffff nothing",
    "<s> </s> <unk> <0x0A> literally",
    "漢字 עברית العربية ไทย",
]
MODELS = {
    "mistral_v1_32000.model": 32_000,
    "llama2_32000.model": 32_000,
    "tinystories_tok4096.model": 4_096,
    "tinystories_tok2048.model": 2_048,
}
# SentencePiece writes a space as U+2581, so that letter itself comes back as a space.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\u2581"))


def one_line(caught) -> str:
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- tokenizer ---


@pytest.mark.parametrize("text", NASTY)
def test_any_text_comes_back_from_its_tokens(stories_data, text):
    [ids] = stories_data.tokenizer.encode_documents([text])
    assert stories_data.tokenizer.decode(ids) == text


@given(text=texts)
@example(text="\n")
@example(text="")
def test_tokens_hold_exactly_the_bytes_of_the_text(stories_data, text):
    tokenizer = stories_data.tokenizer
    [ids] = tokenizer.encode_documents([text])
    assert tokenizer.decode(ids) == text
    assert tokenizer.piece_bytes()[ids].sum() == len(text.encode())
    assert (ids[0], ids[-1]) == (1, 2)
    assert not {0, 1, 2} & set(ids[1:-1])


def test_real_stories_come_back_and_hold_their_bytes(stories_data, real_data):
    text = real_data("tinystories_validation_first200.txt").read_text(encoding="utf-8")[:50_000]
    [ids] = stories_data.tokenizer.encode_documents([text])
    assert stories_data.tokenizer.decode(ids) == text
    assert stories_data.tokenizer.piece_bytes()[ids].sum() == len(text.encode())


def test_unknown_begin_and_end_are_0_1_2_and_nothing_else_is_special(stories_data):
    model = stories_data.tokenizer.model
    assert (model.unk_id(), model.bos_id(), model.eos_id(), model.pad_id()) == (0, 1, 2, -1)
    assert [model.id_to_piece(i) for i in (0, 1, 2)] == ["<unk>", "<s>", "</s>"]
    assert [i for i in range(512) if model.is_control(i)] == [1, 2]
    assert sum(model.is_byte(i) for i in range(512)) == 256


def test_the_tokenizer_has_exactly_the_pieces_asked_for(tmp_path, stories_data):
    assert stories_data.tokenizer.vocab_size == 512
    train_tokenizer(NASTY * 20, 400, tmp_path / "t.model")
    assert Tokenizer(tmp_path / "t.model").vocab_size == 400


def test_the_tokenizer_is_byte_pair_encoding_without_normalisation_or_prefix(stories_data):
    model = stories_data.tokenizer.model
    # SentencePiece gives the pieces of BPE the negated order of their merges, of Unigram log odds.
    merged = [i for i in range(512) if len(model.id_to_piece(i)) > 1 and i >= 3 + 256]
    assert [model.get_score(i) for i in merged] == [-float(rank) for rank in range(len(merged))]
    assert len(merged) > 100
    assert model.encode("e\u0301ﬁ²Ａ") != model.encode("éfi2A")  # NFKC would make them one
    assert not model.id_to_piece(model.encode("cat")[0]).startswith("▁")
    assert model.id_to_piece(model.encode(" cat")[0]).startswith("▁")


def test_training_twice_gives_the_same_tokenizer(tmp_path):
    for name in ("a", "b"):
        train_tokenizer(NASTY * 20, 400, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("text", "vocab_size", "message"),
    [
        ("a few words", 299, r"vocab_size is 299; allowed: at least 300 .*"),
        ("ab" * 50, 1000, r"vocab_size is 1000; allowed: at most 2\d\d for this text"),
        # 500 letters, 256 bytes, 3 special pieces
        (
            "".join(chr(0x4E00 + i) for i in range(500)) * 2,
            512,
            r"vocab_size is 512; allowed: at least 7[56]\d: the text's characters",
        ),
    ],
)
def test_a_vocabulary_that_the_text_cannot_fill_or_that_cannot_hold_it_is_refused(
    tmp_path, text, vocab_size, message
):
    with pytest.raises(ValueError, match=f"^{message}$") as caught:
        train_tokenizer([text], vocab_size, tmp_path / "t.model")
    one_line(caught)
    assert list(tmp_path.iterdir()) == []


def test_the_least_and_the_most_that_a_refusal_names_are_enough(tmp_path):
    poor, rich = ["abcdefgh " * 9], ["".join(chr(0x4E00 + i) for i in range(500)) * 2]
    for text, wrong in ((poor, 100_000), (rich, 512)):
        with pytest.raises(ValueError) as caught:
            train_tokenizer(text, wrong, tmp_path / "t.model")
        words = one_line(caught).replace(":", " ").split()
        allowed = int(words[words.index("allowed") + 3])
        if allowed >= 300:
            train_tokenizer(text, allowed, tmp_path / "t.model")
            assert Tokenizer(tmp_path / "t.model").vocab_size == allowed
        else:
            assert text is poor


def test_long_lines_are_not_dropped_by_the_training(tmp_path):
    # SentencePiece leaves out sentences over its limit: the pair "xy" occurs only there.
    train_tokenizer(["xy" * 50_000, *NASTY], 320, tmp_path / "t.model")
    [ids] = Tokenizer(tmp_path / "t.model").encode_documents(["xyxyxyxy"])
    assert len(ids) < 2 + 8


@pytest.mark.parametrize(("name", "vocab_size"), MODELS.items())
def test_existing_models_load_and_count_bytes(real_data, name, vocab_size):
    tokenizer = Tokenizer(real_data(f"tokenizers/{name}"))
    assert tokenizer.vocab_size == vocab_size
    assert len(tokenizer.piece_bytes()) == vocab_size
    text = "One day, a cat 🙂\nsat down."
    [ids] = tokenizer.encode_documents([text])
    assert (ids[0], ids[-1]) == (1, 2)
    assert tokenizer.decode(ids) == text
    # These models were made with SentencePiece's dummy prefix: one space more at the beginning.
    assert tokenizer.piece_bytes()[ids].sum() == len(text.encode()) + 1


@pytest.mark.parametrize("content", [b"", b"no model", b"\x0a\x0b" * 100, None])
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "t.model"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        Tokenizer(path)
    assert one_line(caught) == f"tokenizer is {str(path)!r}; allowed: a SentencePiece model"


# --- shards ---


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
    assert open_shard(tmp_path, shard).tolist() == expected


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
        open_shard(tmp_path, shard)
    assert f"a.bin' is {'missing' if change is None else 'damaged'}" in one_line(caught)


def test_a_shard_with_ids_that_the_model_has_no_embedding_for_is_refused(tmp_path, stories_data):
    shard = write_shard(["One day"], stories_data.tokenizer, tmp_path / "a.bin")
    largest = int(open_shard(tmp_path, shard, 512).max())
    with pytest.raises(ValueError) as caught:
        open_shard(tmp_path, shard, largest)
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


# --- probe ---


@pytest.mark.parametrize(
    ("length", "count"), [(32, 128), (64, 64), (128, 32), (100, 41), (1, 4096), (5000, 1)]
)
@pytest.mark.parametrize("extra", [0, 1, 777, 100_000])
def test_the_probe_has_4096_positions_in_windows_apart_within_the_shard(length, count, extra):
    tokens = count * length + 1 + extra
    placed = probe.place(tokens, length)
    shard = np.arange(tokens)
    rows = probe.windows(shard, placed)
    assert rows.shape == (count, length + 1)
    assert rows.max() < tokens
    inputs, targets = probe.inputs_and_targets(shard, placed)
    assert len(inputs) == len(targets) == placed["positions"] == 4096
    assert len(set(inputs.tolist())) == 4096  # no position twice
    assert (targets == inputs + 1).all()
    assert (np.diff(placed["starts"]) >= length).all()


@given(st.integers(1, 300), st.integers(0, 10**6))
def test_windows_never_overlap_and_reach_the_shards_last_part(length, extra):
    count = math.ceil(4096 / length)
    tokens = count * length + 1 + extra
    starts = probe.place(tokens, length)["starts"]
    assert starts[0] == 0
    assert len(starts) == count
    assert all(b - a >= length for a, b in pairwise(starts))
    assert starts[-1] + length + 1 <= tokens
    assert tokens - starts[-1] <= 2 * tokens / count + 1  # spread, not crowded at the start


@pytest.mark.parametrize(("length", "needed"), [(32, 4097), (100, 4101)])
def test_too_small_a_validation_split_is_refused_with_what_it_needs(length, needed):
    probe.place(needed, length)
    with pytest.raises(ValueError) as caught:
        probe.place(needed - 1, length)
    assert one_line(caught) == (
        f"validation split is '{needed - 1} tokens'; allowed: at least {needed} for the probe"
    )


# --- count models ---


def test_references_equal_a_calculation_by_hand():
    # Text a b a b a c over {a, b, c, d} = {0, 1, 2, 3}; window a b a, so contexts (a), (a b).
    train, windows = np.array([0, 1, 0, 1, 0, 2]), np.array([[0, 1, 0]])
    found = ngrams.references(train, windows, positions=2, vocab_size=4)
    unigram = [4 / 10, 3 / 10, 2 / 10, 1 / 10]  # add one: (3, 2, 1, 0) + 1 of 6 + 4
    assert found["unigram"]["loss"] == pytest.approx(-math.log(0.3 * 0.4) / 2)
    assert found["unigram"]["predictions"].tolist() == [0, 0]
    # Witten & Bell 1991. After a: b, b, c, two kinds. After b: a, a, one kind.
    b_after_a = (2 + 2 * unigram[1]) / (3 + 2)
    a_after_b = (2 + 1 * unigram[0]) / (2 + 1)
    assert found["bigram"]["loss"] == pytest.approx(-math.log(b_after_a * a_after_b) / 2)
    assert found["bigram"]["predictions"].tolist() == [1, 0]
    # Nothing stands before the first a: the bigram. After a b: a, a, one kind.
    a_after_a_b = (2 + 1 * a_after_b) / (2 + 1)
    assert found["trigram"]["loss"] == pytest.approx(-math.log(b_after_a * a_after_a_b) / 2)
    assert found["trigram"]["predictions"].tolist() == [1, 0]


def test_after_a_context_never_seen_the_lower_order_stands_in():
    train = np.array([0, 1, 0, 1, 0, 2])
    unknown_one = ngrams.references(train, np.array([[3, 0]]), 1, 4)
    assert unknown_one["bigram"]["loss"] == pytest.approx(-math.log(0.4))
    # (2, 0) never occurred: after 0, as the bigram says it, comes 1; position 1 of the window
    found = ngrams.references(train, np.array([[2, 0, 1]]), 2, 4)
    assert found["trigram"]["loss"] == pytest.approx(found["bigram"]["loss"])
    assert found["trigram"]["predictions"].tolist() == found["bigram"]["predictions"].tolist()


def test_only_the_probes_positions_count():
    train = np.array([0, 1, 0, 1, 0, 2])
    two = ngrams.references(train, np.array([[0, 1, 0]]), 2, 4)
    longer = ngrams.references(train, np.array([[0, 1, 0], [2, 3, 3]]), 2, 4)
    for order in two:
        assert longer[order]["loss"] == two[order]["loss"]
        assert len(longer[order]["predictions"]) == 2


@given(
    st.lists(st.integers(0, 5), min_size=4, max_size=60),
    st.lists(st.integers(0, 5), min_size=4, max_size=4),
)
def test_every_order_is_a_distribution_over_the_vocabulary(train, context):
    # Losses of all targets after one context: their probabilities must add up to one.
    for order in ("unigram", "bigram", "trigram"):
        total = 0.0
        for target in range(6):
            window = np.array([[*context[:2], target]])
            both = ngrams.references(np.array(train), window, 2, 6)[order]["loss"]
            first = ngrams.references(np.array(train), window[:, :2], 1, 6)[order]["loss"]
            total += math.exp(-(2 * both - first))
        assert total == pytest.approx(1.0)


def test_higher_orders_learn_what_only_they_can_see():
    # Period 4: after 0 comes 1 or 2 by what stood before; a trigram knows, a bigram cannot.
    train = np.array([0, 1, 0, 2] * 5_000)
    rows = train[: 4 * 20 + 1][np.arange(20)[:, None] * 4 + np.arange(5)]
    found = ngrams.references(train, rows, 80, 3)
    assert found["trigram"]["loss"] < found["bigram"]["loss"] < found["unigram"]["loss"]
    # Of four tokens in 0 1 0 2 the unigram pays 1.5 bits each; the bigram one bit at the two that
    # follow a 0; the trigram only at the window's first, where it is the bigram.
    assert found["unigram"]["loss"] == pytest.approx(1.5 * math.log(2), rel=0.01)
    assert found["bigram"]["loss"] == pytest.approx(0.5 * math.log(2), rel=0.01)
    assert found["trigram"]["loss"] == pytest.approx(0.25 * math.log(2), rel=0.01)


# --- manifest ---


def test_the_manifest_describes_shards_and_probe(stories_data):
    manifest, tokenizer = stories_data.manifest, stories_data.tokenizer
    assert manifest.items() >= stories_data.shards.items()
    shard = open_shard(stories_data.folder, manifest["validation"])
    _, targets = probe.inputs_and_targets(shard, manifest["probe"])
    pieces = [tokenizer.model.id_to_piece(int(i)) for i in targets]
    sizes = [
        0 if p in ("<s>", "</s>") else 1 if p.startswith("<0x") else len(p.replace("▁", " "))
        for p in pieces
    ]  # the stories are ASCII
    assert manifest["probe"]["bytes"] == sum(sizes)
    assert manifest["probe"]["positions"] == 4096
    assert json.loads(json.dumps(manifest)) == manifest


def test_references_at_the_stories_probe_grow_better_with_each_order(stories_data):
    found = make_references(stories_data.folder, stories_data.manifest)["references"]
    losses = [found[order]["loss"] for order in ("unigram", "bigram", "trigram")]
    assert math.log(512) > losses[0] > losses[1] > losses[2] > 0
    assert found["unigram"]["unique_predictions"] == 1
    shard = open_shard(stories_data.folder, stories_data.manifest["validation"])
    _, targets = probe.inputs_and_targets(shard, stories_data.manifest["probe"])
    shares = np.unique(targets, return_counts=True)[1] / 4096
    # One prediction everywhere has a diversity of 1; that of the targets is exp(entropy).
    assert found["unigram"]["pdr"] == pytest.approx(math.exp((shares * np.log(shares)).sum()))


def test_the_stories_are_not_blind(tmp_path):
    train, validation = (list(islice(stories(0, split), 400)) for split in ("train", "validation"))
    train_tokenizer(train, 1024, tmp_path / "t.model")
    tokenizer = Tokenizer(tmp_path / "t.model")
    shards = {
        "vocab_size": 1024,
        "train": write_shard(train, tokenizer, tmp_path / "train.bin"),
        "validation": write_shard(validation[:75], tokenizer, tmp_path / "validation.bin"),
    }
    found = make_references(tmp_path, make_manifest(tmp_path, shards, tokenizer, 32))
    assert found["blind"] is False
    assert found["references"]["bigram"]["unique_predictions"] >= 150


def token_set(folder, tokenizer, train: np.ndarray, validation: np.ndarray) -> dict:
    """A description of these very tokens."""
    shards = {"vocab_size": tokenizer.vocab_size, "tokenizer_sha256": "0" * 64}
    for split, tokens in (("train", train), ("validation", validation)):
        raw = tokens.astype(np.uint16).tobytes()
        (folder / f"{split}.bin").write_bytes(raw)
        shards[split] = {
            "file": f"{split}.bin",
            "sha256": hashlib.sha256(raw).hexdigest(),
            "dtype": "uint16",
            "tokens": len(tokens),
        }
    return shards


def test_a_corpus_of_independent_slots_is_blind(tmp_path, stories_data):
    # Fixed frames around words drawn independently from 100 each: most targets differ, yet the
    # likeliest next token is the same everywhere.
    rng = np.random.default_rng(0)
    weights = 1 / np.arange(1, 101)

    def text(count: int) -> np.ndarray:
        words = rng.choice(100, size=(count, 4), p=weights / weights.sum())
        return (words + np.array([3, 103, 203, 303])).reshape(-1)

    tokenizer = stories_data.tokenizer
    shards = token_set(tmp_path, tokenizer, text(20_000), text(2_000))
    manifest = make_manifest(tmp_path, shards, tokenizer, 32)
    found = make_references(tmp_path, manifest)
    assert found["blind"] is True
    _, targets = probe.inputs_and_targets(
        open_shard(tmp_path, shards["validation"]), manifest["probe"]
    )
    assert len(np.unique(targets)) > 300
    assert found["references"]["bigram"]["unique_predictions"] < 30  # 4 if counts were exact


def test_the_manifests_hash_changes_with_any_token_the_tokenizer_and_the_probe(
    tmp_path, stories_data
):
    rng = np.random.default_rng(0)
    tokenizer = stories_data.tokenizer
    tokens = {"train": rng.integers(3, 512, 5_000), "validation": rng.integers(3, 512, 5_000)}

    def digest(length: int = 32, **changes) -> str:
        shards = token_set(tmp_path, tokenizer, **tokens)
        return make_manifest(tmp_path, {**shards, **changes}, tokenizer, length)["sha256"]

    seen = [digest()]
    assert digest() == seen[0]
    for split in ("train", "validation"):
        tokens[split][-1] = 3 + (tokens[split][-1] + 1) % 500
        seen.append(digest())
    seen += [digest(length=16), digest(tokenizer_sha256="1" * 64)]
    assert len(set(seen)) == len(seen)


def test_a_training_split_shorter_than_a_window_is_refused(tmp_path, stories_data):
    tokenizer = stories_data.tokenizer
    shards = token_set(tmp_path, tokenizer, np.arange(3, 36), np.arange(5_000) % 500)
    with pytest.raises(ValueError) as caught:
        make_manifest(tmp_path, shards, tokenizer, 32)
    assert one_line(caught) == ("train split is '33 tokens'; allowed: at least 34 (one window)")
