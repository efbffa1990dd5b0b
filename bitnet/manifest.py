"""The manifest: identity of a tokenised data set, its probe, and the references at the probe."""

import hashlib
import json
from pathlib import Path

from bitnet import ngrams, probe
from bitnet.config import refuse
from bitnet.metrics import diversity_ratio, unique
from bitnet.shards import open_shard
from bitnet.tokenizer import Tokenizer

BLIND_BELOW = 100  # distinct predictions of the bigram under which counts of 10 and 50 say nothing


def make_manifest(folder: str | Path, shards: dict, tokenizer: Tokenizer, length: int) -> dict:
    """Shards as described, plus probe, references and `blind`, for windows of `length` tokens.

    `sha256` names the whole: it changes with any token, with the tokenizer and with the probe.
    ValueError where a split is too small.
    """
    train = open_shard(folder, shards["train"])
    validation = open_shard(folder, shards["validation"])
    if len(train) < length + 2:
        raise refuse("train split", f"{len(train)} tokens", f"at least {length + 2} (one window)")
    placed = probe.place(len(validation), length)
    _, targets = probe.inputs_and_targets(validation, placed)
    rows = probe.windows(validation, placed)
    found = ngrams.references(train, rows, placed["positions"], shards["vocab_size"])
    identity = {**shards, "probe": placed}
    return {
        **shards,
        "sha256": hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest(),
        "probe": {**placed, "bytes": int(tokenizer.piece_bytes()[targets].sum())},
        "references": {
            order: {
                "loss": reference["loss"],
                "unique_predictions": unique(reference["predictions"]),
                "pdr": diversity_ratio(reference["predictions"], targets),
            }
            for order, reference in found.items()
        },
        "blind": unique(found["bigram"]["predictions"]) < BLIND_BELOW,
    }
