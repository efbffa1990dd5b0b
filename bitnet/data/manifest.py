"""The manifest: a tokenised data set's shards, probe and hash, the only input of a training."""

from pathlib import Path

from bitnet.common.errors import refuse
from bitnet.common.files import checksum
from bitnet.data import overlap, probe
from bitnet.data.dataloader import open_shard
from bitnet.data.tokenizer import Tokenizer


def make_manifest(folder: str | Path, shards: dict, tokenizer: Tokenizer, length: int) -> dict:
    """The description of the shards plus `probe` (windows of `length` tokens) and `sha256`.

    `sha256` is the identity of the data: it changes with any token, the tokenizer and the probe.
    `seen_in_training` is how much of the probe stands in the training text (`overlap`).
    ValueError in one line where a split is too small or a shard is damaged.
    """
    train = open_shard(folder, shards["train"], tokenizer.vocab_size)
    validation = open_shard(folder, shards["validation"], tokenizer.vocab_size)
    if len(train) < length + 2:
        raise refuse("train split", f"{len(train)} tokens", f"at least {length + 2} (one window)")
    placed = probe.place(len(validation), length)
    _, targets = probe.inputs_and_targets(validation, placed)
    size = int(tokenizer.piece_bytes()[targets].sum())
    identity = {**shards, "probe": {**placed, "bytes": size}}
    seen = overlap.seen_windows(train, probe.windows(validation, placed))
    return {**identity, "sha256": checksum(identity), "seen_in_training": seen}
