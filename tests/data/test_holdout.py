"""Documents held out by a share: by hash, and of a single document its end."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bitnet.common.errors import CorpusError
from bitnet.data.corpora import Documents
from bitnet.data.holdout import cut, of_split


def both(texts: list[str], share: float) -> tuple[list[str], list[str], dict]:
    odd: dict = {}
    return *(list(of_split(texts, share, held_out, odd)) for held_out in (False, True)), odd


def test_a_single_document_is_cut_and_its_last_share_held_out(tmp_path):
    """Questions of newcomers with one plain file: no document was left to hold out."""
    lines = [f"line {i} of a play that is one file" for i in range(1000)]
    (tmp_path / "input.txt").write_text("\n".join(lines), encoding="utf-8")
    source = {"source": "files", "train": [str(tmp_path / "*.txt")], "validation_share": 0.2}
    [train], [validation] = (list(Documents(source, split)) for split in ("train", "validation"))
    assert train.split("\n") + validation.split("\n") == lines
    assert 195 <= len(validation.split("\n")) <= 201


def test_without_line_ends_a_document_is_cut_between_words():
    front, back = cut("word " * 1000, 0.1)
    assert front == "word " * 900 and back == "word " * 100
    assert cut("x" * 100, 0.25) == ("x" * 75, "x" * 25)


@given(st.text(st.sampled_from("ab \n\r\t."), min_size=4, max_size=60), st.floats(0.05, 0.5))
def test_nothing_but_line_ends_is_lost_by_a_cut(text, share):
    front, back = cut(text, share)
    assert text.startswith(front) and text.endswith(back)
    assert not text[len(front) : len(text) - len(back)].strip("\r\n")
    assert len(back) <= len(text) * share + 1


def test_white_space_does_not_count_as_another_document():
    train, validation, odd = both([" ", "one document of words", "", "\n"], 0.4)
    assert [text for text in train if text.strip()] == ["one document "]
    assert [text for text in validation if text.strip()] == ["of words"]
    assert odd == {"one_document": {"count": 1}}


def test_two_documents_are_split_by_hash_alone():
    texts = ["first", "second"]
    for share in (0.3, 0.5, 0.7):
        try:
            train, validation, odd = both(texts, share)
        except CorpusError:
            continue
        assert sorted(train + validation) == texts and odd == {}


@pytest.mark.parametrize(("share", "held_out"), [(0.0, True), (1.0, False)])
def test_a_share_that_leaves_a_split_empty_is_refused_with_the_number_of_documents(share, held_out):
    """Questions of newcomers with a few long files: the line did not say how many there were."""
    with pytest.raises(CorpusError) as caught:
        list(of_split(["a", "b", " ", "c"], share, held_out, {}))
    done = "none" if held_out else "all"
    said = f"validation_share is {share:g}, which holds out {done} of 3 documents; allowed: "
    assert str(caught.value).startswith(said) and "`separator`" in str(caught.value)
    assert list(of_split([" ", ""], share, held_out, {})) == [" ", ""]  # said by whoever writes it
