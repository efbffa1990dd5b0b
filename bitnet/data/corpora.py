"""Text sources with one interface: streams of documents, split into train and validation.

`stories` and `arithmetic` are built in and need no download; `files` reads local text;
`tinystories`, `fineweb_edu` and `wikitext2` stream from the Hugging Face hub at a pinned revision.
A source that cannot be read raises CorpusError with one line.
"""

import glob
import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path

from tqdm import tqdm

from bitnet.data.arithmetic import problems
from bitnet.data.hub import HUB, CorpusError, HubTexts, one_line, open_hub
from bitnet.data.parts import PART_BYTES, keep, kept, part_path
from bitnet.data.stories.grammar import stories
from bitnet.data.text import write_text_part

log = logging.getLogger("bitnet")

# Signs of text decoded wrongly before it came here: kept, since any byte has a token, and counted.
GARBLED = ("\ufffd", "\u00e2\u20ac")
DESCRIBED = ("file", "sha256", "documents", "bytes")
SPLITS = ("train", "validation")
HASH_BUCKETS = 10_000  # resolution of a split by document hash


class Documents:
    """Iterator over the non-empty documents of one split of a `corpora:` block, in fixed order.

    position: the `position` of an earlier iterator over the same block and split; this one goes on
    behind it. `empty` counts the documents that held white space only. Iteration raises
    CorpusError where the source cannot be read.
    """

    def __init__(self, source: Mapping, split: str, position: object = None):
        self._texts, self._share = _texts(source, split, position)
        self._held_out, self.empty = split == "validation", 0

    @property
    def position(self) -> object:
        """How far the source has been read, as a value that JSON can hold."""
        return self._texts.position

    def __iter__(self) -> Iterator[str]:
        for text in self._texts:
            if not text.strip():
                self.empty += 1
            elif self._share is None or in_validation(text, self._share) == self._held_out:
                yield text


class CountedTexts:
    """Texts whose position is their count: resuming reads the source again from its beginning."""

    def __init__(self, texts: Iterable[str], position: int | None = None):
        self._texts, self.position = texts, position or 0

    def __iter__(self) -> Iterator[str]:
        for text in islice(self._texts, self.position, None):
            self.position += 1
            yield text


def _texts(source: Mapping, split: str, position) -> tuple[HubTexts | CountedTexts, float | None]:
    """Texts that contain a split, and the share of them held out by hash (None: all are of it)."""
    kind = source["source"]
    if kind == "stories":
        return CountedTexts(stories(source.get("seed", 0), split), position), None
    if kind == "arithmetic":
        return CountedTexts(problems(source, split), position), None
    if kind == "files":
        key = split if (own_split := bool(source.get("validation"))) else "train"
        texts = _read_files(source[key], key, source)
        share = None if own_split else source.get("validation_share", 0.1)
        return CountedTexts(texts, position), share
    dataset = replace(HUB[kind], name=source.get("subset", HUB[kind].name))
    on_hub = split if dataset.has_validation else "train"
    share = None if dataset.has_validation else source.get("validation_share", 0.001)
    return HubTexts(lambda: open_hub(dataset, on_hub), dataset, position), share


def document_hash(text: str) -> bytes:
    """SHA-256 digest of a document without differences of white space, for splits and repeats."""
    return hashlib.sha256(" ".join(text.split()).encode()).digest()


def in_validation(text: str, share: float) -> bool:
    """Whether a document's hash puts it into the validation split of this share."""
    return int.from_bytes(document_hash(text)[:8], "big") % HASH_BUCKETS < share * HASH_BUCKETS


def matching_files(patterns: list[str], key: str) -> list[Path]:
    """Sorted files that match the glob patterns; CorpusError for a pattern without a match.

    key: the config key that an error names.
    """
    paths: set[str] = set()
    for pattern in patterns:
        found = [path for path in glob.glob(pattern, recursive=True) if Path(path).is_file()]
        if not found:
            raise CorpusError(f"{key} is {pattern!r}; allowed: a pattern that matches a file")
        paths.update(found)
    return [Path(path) for path in sorted(paths)]


