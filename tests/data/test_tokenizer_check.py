"""Tokenizers made elsewhere, tried on the text that they are to encode before it is trained on."""

from itertools import islice

import pytest
import sentencepiece as spm

from bitnet.common.files import write_json
from bitnet.data.stories.grammar import stories
from bitnet.data.text import write_text_part
from bitnet.data.tokenizer import Tokenizer
from bitnet.data.tokenizer_check import check_on, sample
from workflow.scripts import tokenizer as script

PLAIN = {
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
    "add_dummy_prefix": False,
}
TEXTS = list(islice(stories(0, "train"), 100))


@pytest.fixture
def model(tmp_path):
    """Train a SentencePiece model with flags of one's own."""

    def make(**flags) -> Tokenizer:
        with (tmp_path / "t.model").open("wb") as file:
            spm.SentencePieceTrainer.train(
                sentence_iterator=iter(TEXTS),
                model_writer=file,
                minloglevel=2,
                **{"vocab_size": 400, "model_type": "bpe", "byte_fallback": True, **flags},
            )
        return Tokenizer(tmp_path / "t.model")

    return make


def bytes_of(tokenizer: Tokenizer, text: str) -> int:
    [ids] = tokenizer.encode_documents([text])
    return int(tokenizer.piece_bytes()[ids].sum())


def test_a_plain_tokenizer_passes_in_silence(stories_data):
    assert check_on(stories_data.tokenizer, "bpe", [*TEXTS, "漢字  🙂\n"]) == []


def test_unk_above_the_share_is_refused_and_below_it_said(model):
    """Kind of fault: scripts that a vocabulary lacks became unk in silence, and losses fell."""
    poor = model(**PLAIN, byte_fallback=False, vocab_size=200)
    line = r"^tokenizer is 'poor'; allowed: one with at most 0.1% unk .* not \d+.\d% .*'漢'"
    with pytest.raises(ValueError, match=line) as caught:
        check_on(poor, "poor", ["A cat. 漢字"])
    assert "\n" not in str(caught.value)
    [said] = check_on(poor, "poor", [*TEXTS, "A cat. 漢"])
    assert "of the text's tokens are unk" in said and "'漢'" in said


def test_unk_holds_no_bytes(model):
    """Kind of fault: the five letters of `<unk>` were counted as text, for better bits per byte."""
    poor = model(**PLAIN, byte_fallback=False, vocab_size=200)
    assert bytes_of(poor, "漢") == 0


@pytest.mark.parametrize("text", [" a  b ", "x", TEXTS[0], "漢字 🙂"])
def test_a_dummy_prefix_is_no_byte_of_a_text(model, text):
    """Kind of fault: bits per byte too small by the blank put before each document."""
    prefixed = model(**{**PLAIN, "add_dummy_prefix": True})
    assert bytes_of(prefixed, text) == len(text.encode())
    assert check_on(prefixed, "prefixed", [text]) == []


@pytest.mark.parametrize(
    ("flags", "text", "before", "after"),
    [
        ({"remove_extra_whitespaces": True}, "One  day", "'One  day'", "'One day'"),
        ({"normalization_rule_name": "nfkc"}, "office \ufb01", "ice \ufb01'", "ice fi'"),
        ({"normalization_rule_name": "nfkc_cf"}, "A cat", "'A cat'", "'a cat'"),
    ],
)
def test_a_normaliser_that_changes_the_text_is_refused_else_said(model, flags, text, before, after):
    """Kind of fault: blanks collapsed or letters folded, losses per byte of a text nobody has."""
    changing = model(**{**PLAIN, **flags})
    with pytest.raises(ValueError, match="stand for the text itself") as caught:
        check_on(changing, "changing", [text])
    line = str(caught.value)
    assert f"{before} comes back as" in line and line.endswith(after) and "\n" not in line
    [said] = check_on(changing, "changing", ["a cat"])
    assert "its normaliser changes text" in said


def test_the_letter_that_stands_for_a_blank_is_said(stories_data):
    """Kind of fault: block art (U+2581) became blanks, and nothing said so."""
    [said] = check_on(stories_data.tokenizer, "bpe", ["art \u2581\u2582 here"])
    assert said.startswith("tokenizer bpe: U+2581, 0.091 of the text's characters, becomes a blank")


def test_a_sample_is_the_first_documents_up_to_a_size():
    assert list(sample(iter(["ab", "é", "c"]), 4)) == ["ab", "é"]
    assert list(sample(iter(["ab"]), 4)) == ["ab"]


def described(folder, *texts: str) -> str:
    """A text.json whose splits hold these documents."""
    parts = {split: write_text_part(texts, folder / f"{split}.parquet") for split in SPLITS}
    write_json(folder / "text.json", {split: {"parts": [part]} for split, part in parts.items()})
    return str(folder / "text.json")


SPLITS = ("train", "validation")


def test_the_script_refuses_before_it_writes_and_says_the_rest(model, tmp_path, capsys):
    """Kind of fault: a tokenizer of another language noticed only in the losses."""
    model(**{**PLAIN, "remove_extra_whitespaces": True})
    made = ["--vocab-size", "400", "--output", str(tmp_path / "copy.model")]
    taken = ["--model", str(tmp_path / "t.model"), *made]
    with pytest.raises(ValueError, match="comes back as"):
        script.main([*taken, "--sample", described(tmp_path, "Two  blanks")])
    assert not list(tmp_path.glob("copy.model*"))
    script.main([*taken, "--sample", described(tmp_path, "a cat")])
    assert (tmp_path / "copy.model").read_bytes() == (tmp_path / "t.model").read_bytes()
    assert "its normaliser changes text" in capsys.readouterr().err
