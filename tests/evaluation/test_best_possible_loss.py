"""The best possible loss in nats a token, from bits a byte that the grammar itself knows."""

import math
from itertools import islice

from bitnet.data.arithmetic import entropy_rate
from bitnet.data.stories.grammar import stories
from bitnet.data.stories.likelihood import Likelihood
from bitnet.data.stories.parser import default_parser
from bitnet.evaluation.baselines import STORIES, best_possible_loss


def test_of_stories_it_is_the_grammars_own_loss_at_the_tokens_length():
    held_out, grammar = [*islice(stories(3, "validation"), STORIES)], Likelihood(default_parser())
    nats = -sum(grammar.log_probability(text) for text in held_out)
    per_byte = nats / sum(len(text.encode()) for text in held_out)
    best = best_possible_loss({"source": "stories", "seed": 3}, {"bytes": 700, "positions": 200})
    assert math.isclose(best["loss"], per_byte * 3.5, rel_tol=1e-9)
    assert best["stories"] == STORIES


def test_of_arithmetic_it_is_the_entropy_of_its_operands():
    source = {"source": "arithmetic", "operators": ["+"], "largest_operand": 20}
    source |= {"seed": 0, "validation_share": 0.1}
    assert best_possible_loss(source, {}) == {"loss": entropy_rate(source)}


def test_of_other_text_it_is_not_known():
    assert (
        best_possible_loss({"source": "files"}, {}) is None and best_possible_loss({}, {}) is None
    )
