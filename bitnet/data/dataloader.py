"""Data loader: memory-mapped token shards as one array, and the batches of a training.

A batch depends only on (seed, step), so a resumed training gets the same windows as an
uninterrupted one.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bitnet.common.errors import refuse
from bitnet.data.parts import intact


def open_shard(folder: str | Path, split: Mapping, vocab_size: int | None = None):
    """Token ids (tokens,) of a split, memory-mapped: an array, or JoinedShards of several files.

    split: its description in shards.json or in a manifest. Every file is read once to verify it:
    ValueError in one line for a missing file, a wrong checksum, or an id not below `vocab_size`.
    """
    opened = [_open_file(folder, shard, vocab_size) for shard in split["shards"]]
    return opened[0] if len(opened) == 1 else JoinedShards(opened)


def _open_file(folder: str | Path, shard: Mapping, vocab_size: int | None) -> np.ndarray:
    path = intact(folder, shard, "shards")
    tokens = np.memmap(path, dtype=shard["dtype"], mode="r")
    if vocab_size is not None and (largest := int(tokens.max(initial=0))) >= vocab_size:
        raise refuse(f"a token id of {str(path)!r}", largest, f"below vocab_size = {vocab_size}")
    return tokens


class JoinedShards:
    """Concatenation of shards that can be indexed like one array (tokens,)."""

    def __init__(self, shards: Sequence[np.ndarray]):
        self._shards = shards
        self._ends = np.cumsum([len(shard) for shard in shards])
        self.dtype = shards[0].dtype

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitem__(self, index) -> np.ndarray:
        """Ids at a slice or an array of indices, in its shape; IndexError outside 0 to len - 1."""
        if isinstance(index, slice):
            index = np.arange(*index.indices(len(self)))
        index = np.asarray(index)
        if index.size and not 0 <= index.min() <= index.max() < len(self):
            raise IndexError(f"a place outside 0 to {len(self) - 1}")
        found, owners = np.empty(index.shape, self.dtype), self._ends.searchsorted(index, "right")
        for owner in np.unique(owners):
            here, shard = owners == owner, self._shards[owner]
            found[here] = shard[index[here] - (self._ends[owner] - len(shard))]
        return found


def batch(
    tokens: np.ndarray, seed: int, step: int, size: int, length: int, shuffled: bool = False
) -> np.ndarray:
    """Windows (size, length + 1) int64 of one step, drawn with replacement by (seed, step).

    shuffled: draw every token independently, which keeps the text's frequencies and not its order.
    """
    rng = np.random.Generator(np.random.Philox(key=[seed, step]))
    if shuffled:
        return tokens[rng.integers(0, len(tokens), size=(size, length + 1))].astype(np.int64)
    starts = rng.integers(0, len(tokens) - length, size=size)
    return tokens[starts[:, None] + np.arange(length + 1)].astype(np.int64)
