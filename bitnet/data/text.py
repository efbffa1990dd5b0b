"""Text of a split on disk: parquet files with the one column `text`, in parts."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path

from bitnet.common.files import read_json, sha256, whole_file
from bitnet.data.parts import intact

ROWS = 1024  # documents per row group


def write_text_part(texts: Iterable[str], path: Path) -> dict:
    """Write documents to a parquet file and return its description.

    That is its file name, sha256, and numbers of documents and UTF-8 bytes. The documents are
    consumed ROWS at a time.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([("text", pa.string())])
    documents = size = 0
    stream = iter(texts)
    with whole_file(path) as beside:
        with pq.ParquetWriter(beside, schema, compression="zstd") as writer:
            while rows := list(islice(stream, ROWS)):
                writer.write_table(pa.table([rows], schema=schema))
                documents += len(rows)
                size += sum(len(text.encode()) for text in rows)
        digest = sha256(beside)
    return {"file": path.name, "sha256": digest, "documents": documents, "bytes": size}


def read_text_part(folder: str | Path, part: Mapping) -> Iterator[str]:
    """Documents of a described part; ValueError in one line where it is missing or damaged."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = intact(folder, part, "text")  # parquet's own checksums leave out headers and footer
    try:
        with pq.ParquetFile(path) as file:
            for group in range(file.num_row_groups):  # iter_batches keeps what it has read
                yield from file.read_row_group(group, columns=["text"]).column(0).to_pylist()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"text {str(path)!r}: {str(error).splitlines()[0]}") from None


def read_text(description: str | Path, split: str) -> Iterator[str]:
    """Documents of a split, from the path of its text.json; ValueError for a damaged part."""
    for part in read_json(description)[split]["parts"]:
        yield from read_text_part(Path(description).parent, part)
