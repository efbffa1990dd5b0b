"""Loss of whole documents and of the ends of sentences by a trained model, read from bos on."""

import math
from collections.abc import Sequence

import torch

from bitnet.data.tokenizer import Tokenizer
from bitnet.model.transformer import Transformer


@torch.inference_mode()
def log_likelihood(model: Transformer, ids: Sequence[int], first: int = 1) -> float:
    """Natural log-probability of ids[first:], each given those before it.

    Of more tokens than the context holds, each window predicts as many as it reads; the last one
    reaches back until it is full. So does EleutherAI's harness.
    """
    length, total = len(model.cos), 0.0
    for start in range(first - 1, len(ids) - 1, length):
        end = min(start + length, len(ids) - 1)
        begin = max(0, end - length)
        read = torch.tensor([ids[begin:end]], device=model.cos.device)
        log_p = model(read)[0, start - begin :].double().log_softmax(-1).cpu()
        total += log_p.gather(1, torch.tensor(ids[start + 1 : end + 1])[:, None]).sum().item()
    return total


def bits_per_byte(model: Transformer, tokenizer: Tokenizer, documents: Sequence[str]) -> float:
    """Bits per UTF-8 byte of the documents' text, bos read and not predicted, without their eos."""
    read = [tokenizer.model.encode(text, add_bos=True) for text in documents]
    nats = -sum(log_likelihood(model, ids) for ids in read)
    return nats / math.log(2) / sum(len(text.encode()) for text in documents)


def likeliest(
    model: Transformer, tokenizer: Tokenizer, context: str, choices: Sequence[str]
) -> int:
    """Index of the likeliest of several continuations of a text, each behind it and a blank."""
    first = len(tokenizer.model.encode(context, add_bos=True))
    whole = [tokenizer.model.encode(f"{context} {choice}", add_bos=True) for choice in choices]
    found = [log_likelihood(model, ids, first) for ids in whole]
    return found.index(max(found))
