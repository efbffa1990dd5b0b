"""The probe: fixed held-out positions at which every run on a data set is evaluated."""

import numpy as np

from bitnet.common.errors import refuse

POSITIONS = 4_096


def place(tokens: int, length: int, positions: int = POSITIONS) -> dict:
    """Windows of `length` tokens, spaced evenly over a validation split of `tokens` tokens.

    Returns {"positions", "length", "starts"}. ValueError in one line where the split is too small
    for windows that do not overlap.
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
    """The probe's windows (count, length + 1) int64 of validation ids (tokens,)."""
    starts = np.asarray(probe["starts"])
    return tokens[starts[:, None] + np.arange(probe["length"] + 1)].astype(np.int64)


def inputs_and_targets(tokens: np.ndarray, probe: dict) -> tuple[np.ndarray, np.ndarray]:
    """Input and true next token at each of the probe's positions, each (positions,) int64."""
    rows = windows(tokens, probe)
    n = probe["positions"]
    return rows[:, :-1].reshape(-1)[:n], rows[:, 1:].reshape(-1)[:n]
