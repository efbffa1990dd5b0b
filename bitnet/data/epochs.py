"""Windows in epochs without replacement: every token of a text once before any twice.

An epoch cuts the text, whose end is joined to its beginning, into windows that do not overlap and
visits each once. Where it cuts and in which order follow from (seed, epoch) alone, so the windows
of any step are known without those of the steps before it.
"""

from functools import lru_cache
from math import isqrt

import numpy as np

ROUNDS = 6  # with 2, neighbours of 1,000 depend on each other; with 4, some orders of 5 are rare


class Permutation:
    """A random order of 0 to size - 1, of which any part can be computed alone.

    Numbers are places of a table of about sqrt(size) rows and columns. In each round rows move by a
    random number that depends on the column, then columns by one that depends on the row: a Feistel
    network (Luby and Rackoff 1988). The few places beyond `size` are walked through (Black and
    Rogaway 2002). It takes sqrt(size) numbers, where a stored order takes `size`.
    """

    def __init__(self, size: int, rng: np.random.Generator):
        self.size = size
        self.rows = isqrt(size - 1) + 1
        self.columns = -(-size // self.rows)
        self._row_moves = rng.integers(0, self.rows, (ROUNDS, self.columns))
        self._column_moves = rng.integers(0, self.columns, (ROUNDS, self.rows))

    def __call__(self, places: np.ndarray) -> np.ndarray:
        """Which number stands at each of `places` (n,), all from 0 to size - 1."""
        found = self._move(places)
        while (beyond := found >= self.size).any():
            found[beyond] = self._move(found[beyond])
        return found

    def _move(self, places: np.ndarray) -> np.ndarray:
        row, column = np.divmod(places, self.columns)
        for row_moves, column_moves in zip(self._row_moves, self._column_moves, strict=True):
            row = (row + row_moves[column]) % self.rows
            column = (column + column_moves[row]) % self.columns
        return row * self.columns + column


@lru_cache(maxsize=16)
def _epoch(seed: int, epoch: int, tokens: int, windows: int) -> tuple[int, Permutation]:
    """Where an epoch begins to cut the text, and the order of its windows."""
    rng = np.random.Generator(np.random.Philox(key=[seed, epoch]))
    return int(rng.integers(tokens)), Permutation(windows, rng)


def window_starts(tokens: int, seed: int, first: int, count: int, length: int) -> np.ndarray:
    """Starts (count,) of windows number `first` to first + count - 1 of a training, from 0.

    tokens: length of the text, at least one window. Targets are the `length` tokens after a start,
    beyond the end those of the beginning. An epoch leaves out fewer than `length` tokens, wherever
    its first cut happens to fall.
    """
    windows = tokens // length
    epochs, places = np.divmod(np.arange(first, first + count), windows)
    starts = np.empty(count, np.int64)
    for epoch in np.unique(epochs):
        now = epochs == epoch
        offset, order = _epoch(seed, int(epoch), tokens, windows)
        starts[now] = (offset + order(places[now]) * length) % tokens
    return starts
