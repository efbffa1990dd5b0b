"""Text sources with one interface: streams of documents, split into train and validation.

`stories` and `arithmetic` are built in and need no download; `files` reads local text;
`tinystories`, `fineweb_edu` and `wikitext2` stream from the Hugging Face hub at a pinned revision.
A source that cannot be read raises CorpusError with one line.
"""

import glob
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

from bitnet.data.arithmetic import problems
from bitnet.data.hub import HUB, CorpusError, HubTexts, one_line, open_hub
from bitnet.data.stories.grammar import stories

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
