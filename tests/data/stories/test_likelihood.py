"""The grammar read backwards: exact probabilities, and sentences that are right and agree."""

import math
import re
from bisect import bisect_right
from collections import Counter
from itertools import islice

import numpy as np
import pytest

from bitnet.data.stories.check import check_sentences
from bitnet.data.stories.grammar import Grammar, Telling, default_grammar, stories
from bitnet.data.stories.likelihood import Likelihood, bits_per_byte
from bitnet.data.stories.parser import Parser, articles_right, default_parser, without_articles

# Small enough to be told in every way, with what makes it hard: a sentence left out half the time,
# one text from two rules, a role that is drawn and not always named, articles.
TINY = """
[words names]
girl: Ann Eve
boy: Tom
[words things]
owl cup
[words big]
old new
[words seen]
saw met
[roles]
hero names -
thing things hero
[outlines]
opening look? end
opening / look
[rule opening]
{hero} was a {girl}.
[rule look]
{He} {seen|hero} a {big|thing} {thing}.
{He} {seen|hero} something {big|thing}.
[rule end]
{He} {seen|hero} something {big|thing}.
{hero} was an old {girl}.
"""

TOLD = 8_000  # tellings of it


class Scored(Telling):
    """A telling that adds up the logarithm of each of its decisions."""

    log_probability = 0.0

    def choose(self, options):
        i = bisect_right(options.cumulative, self._uniform())
        before = options.cumulative[i - 1] if i else 0.0
        self.log_probability += math.log(options.cumulative[i] - before)
        return options.values[i]


@pytest.fixture(scope="module")
def tiny() -> Likelihood:
    return Likelihood(Parser(Grammar(TINY)))


@pytest.fixture(scope="module")
def told(tiny) -> Counter:
    rng = np.random.default_rng(5)
    return Counter(tiny.grammar.story(rng) for _ in range(TOLD))


def test_the_probabilities_of_all_stories_of_a_small_grammar_sum_to_one(tiny, told):
    # So many tellings meet every story of it but the rarest.
    total = sum(math.exp(tiny.log_probability(story)) for story in told)
    assert 0.999 < total < 1 + 1e-9


def test_a_probability_is_how_often_the_story_is_told(tiny, told):
    for story, count in told.most_common(40):
        p = math.exp(tiny.log_probability(story))
        assert abs(count / TOLD - p) < 5 * math.sqrt(p / TOLD), story


def test_one_text_from_two_rules_and_a_hidden_role_by_hand(tiny):
    # "She saw something new." behind the opening is `look` with nothing after it (the second
    # outline has a paragraph there), or the first outline without `look` and its first `end`.
    grammar = tiny.grammar

    def p(options, value):
        i = list(options.values).index(value)
        return options.cumulative[i] - (options.cumulative[i - 1] if i else 0.0)

    ends = grammar.sentences["end"]
    first = ends.cumulative[0]
    seen = ends.values[0].slots[1].table
    big = ends.values[0].slots[2].table
    things = grammar.roles["thing"].table
    hidden = sum(p(things["Ann"], t) * p(big[t], "new") for t in ("owl", "cup"))
    outline = grammar.outlines.cumulative[0]
    expected = p(grammar.heroes, "Ann") * outline * 0.5 * first * p(seen["Ann"], "saw") * hidden
    found = tiny.log_probability("Ann was a girl. She saw something new.")
    assert found == pytest.approx(math.log(expected), abs=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Ann was a girl",
        "Ann was a boy.",
        "Ann was a girl. He saw a new cup.",
        "Ann was a girl. She saw an new cup. Ann was an old girl.",
        "Ann was a girl. She saw a owl.",
        "Ann was a girl. Eve was an old girl.",
        "Ann was a girl. Ann was an old girl. She saw something new.",
    ],
)
def test_what_the_grammar_cannot_tell_has_no_probability(tiny, text):
    assert tiny.log_probability(text) == -math.inf


def test_a_story_is_at_least_as_likely_as_the_way_it_was_told():
    likelihood = Likelihood(default_parser())
    for seed in range(60):
        telling = Scored(default_grammar(), np.random.default_rng(seed))
        story = telling.story()
        assert likelihood.log_probability(story) >= telling.log_probability - 1e-9


def test_bits_per_byte_is_the_mean_over_the_text():
    assert bits_per_byte({"ab": -2 * math.log(2), "é": -6 * math.log(2)}) == pytest.approx(2.0)


def test_articles():
    assert (
        without_articles("An owl ate an old pie and a cake.") == "A owl ate a old pie and a cake."
    )
    assert articles_right("An owl ate a pie. Anna ran.")
    assert not articles_right("A owl")
    assert without_articles("An pie") == "An pie"  # which no rule reads


def shares(texts: list[str]) -> tuple[float, float]:
    checked = [sentence for text in texts for sentence in check_sentences(text)]
    count = len(checked)
    return sum(c.grammatical for c in checked) / count, sum(c.agrees for c in checked) / count


def test_every_sentence_of_the_corpus_is_grammatical_and_agrees():
    assert shares(list(islice(stories(0, "validation"), 100))) == (1.0, 1.0)


def test_sentences_of_other_stories_are_grammatical_but_do_not_agree():
    told = [re.split(r'(?<=[.!?]) (?=[A-Z"])', s.replace("\n", " ")) for s in stories_of(60)]
    mixed = []
    for i in range(60):
        others = [told[(i + j) % 60] for j in range(8)]
        mixed.append(" ".join(lines[j % len(lines)] for j, lines in enumerate(others)))
    grammatical, agreeing = shares(mixed)
    assert grammatical > 0.8  # some rules are two sentences long, and were torn apart
    assert agreeing < grammatical - 0.2


def test_shuffled_words_and_wrong_articles_are_not_grammatical():
    rng = np.random.default_rng(0)
    shuffled = [" ".join(rng.permutation(story.split())) for story in stories_of(30)]
    assert shares(shuffled)[0] < 0.05
    (sentence,) = check_sentences("There he found an blue cup made of wood.")
    assert not sentence.grammatical


def test_a_pronoun_must_be_the_heros():
    rule = r"[A-Z]\w+ liked [^.]*, and (he|she) liked [^.]*\."
    stated = (re.search(rule, story) for story in stories_of(200))
    found = [match for match in stated if match]
    assert len(found) > 2
    for match in found:
        other = {"he": "she", "she": "he"}[match[1]]
        turned = match[0].replace(f" {match[1]} ", f" {other} ")
        assert [tuple(c)[1:] for c in check_sentences(match[0])] == [(True, True)]
        assert [tuple(c)[1:] for c in check_sentences(turned)] == [(True, False)]


def stories_of(count: int) -> list[str]:
    return list(islice(stories(0, "validation"), count))
