"""Data loader: memory-mapped token shards as one array, and the batches of a training.

A batch depends only on (seed, step), so a resumed training gets the same windows as an
uninterrupted one.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from bitnet.common.errors import refuse
from bitnet.data.epochs import window_starts
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
        self._ends = np.cumsum([len(shard) for shard in shards]).tolist()
        self.dtype = shards[0].dtype

    def __len__(self) -> int:
        return self._ends[-1]

    def __getitem__(self, index) -> np.ndarray:
        """Ids at a slice or an array of indices, in its shape; IndexError outside 0 to len - 1."""
        if isinstance(index, slice):
            begin, end, stride = index.indices(len(self))
            if stride == 1:
                return self._stretch(begin, end)
            index = np.arange(begin, end, stride)
        index = np.asarray(index)
        if index.size and not 0 <= index.min() <= index.max() < len(self):
            raise IndexError(f"a place outside 0 to {len(self) - 1}")
        found = np.empty(index.shape, self.dtype)
        owners = np.searchsorted(self._ends, index, "right")
        for owner in np.unique(owners):
            here, shard = owners == owner, self._shards[owner]
            found[here] = shard[index[here] - (self._ends[owner] - len(shard))]
        return found

    def _stretch(self, begin: int, end: int) -> np.ndarray:
        """Consecutive ids: a view, copied only where they lie in several shards."""
        owner, pieces = bisect_right(self._ends, begin), []
        while begin < end:
            shard = self._shards[owner]
            before = self._ends[owner] - len(shard)
            pieces.append(shard[begin - before : end - before])
            begin, owner = begin + len(pieces[-1]), owner + 1
        return pieces[0] if len(pieces) == 1 else np.concatenate([np.empty(0, self.dtype), *pieces])


def batch(
    tokens: np.ndarray,
    seed: int,
    step: int,
    size: int,
    length: int,
    windows: str = "epochs",
    shuffled: bool = False,
) -> np.ndarray:
    """Windows (size, length + 1) int64 of one step (from 1), drawn by (seed, step).

    windows: "epochs" uses every token once before any twice; "random" draws each window from all
    places, whatever was drawn before; "in_order" cuts the text from front to back into windows that
    share no token, whatever the seed, and goes on at the beginning.
    shuffled: draw every token independently, which keeps the text's frequencies and not its order.
    ValueError in one line for a text shorter than one window.
    """
    rng = np.random.Generator(np.random.Philox(key=[seed, step]))
    if shuffled:
        return tokens[rng.integers(0, len(tokens), size=(size, length + 1))].astype(np.int64)
    if len(tokens) <= length:
        allowed = f"at least {length + 1}, one more than sequence_length"
        raise refuse("number of training tokens", len(tokens), allowed)
    if windows == "random":
        starts = rng.integers(0, len(tokens) - length, size=size)
    elif windows == "in_order":
        starts = np.arange((step - 1) * size, step * size) * (length + 1) % len(tokens)
    else:
        starts = window_starts(len(tokens), seed, (step - 1) * size, size, length)
    return _read(tokens, starts, length + 1)


def _read(tokens: np.ndarray, starts: np.ndarray, width: int) -> np.ndarray:
    """Windows (n, width) int64 from `starts` (n,) on; the end is followed by the beginning.

    One slice a window: with 40 shards eight times as fast as an array of all places.
    """
    rows = np.empty((len(starts), width), np.int64)
    for row, start in zip(rows, starts.tolist(), strict=True):
        found = tokens[start : start + width]
        row[: len(found)] = found
        if len(found) < width:
            row[len(found) :] = tokens[: width - len(found)]
    return rows