def _read_files(patterns: list[str], key: str, source: Mapping) -> Iterator[str]:
    for path in matching_files(patterns, f"corpora: {key}"):
        reader = READERS.get(path.suffix)
        if reader is None:
            raise CorpusError(f"file {str(path)!r}: allowed: {', '.join(READERS)}")
        if path.stat().st_size == 0:
            raise CorpusError(f"file {str(path)!r} is empty; allowed: UTF-8 text")
        try:
            yield from reader(path, source)
        except UnicodeError as error:
            raise CorpusError(f"file {str(path)!r} is not UTF-8 text: {error.reason}") from None


def _read_txt(path: Path, source: Mapping) -> Iterator[str]:
    """Documents between separator lines; the whole file where there is none."""
    separator, lines = source.get("separator", "<|endoftext|>"), []
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for line in file:
            if "\0" in line:
                raise CorpusError(f"file {str(path)!r} is binary; allowed: UTF-8 text")
            if line.strip() == separator:
                yield "".join(lines).strip("\r\n")
                lines = []
            else:
                lines.append(line)
    yield "".join(lines).strip("\r\n")


def _read_jsonl(path: Path, source: Mapping) -> Iterator[str]:
    column = source.get("column", "text")
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            try:
                text = json.loads(line)[column] if line.strip() else ""
            except (json.JSONDecodeError, KeyError, TypeError):
                raise CorpusError(
                    f"file {str(path)!r}, line {number}: not a JSON object with {column!r}"
                ) from None
            yield _text(text, path, column)


def _read_parquet(path: Path, source: Mapping) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    column = source.get("column", "text")
    try:
        with pq.ParquetFile(path) as file:
            if column not in file.schema_arrow.names:
                names = ", ".join(file.schema_arrow.names)
                raise CorpusError(f"column is {column!r}; allowed in {str(path)!r}: {names}")
            for batch in file.iter_batches(batch_size=1024, columns=[column]):
                for text in batch.column(0).to_pylist():
                    yield _text(text, path, column)
    except (pa.ArrowException, OSError, IndexError) as error:  # a damaged footer raises any of them
        raise CorpusError(f"file {str(path)!r} is no readable parquet: {one_line(error)}") from None


def _text(value: object, path: Path, column: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise CorpusError(f"column is {column!r}; in {str(path)!r} it holds {type(value).__name__}")
    value.encode()  # JSON can spell half a character: UnicodeEncodeError
    return value


READERS: dict[str, Callable[[Path, Mapping], Iterator[str]]] = {
    ".txt": _read_txt,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}


class Split:
    """One split of a corpus, written to disk in parts; `write` goes on behind the whole ones."""

    def __init__(self, folder: Path, name: str, source: dict, key: dict, without=frozenset()):
        self.folder, self.name, self.source, self.key = folder, name, source, key
        self.without = without  # hashes of documents that are in the other split
        self.seen: Counter = Counter()  # since the last whole part

    def write(self) -> dict:
        """Write the parts that are not there yet; returns the description of all."""
        parts: list[dict] = []
        while part := kept(self.path(len(parts)), self.key):
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
        return self.describe(parts)

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
                if self.without and document_hash(text) in self.without:
                    self.seen["also_held_out"] += 1
                    continue
                self.seen["garbled"] += any(sign in text for sign in GARBLED)
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
            raise ValueError(
                f"corpora: the {self.name} split of {self.source['source']} has no documents; "
                "allowed: text with enough documents for both splits"
            )
        for part in parts:
            self.seen.update(part["seen"])
        totals = {key: sum(part[key] for part in parts) for key in ("documents", "bytes")}
        names = ("empty", "also_held_out", "garbled")
        totals |= {name: self.seen[name] for name in names}
        log.info("%s: %s in %d parts", self.name, totals, len(parts))
        return {**totals, "parts": [{key: part[key] for key in DESCRIBED} for part in parts]}
