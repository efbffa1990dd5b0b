"""What a data set says of itself: probe, count models, manifest."""

import hashlib
import json
import math
from itertools import islice, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitnet.data import probe
from bitnet.data.dataloader import open_shard
from bitnet.data.manifest import make_manifest
from bitnet.data.shards import as_split, write_shard
from bitnet.data.stories.grammar import stories
from bitnet.data.tokenizer import Tokenizer
from bitnet.data.tokenizer_training import train_tokenizer
from bitnet.evaluation import baselines
from bitnet.evaluation.baselines import make_references
from tests.data.test_tokenizer import one_line

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
    found = baselines.count_models(train, windows, positions=2, vocab_size=4)
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
    unknown_one = baselines.count_models(train, np.array([[3, 0]]), 1, 4)
    assert unknown_one["bigram"]["loss"] == pytest.approx(-math.log(0.4))
    # (2, 0) never occurred: after 0, as the bigram says it, comes 1; position 1 of the window
    found = baselines.count_models(train, np.array([[2, 0, 1]]), 2, 4)
    assert found["trigram"]["loss"] == pytest.approx(found["bigram"]["loss"])
    assert found["trigram"]["predictions"].tolist() == found["bigram"]["predictions"].tolist()


def test_only_the_probes_positions_count():
    train = np.array([0, 1, 0, 1, 0, 2])
    two = baselines.count_models(train, np.array([[0, 1, 0]]), 2, 4)
    longer = baselines.count_models(train, np.array([[0, 1, 0], [2, 3, 3]]), 2, 4)
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
            both = baselines.count_models(np.array(train), window, 2, 6)[order]["loss"]
            first = baselines.count_models(np.array(train), window[:, :2], 1, 6)[order]["loss"]
            total += math.exp(-(2 * both - first))
        assert total == pytest.approx(1.0)


def test_higher_orders_learn_what_only_they_can_see():
    # Period 4: after 0 comes 1 or 2 by what stood before; a trigram knows, a bigram cannot.
    train = np.array([0, 1, 0, 2] * 5_000)
    rows = train[: 4 * 20 + 1][np.arange(20)[:, None] * 4 + np.arange(5)]
    found = baselines.count_models(train, rows, 80, 3)
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
    found = make_references(stories_data.folder, stories_data.manifest, {})["references"]
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
        "train": as_split([write_shard(train, tokenizer, tmp_path / "train.bin")]),
        "validation": as_split(
            [write_shard(validation[:75], tokenizer, tmp_path / "validation.bin")]
        ),
    }
    found = make_references(tmp_path, make_manifest(tmp_path, shards, tokenizer, 32), {})
    assert found["blind"] is False
    assert found["references"]["bigram"]["unique_predictions"] >= 150


def token_set(folder, tokenizer, train: np.ndarray, validation: np.ndarray) -> dict:
    """A description of these very tokens."""
    shards = {"vocab_size": tokenizer.vocab_size, "tokenizer_sha256": "0" * 64}
    for split, tokens in (("train", train), ("validation", validation)):
        raw = tokens.astype(np.uint16).tobytes()
        (folder / f"{split}.bin").write_bytes(raw)
        shard = {"file": f"{split}.bin", "sha256": hashlib.sha256(raw).hexdigest()}
        shard |= {"dtype": "uint16", "tokens": len(tokens), "bytes": 0, "documents": 0}
        shards[split] = as_split([shard])
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
    found = make_references(tmp_path, manifest, {})
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
