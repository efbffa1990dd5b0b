"""The best possible loss in nats a token, from bits a byte that the grammar itself knows."""

import math
from itertools import islice

import pandas as pd

from bitnet.data.stories.grammar import stories
from bitnet.data.stories.likelihood import Likelihood
from bitnet.data.stories.parser import default_parser
from bitnet.evaluation.baselines import STORIES, floor_loss


def test_the_floor_is_the_grammars_own_loss_at_the_tokens_length():
    held_out, grammar = [*islice(stories(3, "validation"), STORIES)], Likelihood(default_parser())
    nats = -sum(grammar.log_probability(text) for text in held_out)
    per_byte = nats / sum(len(text.encode()) for text in held_out)
    # 2 nats a token are 1 bit a byte: a token has 2 / ln 2 bytes.
    rows = pd.DataFrame({"ValLoss": [2.0], "BitsPerByte": [1.0]})
    found = floor_loss(rows, {"source": "stories", "seed": 3})
    assert math.isclose(found, per_byte * 2 / math.log(2), rel_tol=1e-9)


def test_no_floor_is_claimed_for_other_text():
    rows = pd.DataFrame({"ValLoss": [2.0], "BitsPerByte": [1.0]})
    assert math.isnan(floor_loss(rows, {"source": "files"}))
