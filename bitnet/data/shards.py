"""Token shards: flat binary files of token ids (uint16 or uint32), described in JSON."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bitnet.common.files import sha256, whole_file
from bitnet.data.parts import keep, kept, part_path
from bitnet.data.text import read_text_part
from bitnet.data.tokenizer import Tokenizer, open_tokenizer

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


@dataclass(frozen=True)
class Encode:
    """Turn one part of a split's text into a shard, unless it is there already."""

    text: Path
    folder: Path
    split: str
    tokenizer: str
    making: dict

    def __call__(self, numbered: tuple[int, dict]) -> dict:
        number, part = numbered
        path = part_path(self.folder, self.split, number, ".bin")
        key = {**self.making, "text": part["sha256"]}
        shard = kept(path, key)
        if shard is None:
            texts = read_text_part(self.text, part)
            shard = write_shard(texts, open_tokenizer(self.tokenizer), path)
            keep(path, key, shard)
        return shard
