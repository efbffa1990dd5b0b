"""What count models reach at the probe: the lines that every run's metrics are read against.

Kept apart from the manifest, so that another reference retrains nothing.
"""

from pathlib import Path

from bitnet import ngrams, probe
from bitnet.counts import unique
from bitnet.metrics import diversity_ratio
from bitnet.shards import open_shard

BLIND_BELOW = 100  # distinct predictions of the bigram under which counts of 10 and 50 say nothing


def make_references(folder: str | Path, manifest: dict) -> dict:
    """Loss (nats), unique_predictions and pdr of unigram, bigram and trigram, and `blind`.

    `data` names the manifest they belong to. `folder` holds the shards of `manifest`.
    """
    train = open_shard(folder, manifest["train"], manifest["vocab_size"])
    validation = open_shard(folder, manifest["validation"], manifest["vocab_size"])
    placed = manifest["probe"]
    _, targets = probe.inputs_and_targets(validation, placed)
    windows = probe.windows(validation, placed)
    found = ngrams.references(train, windows, placed["positions"], manifest["vocab_size"])
    return {
        "data": manifest["sha256"],
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
