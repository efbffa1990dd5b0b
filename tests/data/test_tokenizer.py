"""Tokenizers: any text comes back, no byte is lost, what cannot be is refused."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bitnet.data.tokenizer import Tokenizer
from bitnet.data.tokenizer_training import train_tokenizer

NASTY = [
    "line\nbreak\n\nand\r\nWindows",
    "  spaces  inside   and  at the ends ",
    "\ttabs\tand \u00a0 odd \u3000 spaces",
    "emoji 🙂👩\u200d👩\u200d👧🇫🇷 and e\u0301 é",
    "\0 nul \x7f \x80 controls \u2028",
    "\ufeff mark, \ufffd replacement, \uffff nothing",
    "<s> </s> <unk> <0x0A> literally",
    "漢字 עברית العربية ไทย",
]
MODELS = {
    "mistral_v1_32000.model": 32_000,
    "llama2_32000.model": 32_000,
    "tinystories_tok4096.model": 4_096,
    "tinystories_tok2048.model": 2_048,
}
# SentencePiece writes a space as U+2581, so that letter itself comes back as a space.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\u2581"))


def one_line(caught) -> str:
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("text", NASTY)
def test_any_text_comes_back_from_its_tokens(stories_data, text):
    [ids] = stories_data.tokenizer.encode_documents([text])
    assert stories_data.tokenizer.decode(ids) == text


@given(text=texts)
@example(text="\n")
@example(text="")
def test_tokens_hold_exactly_the_bytes_of_the_text(stories_data, text):
    tokenizer = stories_data.tokenizer
    [ids] = tokenizer.encode_documents([text])
    assert tokenizer.decode(ids) == text
    assert tokenizer.piece_bytes()[ids].sum() == len(text.encode())
    assert (ids[0], ids[-1]) == (1, 2)
    assert not {0, 1, 2} & set(ids[1:-1])


def test_real_stories_come_back_and_hold_their_bytes(stories_data, real_data):
    text = real_data("tinystories_validation_first200.txt").read_text(encoding="utf-8")[:50_000]
    [ids] = stories_data.tokenizer.encode_documents([text])
    assert stories_data.tokenizer.decode(ids) == text
    assert stories_data.tokenizer.piece_bytes()[ids].sum() == len(text.encode())


def test_unknown_begin_and_end_are_0_1_2_and_nothing_else_is_special(stories_data):
    model = stories_data.tokenizer.model
    assert (model.unk_id(), model.bos_id(), model.eos_id(), model.pad_id()) == (0, 1, 2, -1)
    assert [model.id_to_piece(i) for i in (0, 1, 2)] == ["<unk>", "<s>", "</s>"]
    assert [i for i in range(512) if model.is_control(i)] == [1, 2]
    assert sum(model.is_byte(i) for i in range(512)) == 256


def test_the_tokenizer_has_exactly_the_pieces_asked_for(tmp_path, stories_data):
    assert stories_data.tokenizer.vocab_size == 512
    train_tokenizer(NASTY * 20, 400, tmp_path / "t.model")
    assert Tokenizer(tmp_path / "t.model").vocab_size == 400


def test_the_tokenizer_is_byte_pair_encoding_without_normalisation_or_prefix(stories_data):
    model = stories_data.tokenizer.model
    # SentencePiece gives the pieces of BPE the negated order of their merges, of Unigram log odds.
    merged = [i for i in range(512) if len(model.id_to_piece(i)) > 1 and i >= 3 + 256]
    assert [model.get_score(i) for i in merged] == [-float(rank) for rank in range(len(merged))]
    assert len(merged) > 100
    assert model.encode("e\u0301ﬁ²Ａ") != model.encode("éfi2A")  # NFKC would make them one
    assert not model.id_to_piece(model.encode("cat")[0]).startswith("▁")
    assert model.id_to_piece(model.encode(" cat")[0]).startswith("▁")


def test_training_twice_gives_the_same_tokenizer(tmp_path):
    for name in ("a", "b"):
        train_tokenizer(NASTY * 20, 400, tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("text", "vocab_size", "message"),
    [
        ("a few words", 299, r"vocab_size is 299; allowed: at least 300 .*"),
        ("ab" * 50, 1000, r"vocab_size is 1000; allowed: at most 2\d\d for this text"),
        # 500 letters, 256 bytes, 3 special pieces
        (
            "".join(chr(0x4E00 + i) for i in range(500)) * 2,
            512,
            r"vocab_size is 512; allowed: at least 7[56]\d: the text's characters",
        ),
    ],
)
def test_a_vocabulary_that_the_text_cannot_fill_or_that_cannot_hold_it_is_refused(
    tmp_path, text, vocab_size, message
):
    with pytest.raises(ValueError, match=f"^{message}$") as caught:
        train_tokenizer([text], vocab_size, tmp_path / "t.model")
    one_line(caught)
    assert list(tmp_path.iterdir()) == []


def test_the_least_and_the_most_that_a_refusal_names_are_enough(tmp_path):
    poor, rich = ["abcdefgh " * 9], ["".join(chr(0x4E00 + i) for i in range(500)) * 2]
    for text, wrong in ((poor, 100_000), (rich, 512)):
        with pytest.raises(ValueError) as caught:
            train_tokenizer(text, wrong, tmp_path / "t.model")
        words = one_line(caught).replace(":", " ").split()
        allowed = int(words[words.index("allowed") + 3])
        if allowed >= 300:
            train_tokenizer(text, allowed, tmp_path / "t.model")
            assert Tokenizer(tmp_path / "t.model").vocab_size == allowed
        else:
            assert text is poor


def test_long_lines_are_not_dropped_by_the_training(tmp_path):
    # SentencePiece leaves out sentences over its limit: the pair "xy" occurs only there.
    train_tokenizer(["xy" * 50_000, *NASTY], 320, tmp_path / "t.model")
    [ids] = Tokenizer(tmp_path / "t.model").encode_documents(["xyxyxyxy"])
    assert len(ids) < 2 + 8


@pytest.mark.parametrize(("name", "vocab_size"), MODELS.items())
def test_existing_models_load_and_count_bytes(real_data, name, vocab_size):
    tokenizer = Tokenizer(real_data(f"tokenizers/{name}"))
    assert tokenizer.vocab_size == vocab_size
    assert len(tokenizer.piece_bytes()) == vocab_size
    text = "One day, a cat 🙂\nsat down."
    [ids] = tokenizer.encode_documents([text])
    assert (ids[0], ids[-1]) == (1, 2)
    assert tokenizer.decode(ids) == text
    # These models were made with SentencePiece's dummy prefix: a blank that the text has not.
    assert tokenizer.dummy_prefix and tokenizer.piece_bytes()[ids].sum() == len(text.encode())


@pytest.mark.parametrize("content", [b"", b"no model", b"\x0a\x0b" * 100, None])
def test_a_file_that_is_no_model_is_refused(tmp_path, content):
    path = tmp_path / "t.model"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError) as caught:
        Tokenizer(path)
    assert one_line(caught) == f"tokenizer is {str(path)!r}; allowed: a SentencePiece model"
