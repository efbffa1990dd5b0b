"""Quality of generated text in numbers: variety, repetition, share copied from training text.

All are over words and marks as `words` splits them, so they do not depend on the tokenizer.
Each needs its N beside it: distinct-2 falls as texts grow.
"""

import re
from collections.abc import Iterable, Sequence

Words = Sequence[Sequence[str]]  # texts of words
NOVELTY = 4  # words of the phrases that are looked for in training text

LONGEST_PHRASE = 4  # words of a phrase that is looked for


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


def known_share(split: Sequence[Sequence[str]], known: frozenset[str] | set[str]) -> tuple:
    """Share of words (marks left out) that are known, 0 where there are none, and their number."""
    flat = [word for text in split for word in text if word[0].isalnum()]
    return sum(word in known for word in flat) / max(1, len(flat)), len(flat)


def n_grams(items: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """Phrases of n words in a row."""
    return [tuple(items[i : i + n]) for i in range(len(items) - n + 1)]


def distinct(texts: Words, n: int = 2) -> float:
    """Different n-grams over all n-grams of all texts (Li et al. 2016); NaN without any."""
    found = [gram for text in texts for gram in n_grams(text, n)]
    return len(set(found)) / len(found) if found else float("nan")


def seq_rep(texts: Words, n: int = 4) -> float:
    """Mean share of a text's n-grams that repeat one before them (Welleck et al. 2020, seq-rep-n).

    Over texts that are long enough to have one; NaN where none is.
    """
    shares = [1 - len(set(grams)) / len(grams) for text in texts if (grams := n_grams(text, n))]
    return sum(shares) / len(shares) if shares else float("nan")


def copied(texts: Words, training: Iterable[str]) -> tuple[list[float], set[str]]:
    """Share of each text's 4-grams that stand in the training texts, and the words of these.

    NaN for a text of fewer words. The training texts are passed over once.
    """
    wanted = [set(n_grams(text, NOVELTY)) for text in texts]
    missing, known = set().union(*wanted), set()
    everything = set(missing)
    for document in training:
        split = words(document)
        known.update(split)
        if missing:
            missing.difference_update(n_grams(split, NOVELTY))
    seen = everything - missing
    shares = [len(grams & seen) / len(grams) if grams else float("nan") for grams in wanted]
    return shares, known
