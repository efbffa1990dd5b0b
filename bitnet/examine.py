"""Held-out arithmetic put to a trained model: what it answers, greedily."""

from collections.abc import Sequence

import torch

from bitnet.arithmetic import Problem
from bitnet.generate import Sampling, complete
from bitnet.inference import Inference
from bitnet.tokenizer import Tokenizer

AT_ONCE = 512  # problems of a batch
LONGEST_ANSWER = 8  # tokens, its end included


def answers(model: Inference, tokenizer: Tokenizer, problems: Sequence[Problem]) -> list[str]:
    """What follows each question, up to the end of the problem.

    An answer that does not end in time is given with a `…` behind it, so that it is never right.
    """
    bos, eos = tokenizer.model.bos_id(), tokenizer.model.eos_id()
    questions = tokenizer.model.encode([problem.question for problem in problems])
    by_length: dict[int, list[int]] = {}
    for place, ids in enumerate(questions):  # sequences of one batch are equally long
        by_length.setdefault(len(ids), []).append(place)
    written = [""] * len(problems)
    for places in by_length.values():
        for first in range(0, len(places), AT_ONCE):
            batch = places[first : first + AT_ONCE]
            ids = torch.tensor([[bos, *questions[place]] for place in batch], device=model.device)
            found = complete(model, ids, Sampling(), LONGEST_ANSWER, [eos])
            for place, tokens in zip(batch, found, strict=True):
                written[place] = tokenizer.decode(tokens) + "…" * (tokens[-1] != eos)
    return written
