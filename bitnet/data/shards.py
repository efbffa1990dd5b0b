"""Token shards: flat binary files of token ids (uint16 or uint32), described in JSON."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from bitnet.common.files import sha256, whole_file
from bitnet.data.tokenizer import Tokenizer

CHARACTERS_AT_ONCE = 1_000_000  # encoded together: ids take 30 times the memory of their text


def write_shard(texts: Iterable[str], tokenizer: Tokenizer, path: str | Path) -> dict:
    """Encode documents into one file and return its description.

    That is its file name, sha256, dtype, and numbers of tokens, UTF-8 bytes and documents.
    """
    dtype = np.dtype(np.uint16 if tokenizer.vocab_size <= 2**16 else np.uint32)
    tokens = size = documents = 0
    with whole_file(path) as beside, beside.open("wb") as file:
        for batch in _chunks(texts):
            for text, ids in zip(batch, tokenizer.encode_documents(batch), strict=True):
                np.asarray(ids, dtype=dtype).tofile(file)
                tokens += len(ids)
                size += len(text.encode())
            documents += len(batch)
        file.flush()
        digest = sha256(beside)
    return {
        "file": Path(path).name,
        "sha256": digest,
        "dtype": dtype.name,
        "tokens": tokens,
        "bytes": size,
        "documents": documents,
    }


def as_split(shards: Sequence[Mapping]) -> dict:
    """Description of a split: its shards in order, with total tokens, bytes and documents."""
    totals = {key: sum(shard[key] for shard in shards) for key in ("tokens", "bytes", "documents")}
    return {**totals, "shards": [*shards]}


def _chunks(texts: Iterable[str]) -> Iterator[list[str]]:
    """Documents in lists of about CHARACTERS_AT_ONCE characters."""
    batch, size = [], 0
    for text in texts:
        batch.append(text)
        if (size := size + len(text)) >= CHARACTERS_AT_ONCE:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
