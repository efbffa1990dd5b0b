"""Tokenizer training with SentencePiece: BPE or single characters, or Mistral's existing model.

With these flags transformers and llama.cpp split text into the same tokens: BPE, byte fallback, no
normalisation, no dummy prefix, unk 0, bos 1, eos 2. A character model is for small closed
alphabets such as arithmetic's: pieces of its vocabulary that no character needs are reserved.
Mistral's first model comes with the package `mistral-common` under Apache-2.0; LLaMA-2's, also of
32,000 pieces, is gated.
"""

import io
import re
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import sentencepiece as spm

from bitnet.common.errors import refuse
from bitnet.common.files import sha256, whole_file

SPECIAL_PIECES = 3  # unk, bos, eos

MISTRAL_FILE = "mistral_common/data/tokenizer.model.v1"
MISTRAL_SHA256 = "dadfd56d766715c61d2ef780a525ab43b8e6da4de6865bda3d95fdef5e134055"
MISTRAL_MISSING = "pip install -e '.[mistral]', or choose bpe or the path of a .model"

TRAINING_BYTES = 20_000_000  # of text: BPE merges change little beyond it
LONGEST_LINE = 4_000  # bytes; SentencePiece would silently drop longer ones
SMALLEST_BPE = 300  # 3 special pieces, 256 bytes and some characters

# Settings of every tokenizer trained here: text is not changed, and the ids of special pieces are
# LLaMA's, as transformers and llama.cpp expect. With SentencePiece's defaults llama.cpp aborts.
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


def train_characters(texts: Iterable[str], vocab_size: int, path: str | Path) -> None:
    """Write a model of exactly `vocab_size` pieces: one per character of the texts, the rest spare.

    ValueError in one line where the texts have too many characters, or one that SentencePiece
    cannot keep.
    """
    alphabet = sorted({character for text in texts for character in text})
    reserved = vocab_size - SPECIAL_PIECES - len(alphabet)
    if reserved < 0:
        needed = SPECIAL_PIECES + len(alphabet)
        raise refuse("vocab_size", vocab_size, f"at least {needed}: the text's characters")
    model = io.BytesIO()
    spm.SentencePieceTrainer.train(
        # Every character once, so that the order of pieces depends on the alphabet alone
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


def mistral_model() -> Path:
    """Path of Mistral's first model in the package `mistral-common`.

    ValueError in one line where the package is missing or its model has another checksum.
    """
    try:
        package = distribution("mistral-common")
    except PackageNotFoundError:
        raise ValueError(
            f"tokenizer is mistral; mistral-common is not installed: {MISTRAL_MISSING}"
        ) from None
    path = Path(str(package.locate_file(MISTRAL_FILE)))
    if not path.is_file() or sha256(path) != MISTRAL_SHA256:
        raise ValueError(
            f"tokenizer is mistral; mistral-common {package.version} has not the {MISTRAL_FILE} "
            f"that is meant: {MISTRAL_MISSING}"
        )
    return path


def train_tokenizer(texts: Iterable[str], vocab_size: int, path: str | Path) -> None:
    """Train a BPE tokenizer of exactly `vocab_size` pieces on about TRAINING_BYTES of text.

    Text is split at line breaks, so a newline is always the byte piece <0x0A>, as in LLaMA's.
    ValueError in one line where `vocab_size` is too small, or larger than the text supports.
    """
    if vocab_size < SMALLEST_BPE:
        raise refuse(
            "vocab_size", vocab_size, f"at least {SMALLEST_BPE} (256 bytes and characters)"
        )
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
    """SentencePiece's error about the vocabulary's size, as an error in one line."""
    at_most = re.search(r"<= (\d+)", error)
    if at_most:
        return refuse("vocab_size", vocab_size, f"at most {at_most[1]} for this text")
    at_least = re.search(r"smaller than required_chars\D* \d+ vs (\d+)", error)
    if at_least:
        return refuse("vocab_size", vocab_size, f"at least {at_least[1]}: the text's characters")
    return ValueError(f"vocab_size is {vocab_size}: SentencePiece says {error.split(chr(10))[0]}")
