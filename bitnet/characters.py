"""A tokenizer of single characters, as a SentencePiece model like any other.

For small closed alphabets such as arithmetic's: its size is stated, and what the text's characters
leave of it is reserved, so that models of one size compare whatever the text holds.
"""

import io
from collections.abc import Iterable
from pathlib import Path

import sentencepiece as spm

from bitnet.config import refuse
from bitnet.files import whole_file
from bitnet.tokenizer import PLAIN

SPECIAL = 3  # unk, bos, eos


def train_characters(texts: Iterable[str], vocab_size: int, path: str | Path) -> None:
    """Write a model of exactly `vocab_size` pieces: every character of the texts, then reserves.

    ValueError where the texts have more characters than fit.
    """
    alphabet = sorted({character for text in texts for character in text})
    reserved = vocab_size - SPECIAL - len(alphabet)
    if reserved < 0:
        needed = SPECIAL + len(alphabet)
        raise refuse("vocab_size", vocab_size, f"at least {needed}: the text's characters")
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        # Every character once: the order of pieces then depends on the alphabet alone
        sentence_iterator=iter(["".join(alphabet)]),
        model_writer=model,
        vocab_size=vocab_size,
        model_type="char",
        control_symbols=[f"<reserved{i}>" for i in range(reserved)],
        character_coverage=1.0,
        **PLAIN,
    )
    pieces = spm.SentencePieceProcessor(model_proto=model.getvalue())
    if odd := [c for c in alphabet if len(ids := pieces.encode(c)) != 1 or pieces.decode(ids) != c]:
        raise refuse("tokenizer", "characters", f"bpe, for a text that holds {odd[0]!r}")
    with whole_file(path) as beside:
        beside.write_bytes(model.getvalue())
