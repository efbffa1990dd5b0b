"""Parser of the story grammar: which sentence rules and words can generate a text.

A parse is one sentence rule with the word in each of its slots. Where a text is ambiguous, every
parse is listed. Articles are compared without their n, which `bitnet.data.stories.grammar` adds to
the finished text before a vowel.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import NamedTuple

from bitnet.data.stories.grammar import PRONOUNS, Grammar, Options, Sentence, Slot, default_grammar

ARTICLE = r"\b([Aa])(?= [AEIOUaeiou])"


class Parse(NamedTuple):
    """A piece of text as one sentence rule with a word in each slot."""

    kind: str
    rule: int  # number among the rules of its kind
    end: int  # index of the text behind it
    words: tuple[str, ...]  # the word of each slot, as the lexicon spells it


def without_articles(text: str) -> str:
    """The text with `a` for every `an` before a vowel, as it was before articles were set."""
    return re.sub(r"\b([Aa])n(?= [AEIOUaeiou])", r"\1", text)


def articles_right(text: str) -> bool:
    """Whether every article before a vowel is `an`; no rule reads `an` before a consonant."""
    return re.sub(ARTICLE, r"\1n", without_articles(text)) == text


class Parser:
    """Parser of one grammar; its texts must be in the form of `without_articles`."""

    def __init__(self, grammar: Grammar):
        self.grammar = grammar
        self.rules = {kind: options.values for kind, options in grammar.sentences.items()}
        self._literals = {
            (kind, number): [without_articles(literal) for literal in rule.literals]
            for kind, rules in self.rules.items()
            for number, rule in enumerate(rules)
        }
        self._spelled: dict[tuple[int, bool], dict[str, list[tuple[str, str]]]] = {}

    def parses(self, text: str, start: int, kind: str) -> list[Parse]:
        """Every parse of the text from `start` as a sentence of a kind; roles may disagree."""
        found = []
        for number, rule in enumerate(self.rules[kind]):
            literals = self._literals[kind, number]
            for end, words in self._fill(text, start, rule, literals, 0):
                if end == len(text) or text[end] in " \n":
                    found.append(Parse(kind, number, end, words))
        return found

    def bindings(self, parse: Parse) -> Iterator[tuple[str, str]]:
        """Pairs of a role that a parse uses and its word there."""
        for slot, word in zip(self.rules[parse.kind][parse.rule].slots, parse.words, strict=True):
            if slot.table is None:
                yield str(slot.given), word

    def bound(self, known: Mapping[str, str], parse: Parse) -> dict[str, str] | None:
        """Words of roles after a parse, or None where it contradicts the `known` ones.

        Once the hero is known, pronouns must be those of the hero.
        """
        roles = dict(known)
        for role, word in self.bindings(parse):
            if roles.setdefault(role, word) != word:
                return None
        if (hero := roles.get("hero")) is not None:
            own = self.grammar.pronouns[hero]
            if any(roles.get(role, word) != word for role, word in own.items()):
                return None
        return roles

    def _fill(
        self, text: str, start: int, rule: Sentence, literals: Sequence[str], number: int
    ) -> Iterator[tuple[int, tuple[str, ...]]]:
        """Possible ends of the rule from slot `number` on, each with the words of these slots."""
        if not text.startswith(literals[number], start):
            return
        start += len(literals[number])
        if number == len(rule.slots):
            yield start, ()
            return
        for form, word in self._candidates(rule.slots[number], text[start : start + 1]):
            if text.startswith(form, start):
                for end, words in self._fill(text, start + len(form), rule, literals, number + 1):
                    yield end, (word, *words)

    def _candidates(self, slot: Slot, first: str) -> list[tuple[str, str]]:
        """Words of a slot that begin with a letter: as spelled in the text and in the lexicon."""
        values = self.vocabulary(slot)
        key = (id(values), slot.capital)
        if key not in self._spelled:
            by_letter: dict[str, list[tuple[str, str]]] = {}
            for word in values:
                form = word[0].upper() + word[1:] if slot.capital else word
                by_letter.setdefault(form[0], []).append((form, word))
            self._spelled[key] = by_letter
        return self._spelled[key].get(first, [])

    def vocabulary(self, slot: Slot) -> Sequence[str]:
        """All words that a slot can hold, in any context."""
        if slot.table is not None:
            return _values(slot.table)
        return self.role_words(str(slot.given))

    def role_words(self, role: str) -> Sequence[str]:
        """All words that a role can have."""
        if role in PRONOUN_WORDS:
            return PRONOUN_WORDS[role]
        if role == "hero":
            return self.grammar.heroes.values
        table = self.grammar.roles[role].table
        assert table is not None  # a role is drawn, never recalled from another one
        return _values(table)


PRONOUN_WORDS = {
    role: sorted({words[role] for words in PRONOUNS.values()}) for role in PRONOUNS["girl"]
}


def _values(table: Mapping[str, Options]) -> Sequence[str]:
    """The words of a companion table, which are the same for every given word."""
    return next(iter(table.values())).values


@cache
def default_parser() -> Parser:
    """The parser of the built-in corpus, made once."""
    return Parser(default_grammar())
