"""Completions of prompts by a trained model: answers to arithmetic problems, and texts."""

from collections.abc import Sequence

import torch

from bitnet.data.arithmetic import Form, Problem
from bitnet.data.tokenizer import Tokenizer
from bitnet.inference.engine import Inference
from bitnet.inference.sampling import Sampling, complete

AT_ONCE = 512  # sequences per batch
LONGEST_ANSWER = 8  # tokens, including the end


def answers(
    model: Inference, tokenizer: Tokenizer, problems: Sequence[Problem], form: Form
) -> list[str]:
    """Greedy answer to each problem's question, up to eos, in plain notation (`Form.read`).

    form: how the text of its training writes problems. An answer without eos within LONGEST_ANSWER
    tokens ends in `…`, so that it is never right.
    """
    bos, eos = tokenizer.model.bos_id(), tokenizer.model.eos_id()
    questions = [
        [bos, *ids]
        for ids in tokenizer.model.encode([form.question(problem) for problem in problems])
    ]
    found = _completed(model, questions, Sampling(), LONGEST_ANSWER, eos)
    return [form.read(tokenizer.decode(tokens) + "…" * (tokens[-1] != eos)) for tokens in found]


def texts(
    model: Inference, tokenizer: Tokenizer, prompts: Sequence[str], sampling: Sampling, most: int
) -> list[dict]:
    """Text for each prompt: {"text": prompt and continuation, "ended": whether eos was reached}.

    most: new tokens at most. ValueError in one line where logits are not finite.
    """
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
    """`complete` for prompts of different lengths, in their order."""
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
