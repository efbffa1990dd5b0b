"""Exact probability of a story under the built-in grammar, and the best possible loss from it.

A text can be generated in several ways (another outline, another rule, a role that was drawn and
never named), so its probability is the sum over all of them. -log2 of it per byte of text is a
lower bound of every model's bits per byte on the corpus. Models stay above it also because their
tokens can spell a text in several ways and a window begins without the text before it.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from bitnet.data.stories.grammar import Options
from bitnet.data.stories.parser import (
    PRONOUN_WORDS,
    Parse,
    Parser,
    articles_right,
    without_articles,
)

HALF = math.log(0.5)  # an optional sentence is left out half the time
MOST_HIDDEN = 1_000_000  # combinations of words of unnamed roles that are summed over


class _Way(NamedTuple):
    """A derivation of a story: log-probability of its rules, its parses, words of its roles."""

    log_probability: float
    parses: tuple[Parse, ...]
    roles: dict[str, str]


class Likelihood:
    """Log-probabilities of texts under the grammar of a parser."""

    def __init__(self, parser: Parser):
        self.parser, self.grammar = parser, parser.grammar
        self._tables: dict[int, dict[str, float]] = {}

    def log_probability(self, text: str) -> float:
        """Natural logarithm of the probability of a whole story, -inf for any other text.

        ValueError in one line where a text leaves so many roles unnamed that the sum over their
        words has more than MOST_HIDDEN terms.
        """
        if not articles_right(text):
            return -math.inf
        plain = without_articles(text)
        seen: dict[tuple[str, int], list[Parse]] = {}
        outlines = self.grammar.outlines
        found = []
        for outline, chance in zip(outlines.values, _probabilities(outlines), strict=True):
            for way in self._ways(plain, outline, seen):
                found.append(math.log(chance) + way.log_probability + self._words(way))
        return _log_sum(found)

    def _ways(
        self, text: str, outline: Sequence[str], seen: dict[tuple[str, int], list[Parse]]
    ) -> Iterator[_Way]:
        """Every derivation of the text that follows an outline."""

        def go(step: int, at: int, new: bool, way: _Way) -> Iterator[_Way]:
            if step == len(outline):
                if at == len(text):
                    yield way
                return
            kind, optional = outline[step].rstrip("?"), outline[step].endswith("?")
            if kind == "/":
                yield from go(step + 1, at, True, way)
                return
            if optional:
                skipped = way._replace(log_probability=way.log_probability + HALF)
                yield from go(step + 1, at, new, skipped)
            start = at
            if at:
                if text[at : at + 1] != ("\n" if new else " "):
                    return
                start += 1
            if (kind, start) not in seen:
                seen[kind, start] = self.parser.parses(text, start, kind)
            for parse in seen[kind, start]:
                roles = self.parser.bound(way.roles, parse)
                if roles is not None:
                    chance = self._rule(kind, parse.rule) + (HALF if optional else 0.0)
                    longer = _Way(way.log_probability + chance, (*way.parses, parse), roles)
                    yield from go(step + 1, parse.end, False, longer)

        yield from go(0, 0, False, _Way(0.0, (), {}))

    def _rule(self, kind: str, number: int) -> float:
        return math.log(_probabilities(self.grammar.sentences[kind])[number])

    def _words(self, way: _Way) -> float:
        """Log-probability of all words of a derivation, summed over roles never named."""
        certain, factors, needed = 0.0, [], {"hero", *way.roles}
        for parse in way.parses:
            slots = self.parser.rules[parse.kind][parse.rule].slots
            for slot, word in zip(slots, parse.words, strict=True):
                if slot.table is None:
                    continue
                if isinstance(slot.given, int):
                    certain += self._log(slot.table[parse.words[slot.given]], word)
                else:
                    needed.add(slot.given)
                    factors.append((slot.table, slot.given, word))
        needed -= PRONOUN_WORDS.keys()
        needed = self._with_givens(needed)
        hidden = sorted(needed - way.roles.keys())
        words = [self.parser.role_words(role) for role in hidden]
        if math.prod(map(len, words)) > MOST_HIDDEN:
            raise ValueError(f"too many roles are never named to sum over: {', '.join(hidden)}")
        sums = []
        for choice in product(*words):
            roles = {**way.roles, **dict(zip(hidden, choice, strict=True))}
            own = self.grammar.pronouns[roles["hero"]]
            if any(roles.get(role, word) != word for role, word in own.items()):
                continue
            total = self._log(self.grammar.heroes, roles["hero"])
            for role in needed - {"hero"}:
                table, given, _ = self.grammar.roles[role]
                total += self._log(table[roles[str(given)]], roles[role])
            total += sum(self._log(table[roles[given]], word) for table, given, word in factors)
            sums.append(total)
        return certain + _log_sum(sums)

    def _with_givens(self, roles: set[str]) -> set[str]:
        """Roles together with all roles that they depend on."""
        found, pending = set(), list(roles)
        while pending:
            role = pending.pop()
            if role not in found:
                found.add(role)
                if role != "hero":
                    pending.append(str(self.grammar.roles[role].given))
        return found

    def _log(self, options: Options, value: str) -> float:
        if id(options) not in self._tables:
            chances = zip(options.values, _probabilities(options), strict=True)
            self._tables[id(options)] = {
                word: math.log(p) if p > 0 else -math.inf for word, p in chances
            }
        return self._tables[id(options)][value]


def bits_per_byte(log_probabilities: Mapping[str, float]) -> float:
    """Bits per UTF-8 byte of texts, from their natural log-probabilities by text."""
    size = sum(len(text.encode()) for text in log_probabilities)
    return -sum(log_probabilities.values()) / math.log(2) / size


def _probabilities(options: Options) -> list[float]:
    return np.diff(options.cumulative, prepend=0.0).tolist()


def _log_sum(logs: Sequence[float]) -> float:
    """log(sum(exp(logs))), -inf for none."""
    largest = max(logs, default=-math.inf)
    if largest == -math.inf:
        return largest
    return largest + math.log(sum(math.exp(value - largest) for value in logs))


def best_possible(held_out: Sequence[str], parser: Parser | None) -> dict | None:
    """Bits per byte of the grammar itself on held-out stories, None without a parser.

    Returns {"bits_per_byte", "stories", "bytes"}; ValueError as `Likelihood.log_probability`.
    """
    if parser is None:
        return None
    likelihood = Likelihood(parser)
    found = {text: likelihood.log_probability(text) for text in held_out}
    size = sum(len(text.encode()) for text in found)
    return {"bits_per_byte": bits_per_byte(found), "stories": len(found), "bytes": size}
