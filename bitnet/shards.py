"""Token shards: flat files of token ids, described by JSON and read by memory map.

A batch depends only on (seed, step): whoever asks for a step gets the same windows, whatever was
trained before it.
"""

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np

from bitnet.config import refuse
from bitnet.files import sha256, whole_file
from bitnet.tokenizer import Tokenizer

DOCUMENTS_AT_ONCE = 512


def write_shard(texts: Iterable[str], tokenizer: Tokenizer, path: str | Path) -> dict:
    """Encode documents into a shard; returns its sha256, dtype, tokens, bytes and documents."""
    dtype = np.dtype(np.uint16 if tokenizer.vocab_size <= 2**16 else np.uint32)
    tokens = size = documents = 0
    with whole_file(path) as beside, beside.open("wb") as file:
        for batch in _chunks(texts, DOCUMENTS_AT_ONCE):
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


def _chunks(texts: Iterable[str], size: int) -> Iterator[list[str]]:
    stream = iter(texts)
    while batch := list(islice(stream, size)):
        yield batch


def open_shard(folder: str | Path, shard: dict, vocab_size: int | None = None) -> np.ndarray:
    """Token ids (tokens,) of a described shard, memory-mapped.

    The whole file is read once: ValueError where a byte differs from what was written, or where an
    id is not below `vocab_size`.
    """
    path, dtype = Path(folder) / shard["file"], np.dtype(shard["dtype"])
    if not path.is_file():
        raise ValueError(f"shard {str(path)!r} is missing; run again with --forcerun shards")
    if sha256(path) != shard["sha256"]:
        raise ValueError(f"shard {str(path)!r} is damaged; run again with --forcerun shards")
    tokens = np.memmap(path, dtype=dtype, mode="r")
    if vocab_size is not None and (largest := int(tokens.max(initial=0))) >= vocab_size:
        raise refuse(f"a token id of {str(path)!r}", largest, f"below vocab_size = {vocab_size}")
    return tokens


def batch(
    tokens: np.ndarray, seed: int, step: int, size: int, length: int, shuffled: bool = False
) -> np.ndarray:
    """Windows for one step: (size, length + 1) int64, drawn with replacement by (seed, step).

    Shuffled, every token is drawn by itself: the text's frequencies without its order.
    """
    rng = np.random.Generator(np.random.Philox(key=[seed, step]))
    if shuffled:
        return tokens[rng.integers(0, len(tokens), size=(size, length + 1))].astype(np.int64)
    starts = rng.integers(0, len(tokens) - length, size=size)
    return tokens[starts[:, None] + np.arange(length + 1)].astype(np.int64)
