"""The best possible loss in nats a token, from bits a byte that the grammar itself knows."""

import math
from itertools import islice

import pytest

from bitnet.data.arithmetic import entropy_rate
from bitnet.data.stories.grammar import stories
from bitnet.data.stories.likelihood import Likelihood
from bitnet.data.stories.parser import default_parser
from bitnet.evaluation.baselines import STORIES, best_possible_loss


def test_of_stories_it_is_the_grammars_own_loss_at_the_tokens_length():
    held_out, grammar = [*islice(stories(3, "validation"), STORIES)], Likelihood(default_parser())
    nats = -sum(grammar.log_probability(text) for text in held_out)
    per_byte = nats / sum(len(text.encode()) for text in held_out)
    split = {"tokens": 1, "bytes": 4, "documents": 1}
    manifest = {"probe": {"bytes": 700, "positions": 200}, "train": split}
    best = best_possible_loss({"source": "stories", "seed": 3}, manifest)
    assert math.isclose(best["loss"], per_byte * 3.5, rel_tol=1e-9)
    assert best["stories"] == STORIES


ARITHMETIC = {"source": "arithmetic", "operators": ["+"], "largest_operand": 20}
ARITHMETIC |= {"seed": 0, "validation_share": 0.1}


@pytest.mark.parametrize(
    ("tokens", "known"),
    [(100 * (6 + 2), True), (100 * 4, False)],  # of 100 problems of 6 bytes: characters, or pieces
)
def test_of_arithmetic_it_is_the_entropy_of_its_operands_where_a_token_is_a_character(
    tokens, known
):
    split = {"tokens": tokens, "bytes": 600, "documents": 100}
    best = best_possible_loss(ARITHMETIC, {"probe": {}, "train": split})
    assert best == ({"loss": entropy_rate(ARITHMETIC)} if known else None)


@pytest.mark.parametrize("source", [{"source": "files"}, {}])
def test_of_other_text_it_is_not_known(source):
    assert best_possible_loss(source, {"probe": {}, "train": {}}) is None
