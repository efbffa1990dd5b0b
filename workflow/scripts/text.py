"""Take the text of a corpus, up to its caps, into two parquet files.

    python -m workflow.scripts.text --source '{"source": "stories", "seed": 0, \\
        "train_bytes": 8000000, "validation_bytes": 400000}' \\
        --train train.parquet --validation validation.parquet

writes a .json beside each: its checksum.
"""

import json
from collections.abc import Iterator
from itertools import islice

import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from bitnet.corpora import document_hash, documents
from bitnet.files import sha256, whole_file, write_json
from workflow.scripts.cli import flags, log, parsed, run

SCHEMA = pa.schema([("text", pa.string())])
ROWS = 1024  # documents of a row group


def main(argv: list[str] | None = None) -> None:
    """Write both splits, or neither; a document is in one of them only."""
    parser = flags(__doc__)
    parser.add_argument("--source", required=True, help="a block of corpora, as JSON")
    parser.add_argument("--train", required=True, help="parquet file to write")
    parser.add_argument("--validation", required=True, help="parquet file to write")
    args = parsed(parser, argv)
    source = json.loads(args.source)
    with whole_file(args.validation) as validation, whole_file(args.train) as train:
        held_out: set[bytes] = set()
        write(validation, noted(capped(source, "validation", set()), held_out))
        write(train, capped(source, "train", held_out))
    for path in (args.train, args.validation):
        write_json(f"{path}.json", {"sha256": sha256(path)})


def capped(source: dict, split: str, without: set[bytes]) -> Iterator[str]:
    """Documents of a split until its cap in bytes, without those whose hash is in `without`."""
    cap, size, repeats = source[f"{split}_bytes"], 0, 0
    with tqdm(
        total=cap, desc=f"{source['source']} {split}", unit="B", unit_scale=True, disable=None
    ) as bar:
        for text in documents(source, split):
            if without and document_hash(text) in without:
                repeats += 1
                continue
            size += (length := len(text.encode()))
            bar.update(length)
            yield text
            if size >= cap:
                break
    if not size:
        raise ValueError(
            f"corpora: the {split} split of {source['source']} has no documents; allowed: text "
            "with enough documents for both splits"
        )
    log.info("%s: %d bytes of text, %d documents also held out", split, size, repeats)


def noted(texts: Iterator[str], hashes: set[bytes]) -> Iterator[str]:
    """The documents, each added to `hashes` on its way."""
    for text in texts:
        hashes.add(document_hash(text))
        yield text


def write(path, texts: Iterator[str]) -> None:
    """Write documents to parquet, some at a time: a corpus may be larger than memory."""
    with pq.ParquetWriter(path, SCHEMA, compression="zstd") as writer:
        while rows := list(islice(texts, ROWS)):
            writer.write_table(pa.table([rows], schema=SCHEMA))


if __name__ == "__main__":
    run(main)
