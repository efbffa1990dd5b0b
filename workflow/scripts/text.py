"""Write the text of a corpus, up to its caps in bytes, to parquet files of bounded size.

    python -m workflow.scripts.text --source '{"source": "stories", "seed": 0, \\
        "train_bytes": 8000000, "validation_bytes": 400000}' --output text.json

writes train-00000.parquet, ..., validation-00000.parquet, ... beside the output, which describes
them and the files that they were made from. After an interruption the same command continues behind
the last finished file.
"""

import json
import sys
from pathlib import Path

from bitnet.common.files import write_json
from bitnet.data.holdout import document_hash
from bitnet.data.local_texts import DEFAULTS
from bitnet.data.parts import settle
from bitnet.data.split import Split
from bitnet.data.text import read_text_part
from workflow.helpers.cli import code_of, flags, log, parsed, run
from workflow.helpers.remarks import remarks
from workflow.provenance.sources import Digests, identity, list_sources


def main(argv: list[str] | None = None) -> None:
    """Write both splits; a document is in one of them only."""
    parser = flags(__doc__)
    parser.add_argument("--source", required=True, help="a block of corpora, as JSON")
    parser.add_argument("--sources", help="identity that the content of its files must have")
    parser.add_argument("--digests", help="JSON file that keeps digests of files")
    parser.add_argument("--output", required=True, help="JSON file to write")
    args = parsed(parser, argv)
    source, folder = json.loads(args.source), Path(args.output).parent
    key = {"source": source, "code": code_of("text", args.code, source["source"])}
    described: dict = {}
    if source["source"] == "files":
        digests = Digests(args.digests)
        described["sources"] = list_sources(source, digests)
        described["made_from"] = dict(key)
        key["sources"] = identity(described["sources"])
        if args.sources and key["sources"] != args.sources:
            raise ValueError("text files were edited while the pipeline ran; run snakemake again")
    described["validation"] = Split(folder, "validation", source, key).write()
    held_out = {
        document_hash(text)
        for part in described["validation"]["parts"]
        for text in read_text_part(folder, part)
    }
    described["train"] = Split(folder, "train", source, key, held_out).write()
    if "sources" in described and list_sources(source, digests) != described["sources"]:
        raise ValueError("text files were edited while they were read; run again")
    write_json(args.output, described)
    parts = (part for split in ("validation", "train") for part in described[split]["parts"])
    settle(folder, ".parquet", (part["file"] for part in parts))
    for line in remarks(described, DEFAULTS | source):
        log.warning(line)
        print(line, file=sys.stderr)


if __name__ == "__main__":
    run(main)
