"""How much of a probe stands in the training text.

Of the kind: benchmarks whose test text was found in the training text only after publication.
"""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from bitnet.common.files import checksum
from bitnet.data import overlap
from bitnet.data.manifest import make_manifest
from tests.data.test_manifest import token_set


def by_looking(train: np.ndarray, rows: np.ndarray, run: int) -> int:
    """The same count by comparing texts of ids."""
    text = " " + " ".join(map(str, train)) + " "

    def stands(row) -> bool:
        runs = (row[i : i + run] for i in range(len(row) - run + 1))
        return any(" " + " ".join(map(str, part)) + " " in text for part in runs)

    return sum(map(stands, rows))


@settings(max_examples=200)
@given(st.integers(0, 10_000), st.integers(1, 60), st.integers(0, 300), st.integers(2, 4))
def test_the_count_is_that_of_looking_every_run_up(seed, width, tokens, kinds):
    # Few kinds of tokens make short runs stand in the text by chance, long ones seldom.
    rng = np.random.default_rng(seed)
    train = rng.integers(0, kinds, tokens).astype(np.uint16)
    rows = rng.integers(0, kinds, (5, width))
    if tokens > width:
        rows[2] = train[tokens - width :]  # the last run of the text
    run = min(overlap.RUN, width)
    found = overlap.seen_windows(train, rows)
    assert found == {"run": run, "windows": by_looking(train, rows, run), "of": 5}


def test_fifty_tokens_anywhere_in_a_window_count_and_forty_nine_do_not(monkeypatch):
    monkeypatch.setattr(overlap, "CHUNK", 64)  # runs lie across the pieces of the text
    rng = np.random.default_rng(1)
    train, rows = rng.integers(0, 30_000, 1_000), rng.integers(30_000, 60_000, (4, 129))
    rows[1, 20:70] = train[30:80]
    rows[2, 79:] = train[950:]
    rows[3, 20:69] = train[300:349]
    assert overlap.seen_windows(train, rows) == {"run": 50, "windows": 2, "of": 4}


def test_a_manifest_counts_and_its_identity_is_of_the_data_alone(tmp_path, stories_data):
    rng = np.random.default_rng(0)
    train, held_out = rng.integers(3, 512, 9_000), rng.integers(3, 512, 4_097)
    tokenizer = stories_data.tokenizer
    shards = token_set(tmp_path, tokenizer, train, held_out)
    alone = make_manifest(tmp_path, shards, tokenizer, 64)
    assert alone["seen_in_training"] == {"run": 50, "windows": 0, "of": 64}
    train[:640] = held_out[:640]  # ten windows
    shards = token_set(tmp_path, tokenizer, train, held_out)
    leaking = make_manifest(tmp_path, shards, tokenizer, 64)
    assert leaking["seen_in_training"] == {"run": 50, "windows": 10, "of": 64}
    without = {k: v for k, v in leaking.items() if k not in ("sha256", "seen_in_training")}
    assert leaking["sha256"] == checksum(without)
