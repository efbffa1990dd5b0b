"""Quality of generated text: variety, repetition, and the share copied from training text.

All are computed over words and punctuation marks as `words` splits them, so they do not depend on
the tokenizer. They depend on the number of words: distinct-2 falls as texts grow.
"""

import re
from collections.abc import Iterable, Sequence

Words = Sequence[Sequence[str]]  # texts of words
NOVELTY = 4  # words per phrase that is searched in training text

LONGEST_PHRASE = 4  # words of the longest repeated phrase that is searched


def words(text: str) -> list[str]:
    """Words in lower case, and single punctuation marks, in the order of the text."""
    return re.findall(r"[^\W_]+(?:['’-][^\W_]+)*|[^\w\s]", text.lower())


def longest_run(items: Sequence, longest: int = LONGEST_PHRASE) -> tuple[int, tuple]:
    """Length of the longest run of one phrase of up to `longest` items, in repeats; the phrase.

    (1, ()) where no phrase follows itself.
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
    """Share of words that are in `known` (0 without words), and the number of all words.

    split: texts as lists of words; punctuation marks do not count.
    """
    flat = [word for text in split for word in text if word[0].isalnum()]
    return sum(word in known for word in flat) / max(1, len(flat)), len(flat)


def n_grams(items: Sequence[str], n: int) -> list[tuple[str, ...]]:
    """All phrases of n consecutive items, in order."""
    return [tuple(items[i : i + n]) for i in range(len(items) - n + 1)]


def distinct(texts: Words, n: int = 2) -> float:
    """Distinct-n: different n-grams over all n-grams of all texts (Li et al. 2016); NaN if none."""
    found = [gram for text in texts for gram in n_grams(text, n)]
    return len(set(found)) / len(found) if found else float("nan")


def seq_rep(texts: Words, n: int = 4) -> float:
    """Seq-rep-n: mean share of a text's n-grams that repeat an earlier one (Welleck et al. 2020).

    The mean is over the texts of at least n words; NaN if there are none.
    """
    shares = [1 - len(set(grams)) / len(grams) for text in texts if (grams := n_grams(text, n))]
    return sum(shares) / len(shares) if shares else float("nan")


def copied(texts: Words, training: Iterable[str]) -> tuple[list[float], set[str]]:
    """Share of each text's different 4-grams that occur in training texts, and all words of those.

    NaN for a text of fewer than 4 words. `training` is consumed once.
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
