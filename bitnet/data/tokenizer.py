"""SentencePiece tokenizer of a data set: text to token ids and back."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import sentencepiece as spm

from bitnet.common.errors import refuse
from bitnet.common.files import verify

SPACE = "\u2581"  # how SentencePiece writes a blank; as a letter of a text it becomes one


def open_tokenizer(path: str | Path) -> "Tokenizer":
    """A tokenizer made by this project; ValueError where its file or checksum is wrong."""
    verify(path)  # before SentencePiece reads it, which has no checksum
    return Tokenizer(path)


class Tokenizer:
    """A loaded SentencePiece `.model` with bos and eos pieces."""

    def __init__(self, path: str | Path):
        """Load a model; ValueError in one line where it is none or has no bos or eos."""
        try:
            self.model = spm.SentencePieceProcessor(model_file=str(path))
            self.vocab_size = self.model.vocab_size()
            self.model.id_to_piece(list(range(self.vocab_size)))  # each must be text
        except (RuntimeError, OSError, UnicodeError):
            raise refuse("tokenizer", str(path), "a SentencePiece model") from None
        if self.model.bos_id() < 0 or self.model.eos_id() < 0:
            raise refuse("tokenizer", str(path), "a model with bos and eos pieces")
        self.dummy_prefix = SPACE in self.model.normalize("a")
        """Whether a blank is put before each text, as with LLaMA-2's and Mistral's models."""

    def encode_documents(self, texts: list[str]) -> list[list[int]]:
        """Token ids of each text, with bos before and eos after them."""
        return self.model.encode(texts, add_bos=True, add_eos=True, num_threads=1)

    def decode(self, ids: Iterable[int]) -> str:
        """Text of token ids; bos and eos are left out."""
        return self.model.decode([int(i) for i in ids])

    def piece_bytes(self) -> np.ndarray:
        """Bytes of text that each piece stands for, (vocab_size,) int64, to be summed over tokens.

        0 for control pieces, and for unk, whose text is not known. With a dummy prefix bos counts
        -1: the first piece of the document behind it holds a blank that the text does not.
        """
        sizes = np.array([self._bytes(i) for i in range(self.vocab_size)], dtype=np.int64)
        if self.dummy_prefix:
            sizes[self.model.bos_id()] = -1
        return sizes

    def _bytes(self, i: int) -> int:
        if self.model.is_control(i) or self.model.is_unknown(i):
            return 0
        if self.model.is_byte(i):
            return 1
        return len(self.model.id_to_piece(i).replace(SPACE, " ").encode())
