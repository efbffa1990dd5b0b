"""Loss of whole documents: windows, what is predicted, bytes, and the likeliest continuation."""

import math

import pytest
import torch

from bitnet.inference.documents import bits_per_byte, likeliest, log_likelihood
from tests.inference.test_engine import CONTEXT, ids, trained

LOG2 = math.log(2)


class Letters:
    """A tokenizer with a piece for each letter; bos is 1."""

    class model:  # as the attribute of `Tokenizer`
        @staticmethod
        def encode(text: str, add_bos: bool) -> list[int]:
            return [1] * add_bos + [2 + ord(letter) % 50 for letter in text]


@torch.no_grad()
def by_hand(model, read: list[int], windows: list[tuple[int, int, int]]) -> float:
    """Sum over windows (begin, end, first target): ids[begin:end] read, the rest predicted."""
    total = 0.0
    for begin, end, first in windows:
        log_p = model(torch.tensor([read[begin:end]]))[0].log_softmax(-1)
        total += sum(log_p[at - 1 - begin, read[at]].item() for at in range(first, end + 1))
    return total


def test_a_short_text_is_read_at_once():
    model, read = trained(), ids(1, 9)[0].tolist()
    assert log_likelihood(model, read) == pytest.approx(by_hand(model, read, [(0, 8, 1)]))
    assert log_likelihood(model, read, 6) == pytest.approx(by_hand(model, read, [(0, 8, 6)]))


def test_a_long_text_is_read_in_windows_of_which_the_last_reaches_back():
    model, read = trained(), ids(1, 2 * CONTEXT + 6)[0].tolist()
    last = len(read) - 1
    windows = [(0, CONTEXT, 1), (CONTEXT, 2 * CONTEXT, CONTEXT + 1)]
    windows += [(last - CONTEXT, last, 2 * CONTEXT + 1)]
    assert log_likelihood(model, read) == pytest.approx(by_hand(model, read, windows))


def test_bits_per_byte_counts_the_bytes_of_text_and_predicts_no_bos():
    model, texts = trained(), ["abc", "naïve"]
    nats = 0.0
    for text in texts:
        read = Letters.model.encode(text, add_bos=True)
        nats -= by_hand(model, read, [(0, len(read) - 1, 1)])
    assert bits_per_byte(model, Letters(), texts) == pytest.approx(nats / LOG2 / 9)


def test_the_likeliest_choice_is_the_one_whose_tokens_are():
    model = trained()
    read = Letters.model.encode("ab ", add_bos=True)
    with torch.no_grad():
        order = model(torch.tensor([read]))[0, -1, 2:52].argsort(descending=True)
    letters = [chr(50 + int(i)) for i in order[:3]]
    choices = [letters[1], letters[0], letters[2]]
    assert [ord(letter) % 50 for letter in letters] == order[:3].tolist()
    assert likeliest(model, Letters(), "ab", choices) == 1
