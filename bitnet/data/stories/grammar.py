"""The built-in corpus: short children's stories drawn from a probabilistic grammar.

A story has an outline (a list of kinds of sentence), a sentence rule for each of them, and words
for the slots of each rule. Words have typical companions: a name its objects, an object its verbs,
a place its creatures; and what a story has introduced occurs again. So the next word depends on
the words just before it and on some far back. If slots were filled independently, the likeliest
word would be the same everywhere, and a good model could not be distinguished from a collapsed one.

    >>> next(stories(seed=0, split="train"))
    'In Millbrook, there lived a ...'

Words and rules are in `lexicon.txt`; every random decision is one call of `Telling.choose`.
"""

import hashlib
import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

LEXICON = Path(__file__).with_name("lexicon.txt").read_text(encoding="utf-8")
VERSION = 1  # raise it when a change of this file changes the stories of a seed
SPLITS = ("train", "validation")
UNIFORMS = 128  # random numbers drawn at once: most stories need fewer

# Part of the grammar: measured to give hundreds of distinct most likely next tokens.
COMPANION_SEED = 158  # draws the companion tables
COMPANIONS = 8  # typical companions of a word in one category
COMPANION_SHARE = 0.7  # probability of a typical companion; else any word of the category
WORD_EXPONENT, COMPANION_EXPONENT, RULE_EXPONENT = 1.3, 0.9, 0.6  # of the Zipf weights

_PARAMETERS = (VERSION, COMPANION_SEED, COMPANIONS, COMPANION_SHARE)
_PARAMETERS += (WORD_EXPONENT, COMPANION_EXPONENT, RULE_EXPONENT)
IDENTITY = hashlib.sha256(f"{_PARAMETERS} {LEXICON}".encode()).hexdigest()[:16]

PRONOUNS = {
    "girl": {"he": "she", "his": "her", "him": "her", "girl": "girl"},
    "boy": {"he": "he", "his": "his", "him": "him", "girl": "boy"},
}


class Options(NamedTuple):
    """Values of a random decision, and their cumulative probabilities."""

    values: Sequence[Any]
    cumulative: list[float]  # rises to exactly 1.0

    @classmethod
    def weighted(cls, values: Sequence[Any], weights: Sequence[float]) -> "Options":
        """Options with probabilities proportional to `weights`, (len(values),)."""
        cumulative = np.cumsum(weights)
        return cls(values, (cumulative / cumulative[-1]).tolist())


class Word(NamedTuple):
    """A word of the lexicon, with its labels and its weight."""

    text: str
    labels: frozenset[str]  # it goes with words of other categories that share a label
    weight: float


class Slot(NamedTuple):
    """A slot of a sentence: a role recalled (no table), or a word drawn given another word."""

    table: dict[str, Options] | None  # the options for each word that may be given
    given: str | int  # a role, or the number of another slot of the sentence
    capital: bool


class Sentence(NamedTuple):
    """A compiled sentence rule."""

    literals: list[str]  # the text around the slots: one more than there are slots
    slots: list[Slot]


HALF = Options((False, True), [0.5, 1.0])


def zipf(length: int, exponent: float) -> np.ndarray:
    """Weights 1 / rank^exponent of the ranks 1 to `length`."""
    return np.arange(1, length + 1) ** -exponent


def ranked(values: list) -> Options:
    """Options with the Zipf weights of rules, the likeliest value first."""
    return Options.weighted(values, zipf(len(values), RULE_EXPONENT))


def read_sections(lexicon: str) -> dict[str, list[str]]:
    """Lines under each [header] of the lexicon, without comments and empty lines."""
    sections: dict[str, list[str]] = {}
    for line in lexicon.splitlines():
        if line.startswith("["):
            lines = sections.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            lines.append(line)
    return sections


def read_words(lines: list[str]) -> list[Word]:
    """Words of a category, Zipf-weighted; lines with the same labels continue one ranking."""
    rankings: dict[str, list[str]] = {}
    for line in lines:
        labels, _, words = line.rpartition(":")
        rankings.setdefault(labels, []).extend(words.split())
    return [
        Word(word.replace("_", " "), frozenset(labels.split()), weight)
        for labels, words in rankings.items()
        for word, weight in zip(words, zipf(len(words), WORD_EXPONENT), strict=True)
    ]


def companion_table(name: str, words: list[Word], givens: list[Word]) -> dict[str, Options]:
    """Options in `words` for each word of `givens`: with COMPANION_SHARE a typical companion.

    `name` seeds the draw of the companions, so that a new table does not change the others.
    """
    seed = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")
    rng = np.random.default_rng([COMPANION_SEED, seed])
    texts = [word.text for word in words]
    # A category goes with itself across labels: a duck may follow a rabbit, but never a duck.
    known = set() if words is givens else {label for word in words for label in word.labels}
    spoken_of = {label for given in givens for label in given.labels}
    table = {}
    for given in givens:
        labels = given.labels & known
        fits = [
            word.text != given.text
            and (not labels or not word.labels & spoken_of or not labels.isdisjoint(word.labels))
            for word in words
        ]
        weights = np.array([word.weight for word in words]) * fits
        # Exponential races draw without replacement (Efraimidis and Spirakis, 2006); the square
        # root lets rare words be somebody's favourite.
        times = -np.log1p(-rng.random(len(words))) / np.sqrt(np.maximum(weights, 1e-30))
        typical = np.argsort(times)[: min(COMPANIONS, sum(fits))]
        share = zipf(len(typical), COMPANION_EXPONENT)
        weights *= (1 - COMPANION_SHARE) / weights.sum()
        weights[typical] += COMPANION_SHARE * share / share.sum()
        table[given.text] = Options.weighted(texts, weights)
    return table


