"""Text sources behind one interface: a stream of documents, split into train and validation.

`stories` and `arithmetic` are built in and always work; `files` reads local text; `tinystories`,
`fineweb_edu` and `wikitext2` stream from the Hugging Face hub at a pinned revision. A source that
cannot be read raises CorpusError with one line.
"""

import glob
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bitnet.arithmetic import problems
from bitnet.stories import stories

SPLITS = ("train", "validation")
RETRIES = 5  # of a stream that breaks off, with doubled pauses; opening one is retried by the hub
HASH_BUCKETS = 10_000  # resolution of a split by document hash


class CorpusError(ValueError):
    """A text source that cannot be read; its message is one line."""


@dataclass(frozen=True)
class HubDataset:
    """A data set on the hub, pinned to a commit. Without a validation split one is hashed out."""

    path: str
    revision: str
    name: str | None = None
    has_validation: bool = True


HUB = {
    "tinystories": HubDataset("roneneldan/TinyStories", "f54c09fd23315a6f9c86f9dc80f725de7d8f9c64"),
    "fineweb_edu": HubDataset(
        "HuggingFaceFW/fineweb-edu",
        "87f09149ef4734204d70ed1d046ddc9ca3f2b8f9",
        name="sample-10BT",
        has_validation=False,
    ),
    "wikitext2": HubDataset(
        "Salesforce/wikitext",
        "b08601e04326c79dfdd32d625aee71d232d685c3",
        name="wikitext-2-raw-v1",
    ),
}


def documents(source: Mapping, split: str) -> Iterator[str]:
    """Documents of one split of a `corpora:` block, in a fixed order, without empty ones."""
    kind = source["source"]
    if kind == "stories":
        stream = stories(source.get("seed", 0), split)
    elif kind == "arithmetic":
        stream = problems(source, split)
    elif kind == "files":
        stream = _files(source, split)
    else:
        stream = _hub(HUB[kind], source, split)
    return (text for text in stream if text.strip())


def document_hash(text: str) -> bytes:
    """Identity of a document, by which splits are kept apart and repeats are found."""
    return hashlib.sha256(" ".join(text.split()).encode()).digest()


def in_validation(text: str, share: float) -> bool:
    """Whether a document without a given split belongs to the validation split."""
    return int.from_bytes(document_hash(text)[:8], "big") % HASH_BUCKETS < share * HASH_BUCKETS


def _split_by_hash(texts: Iterator[str], split: str, share: float) -> Iterator[str]:
    wanted = split == "validation"
    return (text for text in texts if in_validation(text, share) == wanted)


def matching_files(patterns: list[str], key: str) -> list[Path]:
    """Files of the glob patterns, sorted; CorpusError where a pattern matches none."""
    paths: set[str] = set()
    for pattern in patterns:
        found = [path for path in glob.glob(pattern, recursive=True) if Path(path).is_file()]
        if not found:
            raise CorpusError(f"{key} is {pattern!r}; allowed: a pattern that matches a file")
        paths.update(found)
    return [Path(path) for path in sorted(paths)]


def _files(source: Mapping, split: str) -> Iterator[str]:
    own_split = bool(source.get("validation"))
    key = split if own_split else "train"
    texts = _read_files(matching_files(source[key], f"corpora: {key}"), source)
    return texts if own_split else _split_by_hash(texts, split, source.get("validation_share", 0.1))


def _read_files(paths: list[Path], source: Mapping) -> Iterator[str]:
    for path in paths:
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
    """Documents between lines that hold the separator alone; the whole file without one."""
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
        raise CorpusError(f"file {str(path)!r} is no readable parquet: {_line(error)}") from None


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


def _hub(dataset: HubDataset, source: Mapping, split: str) -> Iterator[str]:
    """Stream a hub data set; after a fault of the network go on behind the last document."""
    on_hub = split if dataset.has_validation else "train"
    texts = _with_retries(lambda: _open_hub(dataset, on_hub), dataset)
    if dataset.has_validation:
        return texts
    return _split_by_hash(texts, split, source.get("validation_share", 0.001))


def _open_hub(dataset: HubDataset, split: str):
    from datasets import load_dataset
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # one line of ours says it at the end
    return load_dataset(
        dataset.path, name=dataset.name, split=split, revision=dataset.revision, streaming=True
    )


def _with_retries(open_stream: Callable, dataset: HubDataset, pause: float = 1.0) -> Iterator[str]:
    done = failures = 0
    while True:
        try:
            for row in open_stream().skip(done):
                yield row["text"]
                done, failures = done + 1, 0
            return
        except Exception as error:  # datasets, httpx and fsspec each raise classes of their own
            failures += 1
            if not done or failures > RETRIES:
                raise CorpusError(
                    f"the hub does not give {dataset.path} ({_line(error)}); without a hub choose "
                    "a corpus whose source is stories (built in) or files"
                ) from None
            time.sleep(pause * 2 ** (failures - 1))


def _line(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:120]}"
