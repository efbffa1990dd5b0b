"""SentencePiece BPE tokenizers: trained here, or any existing `.model`.

The flags are those with which transformers and llama.cpp later split text into the same tokens:
BPE, byte fallback, no normalisation, no dummy prefix, unk 0, bos 1, eos 2.
"""

import io
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import sentencepiece as spm

from bitnet.config import refuse
from bitnet.files import verify, whole_file

TRAINING_BYTES = 20_000_000  # of text: BPE merges change little beyond it
LONGEST_LINE = 4_000  # bytes; SentencePiece would silently drop longer ones
SMALLEST = 300  # 3 special pieces, 256 bytes and some characters

# Settings of every tokenizer made here: text as it stands, ids that transformers and llama.cpp know
# as LLaMA's. With SentencePiece's defaults llama.cpp aborts.
PLAIN = {
    "normalization_rule_name": "identity",
    "remove_extra_whitespaces": False,
    "add_dummy_prefix": False,
    "unk_id": 0,
    "bos_id": 1,
    "eos_id": 2,
    "pad_id": -1,
    "num_threads": 1,
    "minloglevel": 2,
}


def train_tokenizer(texts: Iterable[str], vocab_size: int, path: str | Path) -> None:
    """Train a BPE tokenizer of exactly `vocab_size` pieces; ValueError where the text is too poor.

    Lines are the sentences, so a newline is always the byte piece <0x0A>, as in LLaMA's.
    """
    if vocab_size < SMALLEST:
        raise refuse("vocab_size", vocab_size, f"at least {SMALLEST} (256 bytes and characters)")
    model = io.BytesIO()
    try:
        spm.SentencePieceTrainer.train(
            sentence_iterator=_lines(texts),
            model_writer=model,
            vocab_size=vocab_size,
            model_type="bpe",
            byte_fallback=True,
            character_coverage=0.9999,
            max_sentence_length=2 * LONGEST_LINE,
            **PLAIN,
        )
    except RuntimeError as error:
        raise _too_large(vocab_size, str(error)) from None
    with whole_file(path) as beside:
        beside.write_bytes(model.getvalue())


def _lines(texts: Iterable[str]) -> Iterator[str]:
    size = 0
    for text in texts:
        for line in text.split("\n"):
            encoded = line.encode()
            for start in range(0, len(encoded), LONGEST_LINE):
                yield encoded[start : start + LONGEST_LINE].decode(errors="ignore")
            size += len(encoded)
        if size > TRAINING_BYTES:
            return


def _too_large(vocab_size: int, error: str) -> ValueError:
    """SentencePiece's complaint as one line."""
    at_most = re.search(r"<= (\d+)", error)
    if at_most:
        return refuse("vocab_size", vocab_size, f"at most {at_most[1]} for this text")
    at_least = re.search(r"smaller than required_chars\D* \d+ vs (\d+)", error)
    if at_least:
        return refuse("vocab_size", vocab_size, f"at least {at_least[1]}: the text's characters")
    return ValueError(f"vocab_size is {vocab_size}: SentencePiece says {error.split(chr(10))[0]}")


def open_tokenizer(path: str | Path) -> "Tokenizer":
    """A tokenizer made by this project: ValueError unless its checksum is the recorded one."""
    verify(path)  # before SentencePiece reads it, which has no checksum
    return Tokenizer(path)


class Tokenizer:
    """A loaded `.model` that can tell how many bytes each piece stands for."""

    def __init__(self, path: str | Path):
        """ValueError in one line where the file is not a SentencePiece model."""
        try:
            self.model = spm.SentencePieceProcessor(model_file=str(path))
            self.vocab_size = self.model.vocab_size()
            self.model.id_to_piece(list(range(self.vocab_size)))  # each must be text
        except (RuntimeError, OSError, UnicodeError):
            raise refuse("tokenizer", str(path), "a SentencePiece model") from None
        if self.model.bos_id() < 0 or self.model.eos_id() < 0:
            raise refuse("tokenizer", str(path), "a model with bos and eos pieces")

    def encode_documents(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text between bos and eos."""
        return self.model.encode(texts, add_bos=True, add_eos=True, num_threads=1)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids; bos and eos are left out."""
        return self.model.decode([int(i) for i in ids])

    def piece_bytes(self) -> np.ndarray:
        """UTF-8 bytes that each piece stands for, (vocab_size,): 0 for control pieces."""
        return np.array([self._bytes(i) for i in range(self.vocab_size)], dtype=np.int64)

    def _bytes(self, i: int) -> int:
        if self.model.is_control(i):
            return 0
        if self.model.is_byte(i):
            return 1
        return len(self.model.id_to_piece(i).replace("\u2581", " ").encode())
