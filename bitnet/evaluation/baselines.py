"""Reference losses: unigram, bigram and trigram count models, and the best possible loss.

Counts of an order are interpolated with the order below: P(w | context) = (count + K P_lower(w))
/ (total + K), where K is the number of different tokens that follow the context (Witten & Bell
1991). Plain add-k would add V k imaginary counts to every context, and a trigram's loss would then
depend on V more than on the text.
"""

import math
from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import numpy as np

from bitnet.data import probe
from bitnet.data.arithmetic import entropy_rate
from bitnet.data.dataloader import open_shard
from bitnet.data.stories.grammar import stories
from bitnet.data.stories.likelihood import best_possible
from bitnet.data.stories.parser import default_parser
from bitnet.evaluation.metrics import diversity_ratio

FITTED_TOKENS = 20_000_000  # first tokens of the training shard, on which count models are fitted

BLIND_BELOW = 100  # if the bigram has fewer distinct predictions, thresholds of 10 and 50 fail

STORIES = 200  # held-out stories for the best possible loss (a second); 100 give it to 1 %


def count_models(train: np.ndarray, windows: np.ndarray, positions: int, vocab_size: int) -> dict:
    """Mean loss in nats and argmax ids of each order at the probe.

    train (tokens,) ids; windows (count, length + 1) of the probe. Returns for "unigram", "bigram"
    and "trigram": {"loss": mean nats, "predictions": (positions,) ids}. At the first position of a
    window, where the trigram lacks a token, the bigram is used.
    """
    train = np.asarray(train[:FITTED_TOKENS], dtype=np.int64)
    unigram = (np.bincount(train, minlength=vocab_size) + 1.0) / (len(train) + vocab_size)
    after_one = _Successors(train[:-1], train[1:])
    after_two = _Successors(train[:-2] * vocab_size + train[1:-1], train[2:])
    found = {order: ([], []) for order in ("unigram", "bigram", "trigram")}
    for row, column in np.ndindex(windows.shape[0], windows.shape[1] - 1):
        if len(found["unigram"][0]) == positions:
            break
        one, target = windows[row, column], windows[row, column + 1]
        bigram = after_one.smooth(one, unigram)
        trigram = bigram
        if column:
            trigram = after_two.smooth(windows[row, column - 1] * vocab_size + one, bigram)
        for order, p in (("unigram", unigram), ("bigram", bigram), ("trigram", trigram)):
            found[order][0].append(-np.log(p[target]))
            found[order][1].append(int(p.argmax()))
    return {
        order: {"loss": float(np.mean(nll)), "predictions": np.array(argmax)}
        for order, (nll, argmax) in found.items()
    }


class _Successors:
    """Successors of every context, sorted by context for look-up."""

    def __init__(self, contexts: np.ndarray, successors: np.ndarray):
        order = np.argsort(contexts, kind="stable")
        self.contexts, self.successors = contexts[order], successors[order]

    def smooth(self, context: int, lower: np.ndarray) -> np.ndarray:
        """Distribution after `context`, (vocab_size,), smoothed towards `lower`."""
        low, high = np.searchsorted(self.contexts, [context, context + 1])
        counts = np.bincount(self.successors[low:high], minlength=len(lower))
        kinds = max(1, np.count_nonzero(counts))
        return (counts + kinds * lower) / (high - low + kinds)


def make_references(folder: str | Path, manifest: dict, source: Mapping) -> dict:
    """Reference values of a data set, as the file references.json holds them.

    folder: the folder of the manifest's shards. source: the block of `corpora` they were made from.

    Returns `data` (the manifest's sha256), `references` (loss in nats, unique_predictions and pdr
    of unigram, bigram and trigram), `best_possible` (see `best_possible_loss`) and `blind` (counts
    of distinct predictions carry no information on this corpus). ValueError for damaged shards.
    """
    train = open_shard(folder, manifest["train"], manifest["vocab_size"])
    validation = open_shard(folder, manifest["validation"], manifest["vocab_size"])
    placed = manifest["probe"]
    _, targets = probe.inputs_and_targets(validation, placed)
    windows = probe.windows(validation, placed)
    found = count_models(train, windows, placed["positions"], manifest["vocab_size"])
    return {
        "data": manifest["sha256"],
        "references": {
            order: {
                "loss": reference["loss"],
                "unique_predictions": len(np.unique(reference["predictions"])),
                "pdr": diversity_ratio(reference["predictions"], targets),
            }
            for order, reference in found.items()
        },
        "best_possible": best_possible_loss(source, manifest),
        "blind": len(np.unique(found["bigram"]["predictions"])) < BLIND_BELOW,
    }


def best_possible_loss(source: Mapping, manifest: Mapping) -> dict | None:
    """The least loss that any model can reach on built-in text; None where it is not known.

    source: the block of corpora that the manifest's data were made from. `loss` is in nats per
    token at the probe; of stories there are also bits_per_byte, and the numbers of stories and
    bytes that it was measured on. Of arithmetic it is known only where a token is a character.
    """
    placed, split = manifest["probe"], manifest["train"]
    if source.get("source") == "arithmetic":
        # Each problem is its characters, a start and an end; × and ÷ are two bytes of UTF-8.
        by_character = split["tokens"] >= split["bytes"] + split["documents"]
        return {"loss": entropy_rate(source)} if by_character else None
    if source.get("source") != "stories":
        return None
    held_out = list(islice(stories(source["seed"], "validation"), STORIES))
    found = best_possible(held_out, default_parser())
    nats_per_byte = found["bits_per_byte"] * math.log(2)
    return {**found, "loss": nats_per_byte * placed["bytes"] / placed["positions"]}
