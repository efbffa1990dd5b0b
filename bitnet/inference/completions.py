"""Completions by a trained model: answers to held-out arithmetic, texts behind prompts."""

from collections.abc import Sequence

import torch

from bitnet.data.arithmetic import Problem
from bitnet.data.tokenizer import Tokenizer
from bitnet.inference.engine import Inference
from bitnet.inference.sampling import Sampling, complete

AT_ONCE = 512  # sequences of a batch
LONGEST_ANSWER = 8  # tokens, its end included


def answers(model: Inference, tokenizer: Tokenizer, problems: Sequence[Problem]) -> list[str]:
    """What follows each question, up to the end of the problem.

    An answer that does not end in time is given with a `…` behind it, so that it is never right.
    """
    bos, eos = tokenizer.model.bos_id(), tokenizer.model.eos_id()
    questions = [
        [bos, *ids] for ids in tokenizer.model.encode([problem.question for problem in problems])
    ]
    found = _completed(model, questions, Sampling(), LONGEST_ANSWER, eos)
    return [tokenizer.decode(tokens) + "…" * (tokens[-1] != eos) for tokens in found]


def texts(
    model: Inference, tokenizer: Tokenizer, prompts: Sequence[str], sampling: Sampling, most: int
) -> list[dict]:
    """A text for each prompt, {"text", "ended"}: with the prompt, of at most `most` more tokens."""
    bos, eos = tokenizer.model.bos_id(), tokenizer.model.eos_id()
    read = [[bos, *ids] for ids in tokenizer.model.encode(list(prompts))]
    found = _completed(model, read, sampling, most, eos)
    return [
        {"text": tokenizer.decode([*ids, *tokens]), "ended": tokens[-1] == eos}
        for ids, tokens in zip(read, found, strict=True)
    ]


def _completed(
    model: Inference, prompts: Sequence[list[int]], sampling: Sampling, most: int, end: int
) -> list[list[int]]:
    """`complete` of prompts of any lengths, in their order."""
    by_length: dict[int, list[int]] = {}
    for place, ids in enumerate(prompts):  # sequences of one batch are equally long
        by_length.setdefault(len(ids), []).append(place)
    written: list[list[int]] = [[] for _ in prompts]
    for places in by_length.values():
        for first in range(0, len(places), AT_ONCE):
            batch = places[first : first + AT_ONCE]
            ids = torch.tensor([prompts[place] for place in batch], device=model.device)
            for place, tokens in zip(
                batch, complete(model, ids, sampling, most, [end]), strict=True
            ):
                written[place] = tokens
    return written
