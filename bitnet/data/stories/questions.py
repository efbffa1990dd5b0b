"""Multiple-choice questions from the story grammar, whose right answers are known.

A question is a story up to a word that names somebody or something again: the hero, the thing that
was found, the place. The grammar allows no other word there:

    "A clean mirror!" exclaimed Sam. Then he walked slowly back to the cottage. He put the blue ...
    rake on top of the bed. / emerald ... / mirror ... / rope on top of the bed.

In these stories each name, thing or place is as likely as any other that may stand there. So who
only knows which words are frequent is right one time in CHOICES.
"""

import re
from collections.abc import Callable, Iterator
from functools import cache
from typing import NamedTuple

import numpy as np

from bitnet.data.stories.check import SENTENCE_END, check_sentences
from bitnet.data.stories.grammar import Grammar, Options, Telling
from bitnet.data.stories.parser import PRONOUN_WORDS

CHOICES = 4
STREAM = 2  # of random numbers; those of the corpus are keyed by 0 (training) and 1 (validation)


class Question(NamedTuple):
    """The beginning of a story, and CHOICES ends of its last sentence, one of them right."""

    context: str
    choices: tuple[str, ...]
    """Each stands behind the context and a blank; they differ in their first word."""
    answer: int
    """Index of the right one."""
    story: str
    """The whole story, as it was drawn."""


def questions(seed: int, stories: int, fits: Callable[[str], bool]) -> Iterator[Question]:
    """Questions about `stories` newly drawn stories, at most one each; the same for a seed.

    fits: whether a text, context and an end, is short enough to be read.
    """
    for number in range(stories):
        if question := _question(np.random.default_rng([seed, STREAM, number]), fits):
            yield question


@cache
def _even() -> Grammar:
    """The grammar with all words that a role can have equally likely."""
    grammar = Grammar()
    grammar.heroes = _alike(grammar.heroes)
    for role, slot in grammar.roles.items():
        table = {given: _alike(options) for given, options in (slot.table or {}).items()}
        grammar.roles[role] = slot._replace(table=table)
    return grammar


def _alike(options: Options) -> Options:
    values = _possible(options)
    return Options.weighted(values, [1.0] * len(values))


def _possible(options: Options) -> list[str]:
    """Values whose probability is not 0."""
    chances = np.diff(options.cumulative, prepend=0.0)
    return [value for value, chance in zip(options.values, chances, strict=True) if chance > 0]


def _options(telling: Telling, role: str) -> Options:
    """What a role's word in a finished story was drawn from."""
    if role == "hero":
        return telling.grammar.heroes
    slot = telling.grammar.roles[role]
    return (slot.table or {})[telling.roles[str(slot.given)]]


def _question(rng: np.random.Generator, fits: Callable[[str], bool]) -> Question | None:
    """A question about a new story; None where none fits or its answer would not be certain."""
    telling = Telling(_even(), rng)
    story = telling.story()
    ends = {stop.end() for stop in SENTENCE_END.finditer(story)}
    readable = max((end for end in ends if fits(story[:end])), default=0)
    places = [
        (role, word, place.start())
        for role, word in telling.roles.items()
        if role not in PRONOUN_WORDS
        # Not behind an article, which would give the word's first letter away
        for place in [*re.finditer(rf"(?<!\b[Aa])(?<!\b[Aa]n) {re.escape(word)}\b", story)][1:]
        if place.end() <= readable
    ]
    if not places:
        return None
    role, word, at = places[rng.integers(len(places))]
    end = min(end for end in ends if end > at)
    context, rest = story[:at], story[at + 1 + len(word) : end]
    others = sorted({*_possible(_options(telling, role))} - {word})
    if len(others) < CHOICES - 1:
        return None
    words = [word, *rng.choice(others, CHOICES - 1, replace=False).tolist()]
    for choice in words:
        text = f"{context} {choice}{rest}"
        possible = all(sentence.agrees for sentence in check_sentences(text))
        if possible != (choice == word) or not fits(text):
            return None
    order = rng.permutation(CHOICES).tolist()
    return Question(context, tuple(words[i] + rest for i in order), order.index(0), story)
