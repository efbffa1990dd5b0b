"""One split of a corpus on disk: documents up to a cap in bytes, written in parts."""

import logging
from array import array
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from bitnet.common.errors import CorpusError
from bitnet.data.corpora import Documents
from bitnet.data.holdout import document_hash
from bitnet.data.parts import PART_BYTES, keep, kept, part_path
from bitnet.data.text import read_text_part, write_text_part

log = logging.getLogger("bitnet")

# Signs of text decoded wrongly before it came here: kept, since any byte has a token, and counted.
GARBLED = ("\ufffd", "\u00e2\u20ac")
BLANK_SIGN = "\u2581"  # SentencePiece's own for a blank: it comes back from the tokens as one
DESCRIBED = ("file", "sha256", "documents", "bytes")


class Split:
    """One split of a corpus, written to disk in parts; `write` goes on behind the whole ones."""

    def __init__(self, folder: Path, name: str, source: dict, key: dict, without=frozenset()):
        self.folder, self.name, self.source, self.key = folder, name, source, key
        self.without = without  # hashes of documents that are in the other split
        self.seen: Counter = Counter()  # since the last whole part
        self.hashes = array("Q")  # of all documents: to count repeats, 8 bytes each

    def write(self) -> dict:
        """Write the parts that are not there yet; returns the description of all."""
        parts: list[dict] = []
        while part := kept(self.path(len(parts)), self.key):
            self.hashes.extend(
                short(document_hash(text)) for text in read_text_part(self.folder, part)
            )
            parts.append(part)
        if parts:
            log.info("%s: %d whole parts found, going on behind them", self.name, len(parts))
        stream = Documents(self.source, self.name, parts[-1]["position"] if parts else None)
        texts = self.capped(stream, sum(part["bytes"] for part in parts))
        while (first := next(texts, None)) is not None:
            path = self.path(len(parts))
            part = write_text_part(self.one_part(chain([first], texts)), path)
            self.seen["empty"] += stream.empty
            stream.empty = 0
            parts.append({**part, "position": stream.position, "seen": dict(self.seen)})
            self.seen.clear()
            keep(path, self.key, parts[-1])
        self.seen["empty"] += stream.empty
        return self.describe(parts) | ({"odd": stream.odd} if stream.odd else {})

    def path(self, number: int) -> Path:
        """File of the part of this number."""
        return part_path(self.folder, self.name, number, ".parquet")

    def capped(self, stream: Documents, size: int) -> Iterator[str]:
        """Documents until the split's cap in bytes, of which `size` are there already."""
        cap, title = self.source[f"{self.name}_bytes"], f"{self.source['source']} {self.name}"
        with tqdm(
            total=cap, initial=size, desc=title, unit="B", unit_scale=True, disable=None
        ) as bar:
            texts = iter(stream)
            while size < cap and (text := next(texts, None)) is not None:
                digest = document_hash(text)
                if digest in self.without:
                    self.seen["also_held_out"] += 1
                    continue
                self.hashes.append(short(digest))
                self.seen["garbled"] += any(sign in text for sign in GARBLED)
                self.seen["blank_sign"] += BLANK_SIGN in text
                size += (length := len(text.encode()))
                bar.update(length)
                yield text

    def one_part(self, texts: Iterator[str]) -> Iterator[str]:
        """As many documents as make one part."""
        size, enough = 0, self.source.get("part_bytes", PART_BYTES)
        while size < enough and (text := next(texts, None)) is not None:
            size += len(text.encode())
            yield text

    def describe(self, parts: list[dict]) -> dict:
        """What the split holds, and what was met on the way."""
        if not parts:
            raise self.refusal()
        for part in parts:
            self.seen.update(part["seen"])
        totals = {key: sum(part[key] for part in parts) for key in ("documents", "bytes")}
        names = ("empty", "also_held_out", "garbled", "blank_sign")
        totals |= {name: self.seen[name] for name in names}
        totals["repeated"] = len(self.hashes) - len(np.unique(self.hashes))
        log.info("%s: %s in %d parts", self.name, totals, len(parts))
        return {**totals, "parts": [{key: part[key] for key in DESCRIBED} for part in parts]}

    def refusal(self) -> CorpusError:
        """The complaint about a split without a document."""
        split = f"corpora: the {self.name} split of {self.source['source']}"
        if held_out := self.seen["also_held_out"]:
            return CorpusError(
                f"{split} has only documents that are held out, {held_out} of them; allowed: files "
                "for `validation` with other documents, or none (then validation_share is held out)"
            )
        return CorpusError(f"{split} has no documents; allowed: text for both splits")


def short(digest: bytes) -> int:
    """First 64 bits of a hash."""
    return int.from_bytes(digest[:8], "big")
