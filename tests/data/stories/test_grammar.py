"""The built-in corpus: reproducible, varied, and predictable from context alone."""

import io
import math
import re
from collections import Counter
from itertools import islice

import numpy as np
import pytest
import sentencepiece

from bitnet.data.stories.grammar import PRONOUNS, Telling, default_grammar, stories

POSITIONS = 4096  # held-out predictions of which the distinct ones are counted


def take(split: str, characters: int, seed: int = 0) -> list[str]:
    """The first stories of a stream, `characters` in all."""
    taken, length = [], 0
    for story in stories(seed, split):
        taken.append(story)
        length += len(story)
        if length >= characters:
            return taken
    raise AssertionError("the stream ended")


@pytest.fixture(scope="module")
def train() -> list[str]:
    return take("train", 4_500_000)


@pytest.fixture(scope="module")
def frequencies(train) -> Counter:
    text = "\n".join(train)[:3_000_000]
    return Counter(re.findall(r"[a-z][a-z'-]*", text.lower()))


@pytest.fixture(scope="module")
def tellings() -> list[tuple[str, dict[str, str]]]:
    """Stories with the words of their roles."""
    told = [Telling(default_grammar(), np.random.default_rng(i)) for i in range(10_000)]
    return [(telling.story(), telling.roles) for telling in told]


def test_a_seed_and_a_split_give_the_same_stories():
    assert list(islice(stories(3, "train"), 50)) == list(islice(stories(3, "train"), 50))


def test_seeds_and_splits_share_no_story(train):
    validation = set(take("validation", 300_000))
    assert not validation & set(train)
    assert not validation & set(take("validation", 300_000, seed=1))


def test_an_unknown_split_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'test'.*train, validation"):
        stories(0, "test")


def test_stories_are_short_texts_of_sentences(train):
    for story in train[:2000]:
        assert 60 <= len(story.split()) <= 200
        assert not re.search(r"[{}|_]|  |\ba [aeiou]|\ban [^aeiouAEIOU]", story), story
        assert all(re.match(r'["A-Z].*[.!?]"?$', line) for line in story.split("\n")), story


def test_a_category_lists_no_word_twice():
    for category, words in default_grammar().words.items():
        twice = [text for text, n in Counter(word.text for word in words).items() if n > 1]
        assert not twice, category


def test_the_corpus_has_many_word_types(frequencies):
    assert len(frequencies) >= 1500


def test_word_frequencies_follow_zipf(frequencies):
    counts = np.array(sorted(frequencies.values(), reverse=True))
    ranks = np.arange(10, 1001)
    slope, _ = np.polyfit(np.log(ranks), np.log(counts[ranks - 1]), 1)
    assert -1.5 < slope < -0.7


def test_every_entity_is_named_in_its_story(tellings):
    # A role drawn but never mentioned would hide in the probability of the text.
    for story, roles in tellings:
        for role, word in roles.items():
            if role not in PRONOUNS["girl"]:
                assert word.lower() in story.lower(), (role, word, story)


def test_objects_are_mentioned_again(tellings):
    mentions = [story.count(roles["thing"]) for story, roles in tellings if "thing" in roles]
    assert np.median(mentions) >= 4


@pytest.mark.parametrize(("of", "given"), [("thing", "hero"), ("place", "hero"), ("box", "thing")])
def test_entities_come_with_their_typical_companions(tellings, of, given):
    pairs = Counter((r[given], r[of]) for _, r in tellings if given in r and of in r)
    total = pairs.total()
    overall, givens = Counter(), Counter()
    for (known, word), n in pairs.items():
        overall[word] += n
        givens[known] += n
    information = sum(
        n / total * math.log2(n * total / (givens[known] * overall[word]))
        for (known, word), n in pairs.items()
    )
    assert information > 0.5  # bits; independent slots would have 0 but for sampling

    known, _ = givens.most_common(1)[0]
    lifts = {word: pairs[known, word] / givens[known] - n / total for word, n in overall.items()}
    top = max(lifts, key=lifts.__getitem__)
    assert pairs[known, top] / givens[known] > 2 * overall[top] / total


@pytest.fixture(scope="module", params=[2048, 1024])
def tokens(request, train) -> tuple[np.ndarray, np.ndarray, int]:
    """Training and validation tokens, bos before each story, and the vocabulary size."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(train[:2500]),
        model_writer=model,
        model_type="bpe",
        vocab_size=request.param,
        byte_fallback=True,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        add_dummy_prefix=False,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        pad_id=-1,
        character_coverage=1.0,
        num_threads=1,
        minloglevel=2,
    )
    tokenizer = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    assert tokenizer.decode(tokenizer.encode(train[0])) == train[0]  # line breaks included
    encoded = [
        np.concatenate([[1, *ids] for ids in tokenizer.encode(texts)])
        for texts in (train, take("validation", 100_000))
    ]
    return encoded[0], encoded[1], request.param


def n_gram(train: np.ndarray, held_out: np.ndarray, order: int, vocab_size: int):
    """Distinct predictions and mean loss (nats) of an n-gram at POSITIONS held-out positions.

    The loss adds 0.01 to each count; the argmax of an unseen context counts as token 0.
    """

    def keys(ids: np.ndarray, length: int) -> list[int]:
        key = np.zeros(len(ids) - order + 1, dtype=np.int64)
        for i in range(length):
            key = key * vocab_size + ids[i : i + len(key)]
        return key.tolist()

    contexts = Counter(keys(train, order - 1))
    counts = Counter(keys(train, order))
    best: dict[int, int] = {}
    for key, n in counts.items():
        context, token = divmod(key, vocab_size)
        if context not in best or n > counts[context * vocab_size + best[context]]:
            best[context] = token
    held_out = held_out[: POSITIONS + order - 1]
    seen = keys(held_out, order - 1)
    predictions = {best.get(context, 0) for context in seen}
    losses = [
        -math.log((counts[key] + 0.01) / (contexts[context] + 0.01 * vocab_size))
        for context, key in zip(seen, keys(held_out, order), strict=True)
    ]
    return len(predictions), np.mean(losses)


def test_the_likeliest_next_token_depends_on_the_context(tokens):
    train, held_out, vocab_size = tokens
    (one, unigram), (two, bigram), (three, trigram) = (
        n_gram(train, held_out, order, vocab_size) for order in (1, 2, 3)
    )
    assert one == 1
    assert two >= 100
    assert three >= 300
    assert 5.3 < unigram < 6.5
    assert unigram - 2 > bigram > trigram + 0.3
    assert 1.5 < trigram < 2.8
