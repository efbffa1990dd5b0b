"""Text is split by transformers and by the GGUF file's lists as it was split for training."""

import re
from itertools import islice
from pathlib import Path

import gguf
import pyarrow.parquet as pq
import pytest
import sentencepiece as spm
from transformers import AutoTokenizer

from bitnet.data.stories.grammar import stories
from bitnet.data.tokenizer import Tokenizer
from bitnet.data.tokenizer_training import train_tokenizer
from bitnet.export.gguf import add_tokenizer
from bitnet.export.tokenizer import fast_tokenizer, write_tokenizer
from tests.data.test_tokenizer import NASTY

LINES = 1_000
# Spelled out in a text, special pieces are taken for what they spell; byte pieces are not.
STRINGS = [re.sub("</?s>|<unk>", "", text) for text in NASTY]


def lines(texts) -> list[str]:
    """The first thousand lines that are not empty."""
    return list(islice((line for text in texts for line in text.split("\n") if line), LINES))


def by_transformers(path: Path, folder: Path):
    """The tokenizer as transformers loads it from the files of an export."""
    folder.mkdir(exist_ok=True)
    write_tokenizer(path, folder, 128)
    return AutoTokenizer.from_pretrained(folder, local_files_only=True)


def write_vocabulary(path: Path, to: Path) -> None:
    """A GGUF file of the tokenizer alone."""
    writer = gguf.GGUFWriter(to, "llama")
    add_tokenizer(writer, Tokenizer(path))
    writer.add_context_length(64)
    writer.add_embedding_length(256)
    writer.add_block_count(1)
    writer.add_head_count(4)
    writer.add_feed_forward_length(256)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def assert_alike(path: Path, folder: Path, texts: list[str]) -> None:
    """Ids, and the text that they stand for, are those of SentencePiece."""
    ours, theirs = Tokenizer(path), by_transformers(path, folder)
    for text in texts:
        ids = theirs(text, add_special_tokens=False)["input_ids"]
        assert ids == ours.model.encode(text), repr(text)
        assert theirs.decode(ids) == ours.decode(ids), repr(text)
    assert theirs(texts[0])["input_ids"][0] == ours.model.bos_id() == theirs.bos_token_id
    assert theirs.eos_token_id == ours.model.eos_id()


def test_a_thousand_lines_of_stories_and_nasty_strings_are_split_alike(stories_data, tmp_path):
    texts = [*lines(stories(1, "validation")), *STRINGS]
    assert len(texts) >= LINES
    assert_alike(stories_data.folder / "tokenizer.model", tmp_path, texts)


@pytest.mark.parametrize("size", [512, 4_096])
def test_a_thousand_lines_of_real_text_are_split_alike(real_data, tmp_path, size):
    train = pq.read_table(real_data("tinystories_train_sample.parquet"))["text"].to_pylist()
    train_tokenizer(train[:1_500], size, tmp_path / "t.model")
    held_out = pq.read_table(real_data("tinystories_validation_sample.parquet"))
    web = pq.read_table(real_data("fineweb_edu_validation_sample.parquet"))  # foreign characters
    for table in (held_out, web):
        texts = lines(table["text"].to_pylist())
        assert len(texts) == LINES
        assert_alike(tmp_path / "t.model", tmp_path / "out", [*texts, *STRINGS])


@pytest.fixture
def other_model(tmp_path):
    """Train a SentencePiece model with flags of one's own."""

    def make(**flags) -> Path:
        spm.SentencePieceTrainer.train(
            sentence_iterator=islice(stories(0, "train"), 100),
            model_writer=(file := (tmp_path / "other.model").open("wb")),
            **{"vocab_size": 400, "model_type": "bpe", "byte_fallback": True, **flags},
            minloglevel=2,
        )
        file.close()
        return tmp_path / "other.model"

    return make


ALIKE = {
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
    "add_dummy_prefix": False,
}


@pytest.mark.parametrize(
    "flags",
    [
        {**ALIKE, "model_type": "unigram"},
        {**ALIKE, "remove_extra_whitespaces": True},
        {**ALIKE, "normalization_rule_name": "nmt_nfkc"},
        {**ALIKE, "byte_fallback": False},
        {},  # SentencePiece's defaults
    ],
)
def test_a_tokenizer_that_would_be_split_otherwise_is_refused(other_model, flags, tmp_path):
    tokenizer = Tokenizer(other_model(**flags))
    with pytest.raises(ValueError, match="allowed: a BPE model with byte fallback, without norm"):
        fast_tokenizer(tokenizer)
    with pytest.raises(ValueError, match="allowed: a BPE model"):
        add_tokenizer(gguf.GGUFWriter(None, "llama"), tokenizer)


@pytest.mark.parametrize("prefix", [False, True])
def test_a_foreign_tokenizer_with_our_flags_or_a_dummy_prefix_is_taken(
    other_model, tmp_path, prefix
):
    path = other_model(**{**ALIKE, "add_dummy_prefix": prefix})
    assert_alike(path, tmp_path / "out", [*lines(stories(2, "validation")), *STRINGS])


ODD = [
    *STRINGS,
    *(" " * count for count in range(330)),
    *(f"a{' ' * count}b" for count in range(330)),
    "x" * 3_000,
    "1234567890 3.14",
]


@pytest.mark.parametrize("name", ["llama2_32000", "mistral_v1_32000"])
def test_the_models_of_llama_2_and_mistral_split_odd_lines_alike(real_data, tmp_path, name):
    """Kind of fault: a dummy prefix lost or doubled by a converter, long runs of blanks."""
    web = pq.read_table(real_data("fineweb_edu_validation_sample.parquet"))["text"].to_pylist()
    path = real_data(f"tokenizers/{name}.model")
    assert_alike(path, tmp_path / "out", [*ODD, *lines(web)])
    assert metadata(path, tmp_path)["tokenizer.ggml.add_space_prefix"] is True


def metadata(path: Path, folder: Path) -> dict:
    """What a GGUF file says about a tokenizer."""
    write_vocabulary(path, folder / "t.gguf")
    fields = gguf.GGUFReader(folder / "t.gguf").fields
    return {key: fields[key].contents() for key in fields if key.startswith("tokenizer")}


def test_the_pad_token_is_unk_or_the_models_own(stories_data, other_model, tmp_path):
    """Kind of fault: batches refused without a pad token; eos as pad left out of a loss."""
    own = other_model(**ALIKE, pad_id=3)
    for path, pad in ((stories_data.folder / "tokenizer.model", 0), (own, 3)):
        theirs = by_transformers(path, tmp_path / "out")
        assert (theirs.pad_token_id, theirs.padding_side) == (pad, "left")
        assert theirs("a")["input_ids"] == Tokenizer(path).model.encode("a", add_bos=True)
        said = metadata(path, tmp_path)
        assert said["tokenizer.ggml.padding_token_id"] == pad
        assert said["tokenizer.ggml.add_space_prefix"] is False
