"""Documents of local files: .txt between separator lines, .jsonl and .parquet a row each.

A file that cannot be read raises CorpusError with one line that names the file and the line or row,
both counted from 1.
"""

import json
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from pathlib import Path

from bitnet.common.errors import CorpusError, one_line, one_of, shorten
from bitnet.data.local_files import LocalFile

DEFAULTS = {"separator": "<|endoftext|>", "column": "text", "validation_share": 0.1}
# Other encodings, by the first bytes of a file.
MARKS = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16"}


def read_files(
    files: Sequence[LocalFile], source: Mapping, odd: MutableMapping[str, dict]
) -> Iterator[str]:
    """Documents of files in their order.

    source: the block of `corpora` over DEFAULTS. odd: gets what was met that a reader would want to
    know and that is no error, as kind -> {"count", "first": its place}; kinds are `no_separator`
    (files), `separator_in_line` and `lone_cr` (lines).
    """
    for file in files:
        path = Path(file.path)
        reader = READERS.get(path.suffix)
        if reader is None:
            raise CorpusError(f"file {file.path!r}: allowed: {', '.join(READERS)}")
        try:
            if path.stat().st_size == 0:
                raise CorpusError(f"file {file.path!r} is empty; allowed: UTF-8 text")
            yield from reader(path, source, odd)
        except UnicodeDecodeError:
            raise _not_utf8(path) from None
        except OSError as error:
            raise CorpusError(f"file {file.path!r} cannot be read: {error.strerror}") from None


def _read_txt(path: Path, source: Mapping, odd: MutableMapping) -> Iterator[str]:
    """Documents between separator lines; the whole file where there is none."""
    separator, lines, found = source["separator"], [], False
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for number, line in enumerate(file, 1):
            if "\0" in line:
                raise CorpusError(
                    f"file {str(path)!r} is binary (a zero byte in line {number}); "
                    "allowed: UTF-8 text"
                )
            if line.strip() == separator:
                found = True
                if lines or separator:  # of several blank lines the first separates
                    yield "".join(lines).strip("\r\n")
                lines = []
                continue
            if separator and separator in line:
                _note(odd, "separator_in_line", f"file {str(path)!r}, line {number}")
            if "\r" in line and "\r" in line.removesuffix("\n").removesuffix("\r"):
                _note(odd, "lone_cr", f"file {str(path)!r}, line {number}")
            lines.append(line)
    if not found:
        _note(odd, "no_separator", f"file {str(path)!r}")
    if lines or separator:
        yield "".join(lines).strip("\r\n")


def _read_jsonl(path: Path, source: Mapping, odd: MutableMapping) -> Iterator[str]:
    column = source["column"]
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                place = f"file {str(path)!r}, line {number}"
                yield _text(_object(line, column, place)[column], column, place)
            else:
                yield ""


def _object(line: str, column: str, place: str) -> dict:
    """The JSON object of a line, which has the column."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise CorpusError(f"{place}: not JSON ({error.msg} at character {error.colno})") from None
    except ValueError:  # Python refuses to read it
        raise CorpusError(f"{place}: a number too long; allowed: up to 4300 digits") from None
    except RecursionError:
        raise CorpusError(f"{place}: lists or objects nested too deep; allowed: fewer") from None
    if not isinstance(row, dict):
        raise CorpusError(f"{place}: holds {_kind(row)}; allowed: a JSON object with {column!r}")
    if column not in row:
        raise CorpusError(
            f"column is {column!r}; allowed in {place.removeprefix('file ')}: {one_of(row)}"
        )
    if line.count(json.dumps(column, ensure_ascii=False)) > 1:
        names = [name for name, _ in json.loads(line, object_pairs_hook=list)]
        if names.count(column) > 1:
            raise CorpusError(f"{place}: two fields {column!r}; allowed: one")
    return row


def _read_parquet(path: Path, source: Mapping, odd: MutableMapping) -> Iterator[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    column, number = source["column"], 0
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if column not in names:
                raise CorpusError(
                    f"column is {column!r}; allowed in {str(path)!r}: {one_of(names)}"
                )
            if names.count(column) > 1:
                raise CorpusError(f"file {str(path)!r}: two columns {column!r}; allowed: one")
            for batch in file.iter_batches(batch_size=1024, columns=[column]):
                for value in _values(batch.column(0), path, number):
                    number += 1
                    yield _text(value, column, f"file {str(path)!r}, row {number}")
    except (pa.ArrowException, OSError, IndexError) as error:  # a damaged footer raises any of them
        raise CorpusError(f"file {str(path)!r} is no readable parquet: {one_line(error)}") from None


def _values(column, path: Path, before: int) -> list:
    """Values of a column of rows, `before` of which come before the first one."""
    try:
        return column.to_pylist()
    except UnicodeDecodeError:
        for number, value in enumerate(column, before + 1):
            try:
                value.as_py()
            except UnicodeDecodeError as error:
                raise CorpusError(
                    f"file {str(path)!r}, row {number}: {_byte(error)} is not UTF-8; "
                    "allowed: UTF-8 text"
                ) from None
        raise


def _text(value: object, column: str, place: str) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise CorpusError(
            f"column is {column!r}; in {place} it holds {_kind(value)}, allowed: text"
        )
    try:
        value.encode()
    except UnicodeEncodeError as error:
        half = value[error.start].encode("unicode_escape").decode()
        raise CorpusError(
            f"{place}: half a surrogate pair, {half}; allowed: whole characters"
        ) from None
    return value


def _kind(value: object) -> str:
    """The type of a value with the value, shortened."""
    return f"{type(value).__name__} {shorten(repr(value), 40)}"


def _byte(error: UnicodeDecodeError) -> str:
    return f"byte 0x{error.object[error.start]:02x}"


def _not_utf8(path: Path) -> CorpusError:
    """The complaint about a file with bytes that are not UTF-8, with the place of the first."""
    with path.open("rb") as file:
        start = file.read(2)
        file.seek(0)
        for number, line in enumerate(file, 1):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                hint = MARKS.get(start, "Latin-1 or Windows-1252")
                return CorpusError(
                    f"file {str(path)!r} is not UTF-8 text: line {number}, character "
                    f"{len(line[: error.start].decode()) + 1}: {_byte(error)}; allowed: UTF-8 "
                    f"(saved as {hint}? iconv makes UTF-8 of it)"
                )
    return CorpusError(f"file {str(path)!r} changed while it was read; run again")


def _note(odd: MutableMapping, kind: str, place: str) -> None:
    odd.setdefault(kind, {"count": 0, "first": place})["count"] += 1


READERS: dict[str, Callable[[Path, Mapping, MutableMapping], Iterator[str]]] = {
    ".txt": _read_txt,
    ".jsonl": _read_jsonl,
    ".parquet": _read_parquet,
}
