"""Check of stories by the grammar: is each sentence grammatical, do its roles agree with others?"""

import re
from typing import NamedTuple

from bitnet.data.stories.parser import (
    Parse,
    Parser,
    articles_right,
    default_parser,
    without_articles,
)

SENTENCE_END = re.compile(r'[.!?]"?(?=\s|$)')
MOST_READINGS = 32  # alternative assignments of words to roles that are kept


class Checked(NamedTuple):
    """A sentence of a text, whether a rule generates it, and whether its roles agree too."""

    text: str
    grammatical: bool
    agrees: bool


def check_sentences(text: str, parser: Parser | None = None) -> list[Checked]:
    """Sentences of a text (in any order and number), each checked against the grammar.

    grammatical: some rule generates the sentence, with words of the right categories and right
    articles. agrees: also, its roles (hero, friend, thing, pronouns, ...) have the words that
    earlier sentences of the text introduced. Text that no rule generates counts as one sentence up
    to the next full stop. parser: by default that of the built-in corpus.
    """
    parser = parser or default_parser()
    found: list[Checked] = []
    readings: list[dict[str, str]] = [{}]
    start = 0
    while start < len(text):
        if text[start].isspace():
            start += 1
            continue
        by_end = _readable(parser, text, start)
        if not by_end:
            stop = SENTENCE_END.search(text, start)
            end = stop.end() if stop else len(text)
            found.append(Checked(text[start:end], False, False))
        else:
            agreeing = {end: _agreeing(parser, p, readings) for end, p in by_end.items()}
            # The longest sentence that agrees, else the longest
            end = max(by_end, key=lambda end: (bool(agreeing[end]), end))
            readings = agreeing[end] or readings
            found.append(Checked(text[start:end], True, bool(agreeing[end])))
        start = end
    return found


def _agreeing(
    parser: Parser, parses: list[Parse], readings: list[dict[str, str]]
) -> list[dict[str, str]]:
    """Words of roles after a sentence, for each compatible pair of a parse and a reading."""
    found = [parser.bound(roles, parse) for parse in parses for roles in readings]
    unique = {tuple(sorted(roles.items())): roles for roles in found if roles is not None}
    return list(unique.values())[:MOST_READINGS]


def _readable(parser: Parser, text: str, start: int) -> dict[int, list[Parse]]:
    """Parses of all kinds that begin at `start`, by their end; those with right articles only."""
    plain = without_articles(text[start:])
    shift = {}  # ends in the plain text -> ends in the text
    by_end: dict[int, list[Parse]] = {}
    for kind in parser.rules:
        for parse in parser.parses(plain, 0, kind):
            end = shift.get(parse.end)
            if end is None:
                end = shift[parse.end] = _end_in(text, start, parse.end)
            if articles_right(text[start:end]):
                by_end.setdefault(end, []).append(parse)
    return by_end


def _end_in(text: str, start: int, length: int) -> int:
    """End of the part of a text that has this length without the n of its articles."""
    end = start + length
    while len(without_articles(text[start:end])) < length:
        end += 1
    return end