class Grammar:
    """The story grammar: words, companion tables, sentence rules and outlines.

    The same lexicon and constants give the same grammar. ValueError in one line for a rule with a
    slot that the lexicon does not define.
    """

    def __init__(self, lexicon: str = LEXICON) -> None:
        sections = read_sections(lexicon)
        self.words = {k[6:]: read_words(v) for k, v in sections.items() if k.startswith("words ")}
        self.pronouns = {w.text: PRONOUNS[min(w.labels)] for w in self.words["names"]}
        self._category: dict[str, str] = {}  # of a role
        self._tables: dict[str, dict[str, Options]] = {}
        self.roles: dict[str, Slot] = {}  # how a role is drawn when a story first uses it
        for role, category, given in map(str.split, sections["roles"]):
            self._category[role] = category
            if role != "hero":
                self.roles[role] = Slot(self.table(category, self._category[given]), given, False)
        names = self.words["names"]
        self.heroes = Options.weighted([w.text for w in names], [w.weight for w in names])
        self.outlines = ranked([line.split() for line in sections["outlines"]])
        self.sentences = {
            header[5:]: ranked([self._sentence(line) for line in lines])
            for header, lines in sections.items()
            if header.startswith("rule ")
        }

    def story(self, rng: np.random.Generator) -> str:
        """Text of one story drawn with `rng`; paragraphs are separated by a line break."""
        return Telling(self, rng).story()

    def table(self, category: str, given: str) -> dict[str, Options]:
        """Options in `category` for each word of the category `given`, made once."""
        name = f"{category}|{given}"
        if name not in self._tables:
            self._tables[name] = companion_table(name, self.words[category], self.words[given])
        return self._tables[name]

    def _sentence(self, rule: str) -> Sentence:
        pieces = re.split(r"\{([^}]*)\}", rule)
        names = [piece.lower().partition("|") for piece in pieces[1::2]]
        slots = []
        for number, (name, drawn, given) in enumerate(names):
            # Given the last word of that category before, else the first one after, else a role.
            same = [i for i, other in enumerate(names) if i != number and other[:2] == (given, "|")]
            source = max((i for i in same if i < number), default=min(same, default=given))
            category = given if same else self._category.get(given)
            if not drawn and (name in self._category or name in PRONOUNS["girl"]):
                table, source = None, name
            elif name in self.words and category in self.words:
                table = self.table(name, category)
            else:
                raise ValueError(f"lexicon.txt: no {name!r} given {given!r} in the rule {rule!r}")
            slots.append(Slot(table, source, pieces[2 * number + 1][0].isupper()))
        return Sentence(pieces[::2], slots)


class Telling:
    """Generation of one story: its random numbers, and the words of its roles so far."""

    def __init__(self, grammar: Grammar, rng: np.random.Generator) -> None:
        self.grammar = grammar
        self.roles: dict[str, str] = {}
        self._uniform = (u for _ in count() for u in rng.random(UNIFORMS).tolist()).__next__

    def choose(self, options: Options) -> Any:
        """One value drawn from `options`; every random decision of a story is made here."""
        return options.values[bisect_right(options.cumulative, self._uniform())]

    def story(self) -> str:
        """The text of the story."""
        hero = self.choose(self.grammar.heroes)
        self.roles = {"hero": hero, **self.grammar.pronouns[hero]}
        paragraphs: list[list[str]] = [[]]
        for step in self.choose(self.grammar.outlines):
            if step == "/":
                paragraphs.append([])
            elif step[-1] != "?" or self.choose(HALF):
                rule = self.choose(self.grammar.sentences[step.rstrip("?")])
                paragraphs[-1].append(self.sentence(rule))
        text = "\n".join(" ".join(paragraph) for paragraph in paragraphs if paragraph)
        return re.sub(r"\b([Aa])(?= [AEIOUaeiou])", r"\1n", text)

    def sentence(self, rule: Sentence) -> str:
        """A sentence by a rule: roles keep their words, other words are drawn."""
        words: dict[int, str] = {}
        text = [rule.literals[0]]
        for number, literal in enumerate(rule.literals[1:]):
            word = self.word(rule.slots, number, words)
            text += (word[0].upper() + word[1:] if rule.slots[number].capital else word), literal
        return "".join(text)

    def word(self, slots: list[Slot], number: int, words: dict[int, str]) -> str:
        """The word of a slot; the slots it depends on are filled first, into `words`."""
        if number not in words:
            table, given, _ = slots[number]
            known = self.recall(given) if isinstance(given, str) else self.word(slots, given, words)
            words[number] = known if table is None else self.choose(table[known])
        return words[number]

    def recall(self, role: str) -> str:
        """The word of a role, drawn at its first use in the story."""
        if role not in self.roles:
            table, given, _ = self.grammar.roles[role]
            self.roles[role] = self.choose(table[self.recall(given)])
        return self.roles[role]


default_grammar = cache(Grammar)  # built at its first use, in half a second


def stories(seed: int, split: str) -> Iterator[str]:
    """Endless stream of stories; story i depends on (seed, split, i) only.

    ValueError in one line where `split` is not one of SPLITS.
    """
    if split not in SPLITS:
        raise ValueError(f"split is {split!r}; choose one of {', '.join(SPLITS)}")
    grammar = default_grammar()
    key = np.random.SeedSequence([seed, SPLITS.index(split)]).generate_state(2, np.uint64)
    # The story's number is in the high half of Philox's 256-bit counter: streams cannot meet.
    bits = (np.random.Philox(key=key, counter=[0, 0, i, 0]) for i in count())
    return (grammar.story(np.random.Generator(b)) for b in bits)
