"""Generation of text token by token: greedy, or sampled with temperature, top-k and top-p.

When a text reaches the context length, generation continues from its last half context, since the
model was trained on windows that begin anywhere in a text.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import torch

from bitnet.common.errors import refuse
from bitnet.inference.engine import Inference

ROUNDING = 1e-12  # tolerance of a sum of probabilities in float64


@dataclass(frozen=True)
class Sampling:
    """How the next token is chosen; ValueError in one line for a value out of range."""

    temperature: float = 0.0
    """Divisor of the logits; 0 is greedy: always the likeliest token."""
    top_k: int = 0
    """Sample from the k likeliest tokens; 0: from all."""
    top_p: float = 1.0
    """Sample from the fewest tokens with this probability together (Holtzman et al. 2020)."""
    seed: int = 0

    def __post_init__(self):
        if not 0 <= self.temperature < math.inf:
            raise refuse("temperature", self.temperature, "a number of at least 0")
        if not 0 < self.top_p <= 1:
            raise refuse("top_p", self.top_p, "above 0 and at most 1")
        for key in ("top_k", "seed"):
            if not 0 <= getattr(self, key) < 2**63:
                raise refuse(key, getattr(self, key), "an integer of at least 0")


def probabilities(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Distribution (B, V) float64 from which tokens are sampled, for logits (B, V).

    Temperature is applied first, then top_k, then top_p to the tokens that top_k has kept.
    """
    if not sampling.temperature:
        return torch.zeros_like(logits, dtype=torch.float64).scatter_(
            -1, logits.argmax(-1, keepdim=True), 1.0
        )
    scaled, order = logits.double().sort(dim=-1, descending=True, stable=True)
    # The largest logit is subtracted first, so that a tiny temperature does not overflow
    p = ((scaled - scaled[:, :1]) / sampling.temperature).softmax(dim=-1)
    if sampling.top_k:
        p[:, sampling.top_k :] = 0
    before = (p / p.sum(-1, keepdim=True)).cumsum(-1).roll(1, -1)
    before[:, 0] = 0  # the likeliest token always stays
    p[before >= sampling.top_p - ROUNDING] = 0
    return torch.zeros_like(p).scatter_(-1, order, p / p.sum(-1, keepdim=True))


def choose(logits: torch.Tensor, sampling: Sampling, chance: torch.Generator) -> torch.Tensor:
    """Next token ids (B, 1) for logits (B, V); ValueError in one line where they are not finite."""
    if not logits.isfinite().all():
        raise ValueError("the model's logits are not finite; allowed: a model that did not diverge")
    if not sampling.temperature:
        return logits.argmax(-1, keepdim=True)
    return torch.multinomial(probabilities(logits, sampling), 1, generator=chance)


def generate(model: Inference, ids: torch.Tensor, sampling: Sampling) -> Iterator[torch.Tensor]:
    """Endless iterator over the next token ids (B,) of sequences that begin with ids (B, T).

    On a CPU the same seed gives the same tokens. ValueError in one line where T is 0 or logits are
    not finite.
    """
    if not ids.numel():
        raise refuse("prompt", "without tokens", "at least one token")
    chance = torch.Generator(device=ids.device).manual_seed(sampling.seed)
    cache, seen = model.cache(len(ids)), ids[:, -model.context :]
    unread = seen
    while True:
        if cache.length + unread.shape[1] > model.context:
            unread = seen = seen[:, -max(1, model.context // 2) :]
            cache.length = 0
        unread = choose(model.next_logits(unread, cache), sampling, chance)
        seen = torch.cat([seen, unread], dim=1)[:, -model.context :]
        yield unread[:, 0]


def complete(
    model: Inference, ids: torch.Tensor, sampling: Sampling, most: int, end: Sequence[int]
) -> list[list[int]]:
    """Continuations of ids (B, T): one list of at most `most` new token ids per sequence.

    A list ends with the first token that is in `end`. ValueError as `generate`.
    """
    found: list[list[int]] = [[] for _ in ids]
    going, stops = set(range(len(ids))), set(end)
    for tokens in islice(generate(model, ids, sampling), most):
        for row, token in enumerate(tokens.tolist()):
            if row in going:
                found[row].append(token)
                if token in stops:
                    going.remove(row)
        if not going:
            break
    return found
