"""How far two implementations of one model agree on the same tokens."""

from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax


@dataclass(frozen=True)
class Agreement:
    """Differences of two models' predictions at N positions."""

    positions: int
    argmax: float
    """Share of positions at which both predict the same token."""
    divergence: float
    """Mean Kullback-Leibler divergence of the second from the first, nats."""
    loss: float
    """Mean loss of the second minus that of the first, nats."""
    largest: float
    """Largest difference of two logits."""


def agreement(ours: np.ndarray, theirs: np.ndarray, targets: np.ndarray) -> Agreement:
    """Compare logits (N, vocab_size) of two models at the same positions, with true tokens (N,)."""
    p, q = (log_softmax(np.asarray(x, dtype=np.float64), axis=-1) for x in (ours, theirs))
    rows = np.arange(len(targets))
    return Agreement(
        positions=len(targets),
        argmax=float((ours.argmax(-1) == theirs.argmax(-1)).mean()),
        divergence=float((np.exp(p) * (p - q)).sum(-1).mean()),
        loss=float((p[rows, targets] - q[rows, targets]).mean()),
        largest=float(np.abs(np.subtract(ours, theirs, dtype=np.float64)).max()),
    )
