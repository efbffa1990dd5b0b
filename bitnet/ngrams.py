"""Count models that every loss is read against: unigram, bigram, trigram.

Counts of an order are interpolated with the order below: P(w | context) = (count + K P_lower(w)) /
(total + K), where K is the number of different tokens seen after the context (Witten & Bell 1991).
Plain add-k gives every context V k imaginary counts, so that the loss of a trigram says more about
V than about the text.
"""

import numpy as np

FITTED_TOKENS = 20_000_000  # of the training shard, from its start


def references(train: np.ndarray, windows: np.ndarray, positions: int, vocab_size: int) -> dict:
    """Loss in nats and argmax of each order at the probe.

    `train` (tokens,) ids; `windows` (count, length + 1) of the probe. Returns for "unigram",
    "bigram", "trigram": {"loss": mean nats, "predictions": (positions,) ids}. At the start of a
    window, where the trigram's first token would lie outside, the bigram stands in.
    """
    train = np.asarray(train[:FITTED_TOKENS], dtype=np.int64)
    unigram = (np.bincount(train, minlength=vocab_size) + 1.0) / (len(train) + vocab_size)
    after_one = _Successors(train[:-1], train[1:])
    after_two = _Successors(train[:-2] * vocab_size + train[1:-1], train[2:])
    found = {order: ([], []) for order in ("unigram", "bigram", "trigram")}
    for row, column in np.ndindex(windows.shape[0], windows.shape[1] - 1):
        if len(found["unigram"][0]) == positions:
            break
        one, target = windows[row, column], windows[row, column + 1]
        bigram = after_one.smooth(one, unigram)
        trigram = bigram
        if column:
            trigram = after_two.smooth(windows[row, column - 1] * vocab_size + one, bigram)
        for order, p in (("unigram", unigram), ("bigram", bigram), ("trigram", trigram)):
            found[order][0].append(-np.log(p[target]))
            found[order][1].append(int(p.argmax()))
    return {
        order: {"loss": float(np.mean(nll)), "predictions": np.array(argmax)}
        for order, (nll, argmax) in found.items()
    }


class _Successors:
    """Which tokens followed which context, sorted by context for look-up."""

    def __init__(self, contexts: np.ndarray, successors: np.ndarray):
        order = np.argsort(contexts, kind="stable")
        self.contexts, self.successors = contexts[order], successors[order]

    def smooth(self, context: int, lower: np.ndarray) -> np.ndarray:
        """Distribution after `context`, (vocab_size,), smoothed towards `lower`."""
        low, high = np.searchsorted(self.contexts, [context, context + 1])
        counts = np.bincount(self.successors[low:high], minlength=len(lower))
        kinds = max(1, np.count_nonzero(counts))
        return (counts + kinds * lower) / (high - low + kinds)
