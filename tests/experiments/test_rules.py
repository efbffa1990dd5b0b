"""Signs of failure: found where they are by construction, not found in held-out stories."""

import math
from itertools import islice

import numpy as np
import pytest
import torch

from bitnet.config.recipe import ModelConfig
from bitnet.data.stories.grammar import stories
from bitnet.evaluation.text_quality import longest_run, words
from bitnet.evaluation.weight_histograms import EDGES, latent_weights
from bitnet.experiments.rules import of_losses, of_texts
from bitnet.model.quantization import ternary_codes
from bitnet.model.transformer import Transformer

STORIES = list(islice(stories(0, "validation"), 40))
KNOWN = {word for story in islice(stories(0, "train"), 800) for word in words(story)}


def test_words_are_lower_case_and_marks_stand_alone():
    assert words('"Oh, Tom\'s yo-yo!"') == ['"', "oh", ",", "tom's", "yo-yo", "!", '"']


@pytest.mark.parametrize(
    ("items", "times", "phrase"),
    [
        ("the the the the", 4, ("the",)),
        ("a b a b a b c", 3, ("a", "b")),
        ("a b c d a b c d", 2, ("a", "b", "c", "d")),
        ("a b c d", 1, ()),
        ("x a a x a a a y", 3, ("a",)),
    ],
)
def test_the_longest_run_of_a_phrase(items, times, phrase):
    found, what = longest_run(items.split())
    assert found == times and sorted(what) == sorted(phrase)


@pytest.mark.parametrize(
    ("losses", "diverged", "sign"),
    [
        ([7.6, 5.01], False, "loss stuck: 5.01 at the end, above 5"),
        ([7.6, 4.9], False, "the unigram's is 4.50"),
        ([7.6, math.nan], False, "NaN"),
        ([7.6, 2.0], True, "NaN"),
        ([7.6, 2.0], False, None),
    ],
)
def test_what_losses_say(losses, diverged, sign):
    found = of_losses(losses, unigram=4.5, diverged=diverged)
    assert (found == []) if sign is None else (sign in found[0] and len(found) == 1)


def test_held_out_stories_show_no_sign_of_failure():
    assert of_texts(STORIES, KNOWN) == []


def test_repetition_is_a_sign_in_more_than_a_tenth_of_the_texts():
    looped = [f"{story} he ran and he ran and he ran and he ran and" for story in STORIES]
    assert of_texts([*looped[:4], *STORIES[4:]], KNOWN) == []
    (sign,) = of_texts([*looped[:5], *STORIES[5:]], KNOWN)
    assert "5 of 40 texts" in sign and "4 times" in sign


def test_words_that_nobody_taught_are_a_sign():
    backwards = [" ".join(word[::-1] for word in story.split()) for story in STORIES]
    (sign,) = of_texts(backwards, KNOWN)
    assert sign.startswith("gibberish: ") and "words of the training text" in sign
    assert "0% of 0 words" in of_texts(["... !"], KNOWN)[0]


@pytest.mark.parametrize("weights", ["ternary", "full_precision"])
def test_latent_weights_are_counted_as_the_quantiser_rounds_them(weights):
    torch.manual_seed(0)
    model = Transformer(ModelConfig(32, 64, 2, weights=weights), 16)
    arrays = {name: p.detach().numpy() for name, p in model.named_parameters()}
    found = latent_weights(arrays)
    for part, word in (("attention", "self_attn"), ("feed_forward", "mlp")):
        matrices = [m.weight for n, m in model.named_modules() if f".{word}." in n and "_proj" in n]
        codes = torch.cat([ternary_codes(w)[0].flatten() for w in matrices])
        expected = [(codes == value).double().mean().item() for value in (-1, 0, 1)]
        np.testing.assert_allclose(found[part]["ternary"], expected, atol=1e-5)
        assert sum(found[part]["histogram"]) == found[part]["count"] == codes.numel()
        assert len(found[part]["histogram"]) == len(EDGES) - 1


def test_arrays_without_layers_are_refused():
    with pytest.raises(ValueError, match="no attention matrix"):
        latent_weights({"embed_tokens.weight": np.zeros((2, 2))})
