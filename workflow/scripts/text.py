"""Write the text of a corpus, up to its caps in bytes, to parquet files of bounded size.

    python -m workflow.scripts.text --source '{"source": "stories", "seed": 0, \\
        "train_bytes": 8000000, "validation_bytes": 400000}' --output text.json

writes train-00000.parquet, ..., validation-00000.parquet, ... beside the output, which describes
them. After an interruption the same command continues behind the last finished file.
"""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from tqdm import tqdm

from bitnet.common.files import write_json
from bitnet.data.corpora import Documents, document_hash
from bitnet.data.parts import PART_BYTES, keep, kept, part_path, settle
from bitnet.data.text import read_text_part, write_text_part
from workflow.scripts._cli import code_of, flags, log, parsed, run

# Signs of text that its source decoded wrongly. It is kept, as any byte has a token, and counted.
GARBLED = ("\ufffd", "\u00e2\u20ac")
DESCRIBED = ("file", "sha256", "documents", "bytes")


def main(argv: list[str] | None = None) -> None:
    """Write both splits; a document is in only one of them."""
    parser = flags(__doc__)
    parser.add_argument("--source", required=True, help="a block of corpora, as JSON")
    parser.add_argument("--output", required=True, help="JSON file to write")
    args = parsed(parser, argv)
    source, folder = json.loads(args.source), Path(args.output).parent
    key = {"source": source, "code": code_of("text", args.code, source["source"])}
    described = {"validation": Split(folder, "validation", source, key).write()}
    held_out = {
        document_hash(text)
        for part in described["validation"]["parts"]
        for text in read_text_part(folder, part)
    }
    described["train"] = Split(folder, "train", source, key, held_out).write()
    write_json(args.output, described)
    settle(folder, ".parquet", (p["file"] for split in described.values() for p in split["parts"]))


class Split:
    """Writer of one split, from the corpus to parquet files."""

    def __init__(self, folder: Path, name: str, source: dict, key: dict, without=frozenset()):
        self.folder, self.name, self.source, self.key = folder, name, source, key
        self.without = without  # hashes of the other split's documents
        self.seen: Counter = Counter()  # counts since the last finished part

    def write(self) -> dict:
        """Write the missing parts and return the description of the split."""
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
        return part_path(self.folder, self.name, number, ".parquet")

    def capped(self, stream: Documents, size: int) -> Iterator[str]:
        """Documents up to the split's cap in bytes, of which `size` bytes are already written."""
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
        """Documents of one part, up to its size in bytes."""
        size, enough = 0, self.source.get("part_bytes", PART_BYTES)
        while size < enough and (text := next(texts, None)) is not None:
            size += len(text.encode())
            yield text

    def describe(self, parts: list[dict]) -> dict:
        """Description of the split: its parts, totals, counts of empty and garbled texts."""
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


if __name__ == "__main__":
    run(main)
