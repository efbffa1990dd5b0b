"""Signs that a training failed, detected by rule instead of by eye.

Thresholds were written down before the runs they judge: a loss above 5 is the original notes'
sign; the others are far from what held-out text shows of itself.
"""

import math
import re
from collections.abc import Sequence

STUCK_LOSS = 5.0  # nats a token, at a vocabulary of thousands
REPEATS = 4  # "the the the the"
LONGEST_PHRASE = 4  # words of a phrase that is looked for
REPEATING_SHARE = 0.1  # of the texts, at most
KNOWN_SHARE = 0.9  # of the words, at least


def words(text: str) -> list[str]:
    """Words in lower case and single marks, in order."""
    return re.findall(r"[^\W_]+(?:['’-][^\W_]+)*|[^\w\s]", text.lower())


def longest_run(items: Sequence, longest: int = LONGEST_PHRASE) -> tuple[int, tuple]:
    """How often the most repeated phrase of up to `longest` items follows itself, and the phrase.

    (1, ()) where nothing does.
    """
    best, phrase = 1, ()
    for length in range(1, longest + 1):
        same = 0
        for i in range(length, len(items)):
            same = same + 1 if items[i] == items[i - length] else 0
            if same // length + 1 > best:
                best, phrase = same // length + 1, tuple(items[i - length + 1 : i + 1])
    return best, phrase


def of_losses(losses: Sequence[float], unigram: float, diverged: bool) -> list[str]:
    """What is wrong with validation losses (nats a token, in the order of steps); empty if nothing.

    unigram: the loss of token frequencies alone, which a model that learned anything is below.
    """
    if diverged or not all(map(math.isfinite, losses)):
        return ["NaN: loss or gradient became NaN or infinite"]
    if losses[-1] > STUCK_LOSS:
        return [f"loss stuck: {losses[-1]:.2f} at the end, above {STUCK_LOSS:g}"]
    if losses[-1] >= unigram:
        return [f"loss stuck: {losses[-1]:.2f} at the end, the unigram's is {unigram:.2f}"]
    return []


def of_texts(texts: Sequence[str], known: frozenset[str] | set[str]) -> list[str]:
    """What is wrong with generated texts; empty if nothing. known: words of the training text."""
    split = [words(text) for text in texts]
    runs = [longest_run(w) for w in split]
    repeating = [run for run in runs if run[0] >= REPEATS]
    found = []
    if len(repeating) > REPEATING_SHARE * len(texts):
        times, phrase = max(repeating)
        example = " ".join(phrase)
        found.append(
            f"repetition: {len(repeating)} of {len(texts)} texts say a phrase {REPEATS} times or "
            f"more in a row (`{example}`, {times} times)"
        )
    share, count = known_share(split, known)
    if share < KNOWN_SHARE:
        found.append(f"gibberish: {share:.0%} of {count} words are words of the training text")
    return found


def known_share(split: Sequence[Sequence[str]], known: frozenset[str] | set[str]) -> tuple:
    """Share of words (marks left out) that are known, 0 where there are none, and their number."""
    flat = [word for text in split for word in text if word[0].isalnum()]
    return sum(word in known for word in flat) / max(1, len(flat)), len(flat)
