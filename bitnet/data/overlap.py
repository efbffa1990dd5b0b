"""Overlap of held-out windows with the training text: what a model may have learned by heart."""

from collections.abc import Iterator

import numpy as np

RUN = 50  # tokens in a row that count as a copy, as in Lee et al. 2022, arXiv 2107.06499
WARN_ABOVE = 0.05  # share of windows from which on a warning is due
CHUNK = 1 << 22  # tokens hashed at once
BASE = np.uint64(0x9E3779B97F4A7C15)
TABLE_BITS = 22


def seen_windows(train: np.ndarray, rows: np.ndarray) -> dict:
    """How many windows contain a run of tokens that stands in the training text too.

    train: token ids (tokens,). rows: windows (count, width). Returns `run`, the length of such a
    run (RUN, or the width of shorter windows), `windows`, how many contain one, and `of`, the
    number of all. Runs are compared by 64-bit hashes.
    """
    run = min(RUN, rows.shape[1])
    wanted = np.stack([_hashes(row, run) for row in rows])  # (count, width - run + 1)
    known = np.unique(wanted)
    # One look into a small table rules nearly every run of the training text out.
    table = np.zeros(1 << TABLE_BITS, bool)
    table[_short(known)] = True
    met = [np.empty(0, np.uint64)]
    for hashes in _stretches(train, run):
        candidates = hashes[table[_short(hashes)]]
        met.append(np.intersect1d(candidates, known))
    found = np.isin(wanted, np.concatenate(met)).any(axis=1)
    return {"run": run, "windows": int(found.sum()), "of": len(rows)}


def share(seen: dict) -> float:
    """Share of the windows that `seen_windows` found."""
    return seen["windows"] / seen["of"]


def describe(seen: dict) -> str:
    """The finding in words."""
    return (
        f"{seen['windows']} of the probe's {seen['of']} windows ({share(seen):.1%}) contain "
        f"{seen['run']} tokens in a row that stand in the training text"
    )


def _short(hashes: np.ndarray) -> np.ndarray:
    return hashes >> np.uint64(64 - TABLE_BITS)


def _stretches(tokens: np.ndarray, run: int) -> Iterator[np.ndarray]:
    """Hashes of all runs of a long text, in pieces."""
    for begin in range(0, len(tokens) - run + 1, CHUNK):
        yield _hashes(tokens[begin : begin + CHUNK + run - 1], run)


def _hashes(tokens: np.ndarray, run: int) -> np.ndarray:
    """Polynomial hash (mod 2^64) of each run of consecutive tokens, (tokens - run + 1,) uint64.

    Built from those of runs of 1, 2, 4, ... tokens: of two neighbours a and b the hash is
    a x BASE^(length of b) + b.
    """
    part, width = (np.asarray(tokens).astype(np.uint64) + np.uint64(1)) * BASE, 1
    found, done = None, 0
    while True:
        if run & width:
            found = part if found is None else _join(found, done, part, width)
            done += width
        if done == run:
            return found
        part, width = _join(part, width, part, width), 2 * width


def _join(left: np.ndarray, left_width: int, right: np.ndarray, right_width: int) -> np.ndarray:
    """Hashes of runs of left_width + right_width tokens from those of their two parts."""
    right = right[left_width:]
    factor = np.uint64(pow(int(BASE), right_width, 1 << 64))
    return left[: len(right)] * factor + right
