"""Batches: every token once before any twice, by seed and step alone, and with replacement."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitnet.data.dataloader import JoinedShards, batch


def text(tokens: int) -> np.ndarray:
    """A text in which an id is its place."""
    return np.arange(tokens, dtype=np.uint32)


def with_replacement(tokens, seed, step, size, length):
    """Windows as they were drawn before there were epochs, written down once more."""
    rng = np.random.Generator(np.random.Philox(key=[seed, step]))
    starts = rng.integers(0, len(tokens) - length, size=size)
    return np.array([[tokens[start + i] for i in range(length + 1)] for start in starts])


def targets(tokens: int, seed: int, windows: int, length: int, size: int) -> np.ndarray:
    """How often each place of a text is a target in the first so many windows, (tokens,)."""
    steps = -(-windows // size)
    rows = [batch(text(tokens), seed, step, size, length) for step in range(1, steps + 1)]
    places = np.concatenate(rows)[:windows, 1:]
    return np.bincount(places.ravel(), minlength=tokens)


# --- epochs ---


@given(
    windows=st.integers(1, 60),
    length=st.integers(1, 9),
    rest=st.integers(0, 8),
    size=st.integers(1, 20),
    epochs=st.integers(1, 4),
    seed=st.integers(0, 2**32),
)
def test_after_k_epochs_every_token_was_a_target_k_times(windows, length, rest, size, epochs, seed):
    tokens = max(windows * length + rest % length, length + 1)
    windows = tokens // length
    seen = targets(tokens, seed, epochs * windows, length, size)
    assert seen.max() <= epochs
    left_out = epochs * tokens - seen.sum()
    assert left_out == epochs * (tokens % length)  # less than a window an epoch
    if epochs == 1:
        assert (seen == 0).sum() == tokens % length


def test_no_token_comes_twice_before_all_others_came_once():
    seen = targets(100_000, seed=0, windows=1_200, length=64, size=32)  # of 1,562
    assert seen.max() == 1
    assert seen.sum() == 1_200 * 64


def test_what_an_epoch_leaves_out_is_elsewhere_in_the_next():
    tokens, length = 1_039, 20  # 51 windows and 19 tokens
    seen = targets(tokens, 0, 51 * 40, length, 8)
    assert seen.min() >= 35 and seen.max() <= 40
    assert (seen < 40).sum() > 19 * 15


@given(
    tokens=st.integers(10, 500),
    length=st.integers(1, 9),
    size=st.integers(1, 20),
    seed=st.integers(0, 2**32),
    step=st.integers(1, 2**32),
)
def test_a_window_is_consecutive_tokens_and_the_end_is_followed_by_the_beginning(
    tokens, length, size, seed, step
):
    rows = batch(text(tokens), seed, step, size, length)
    assert rows.shape == (size, length + 1)
    assert rows.dtype == np.int64
    assert rows.min() >= 0 and rows.max() < tokens
    assert (np.diff(rows, axis=1) % tokens == 1).all()  # each target is the next token
    assert (np.diff(rows, axis=1) < 0).any(axis=1).sum() <= -(-size // (tokens // length)) + 1


def test_epochs_differ_in_their_order_and_in_where_they_cut():
    tokens, length = 6_400, 64
    starts = np.concatenate(
        [batch(text(tokens), 0, step, 10, length)[:, 0] for step in range(1, 41)]
    )
    epochs = starts.reshape(4, 100)
    cuts = [{*(epoch % length)} for epoch in epochs]
    assert all(len(cut) == 1 for cut in cuts) and len(set.union(*cuts)) == 4
    orders = [np.argsort(np.argsort(epoch)) for epoch in epochs]
    for i, order in enumerate(orders):
        assert (order != np.arange(100)).sum() > 80
        assert all((order != other).sum() > 80 for other in orders[:i])


@pytest.mark.parametrize("windows", ["epochs", "random"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_a_batch_depends_on_seed_and_step_alone(windows, shuffled):
    tokens, how = text(2_000), {"windows": windows, "shuffled": shuffled}  # 250 windows
    alone = batch(tokens, 3, 70, 16, 8, **how)  # of the fifth epoch
    for step in range(1, 70):  # what was trained before does not matter
        batch(tokens, 3, step, 16, 8, **how)
    np.random.seed(0)  # whatever happens to the global generator
    assert (batch(tokens, 3, 70, 16, 8, **how) == alone).all()
    assert (batch(tokens, 3, 71, 16, 8, **how) != alone).any()
    assert (batch(tokens, 4, 70, 16, 8, **how) != alone).any()
    assert (batch(tokens, 70, 3, 16, 8, **how) != alone).any()


def test_steps_of_any_size_go_through_the_same_windows():
    tokens = text(1_000)
    small = [batch(tokens, 5, step, 6, 30) for step in range(1, 31)]
    large = [batch(tokens, 5, step, 90, 30) for step in (1, 2)]  # a step is three epochs
    assert (np.concatenate(small) == np.concatenate(large)).all()


@pytest.mark.parametrize(
    "how", [{}, {"windows": "random"}, {"windows": "in_order"}, {"shuffled": True}]
)
def test_the_number_of_shards_makes_no_difference(how):
    rng = np.random.default_rng(0)
    whole = rng.integers(0, 2_000, 3_000, dtype=np.uint16)
    joined = JoinedShards(np.split(whole, [5, 5, 40, 1_000, 1_010, 2_999]))  # some under a window
    for step in range(1, 60):
        assert (batch(joined, 3, step, 8, 64, **how) == batch(whole, 3, step, 8, 64, **how)).all()


@pytest.mark.parametrize("windows", ["epochs", "random", "in_order"])
def test_a_text_shorter_than_a_window_is_refused_in_one_line(windows):
    assert batch(text(9), 0, 1, 4, 8, windows).shape == (4, 9)
    for tokens in (0, 1, 8):
        with pytest.raises(ValueError, match=r"^number of training tokens is \d; ") as error:
            batch(text(tokens), 0, 1, 4, 8, windows)
        assert "allowed: at least 9, one more than sequence_length" in str(error.value)


# --- in order ---


def test_windows_in_order_are_the_text_from_front_to_back_and_again():
    rows = [batch(text(17), 0, step, 2, 3, "in_order").tolist() for step in (1, 2, 3)]
    assert rows[0] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert rows[1] == [[8, 9, 10, 11], [12, 13, 14, 15]]
    assert rows[2] == [[16, 0, 1, 2], [3, 4, 5, 6]]
    assert batch(text(17), 9, 3, 2, 3, "in_order").tolist() == rows[2]  # of any seed


def test_windows_in_order_of_a_late_step_are_where_the_steps_before_have_come_to():
    tokens, late = 4_541_458, 10_000 * 18_690
    first = (late - 1) * 4 * 32 % tokens
    expected = np.arange(first, first + 128).reshape(4, 32) % tokens
    assert (batch(text(tokens), 0, late, 4, 31, "in_order") == expected).all()


# --- with replacement ---


@given(
    tokens=st.integers(10, 500),
    length=st.integers(1, 9),
    size=st.integers(1, 20),
    seed=st.integers(0, 2**32),
    step=st.integers(0, 2**32),
)
def test_random_windows_are_those_that_were_always_drawn(tokens, length, size, seed, step):
    rows = batch(text(tokens), seed, step, size, length, windows="random")
    assert rows.dtype == np.int64
    assert (rows == with_replacement(text(tokens), seed, step, size, length)).all()


def test_every_random_window_of_the_text_can_be_drawn():
    starts = {int(row[0]) for step in range(50) for row in batch(text(12), 0, step, 8, 4, "random")}
    assert starts == set(range(12 - 4))


def test_shuffled_batches_have_the_texts_frequencies_and_none_of_its_order():
    tokens = np.tile(np.array([1, 2, 3, 3]), 2_500)  # after a 1 comes a 2, always
    rows = np.concatenate([batch(tokens, 0, step, 16, 64, shuffled=True) for step in range(50)])
    assert rows.shape == (50 * 16, 65)
    shares = np.bincount(rows.ravel())[1:] / rows.size
    np.testing.assert_allclose(shares, [0.25, 0.25, 0.5], atol=0.01)
    after = rows[:, 1:][rows[:, :-1] == 1]  # over 10,000 of them
    np.testing.assert_allclose(np.bincount(after)[1:] / len(after), shares, atol=0.02)
    assert (rows[:16] == batch(tokens, 0, 0, 16, 64, shuffled=True)).all()
