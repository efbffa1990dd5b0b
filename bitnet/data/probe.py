"""The probe: fixed held-out positions at which every run of a data set is read."""

import numpy as np

from bitnet.common.errors import refuse

POSITIONS = 4_096


def place(tokens: int, length: int, positions: int = POSITIONS) -> dict:
    """Windows of `length` tokens, spread evenly over a validation shard of `tokens`.

    Returns {"positions", "length", "starts"}; ValueError where the shard is too small for windows
    that do not overlap.
    """
    count = -(-positions // length)
    if tokens < count * length + 1:
        raise refuse(
            "validation split", f"{tokens} tokens", f"at least {count * length + 1} for the probe"
        )
    stride = (tokens - 1) / count
    starts = [int(i * stride) for i in range(count)]
    return {"positions": positions, "length": length, "starts": starts}


def windows(tokens: np.ndarray, probe: dict) -> np.ndarray:
    """The probe's windows of a validation shard, (count, length + 1) int64."""
    starts = np.asarray(probe["starts"])
    return tokens[starts[:, None] + np.arange(probe["length"] + 1)].astype(np.int64)


def inputs_and_targets(tokens: np.ndarray, probe: dict) -> tuple[np.ndarray, np.ndarray]:
    """Input token and true next token at each position, each (positions,) int64."""
    rows = windows(tokens, probe)
    n = probe["positions"]
    return rows[:, :-1].reshape(-1)[:n], rows[:, 1:].reshape(-1)[:n]
