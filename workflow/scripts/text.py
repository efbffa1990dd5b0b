"""Write the text of a corpus, up to its caps in bytes, to parquet files of bounded size.

    python -m workflow.scripts.text --source '{"source": "stories", "seed": 0, \\
        "train_bytes": 8000000, "validation_bytes": 400000}' --output text.json

writes train-00000.parquet, ..., validation-00000.parquet, ... beside the output, which describes
them. After an interruption the same command continues behind the last finished file.
"""

import json
from pathlib import Path

from bitnet.common.files import write_json
from bitnet.data.corpora import Split, document_hash
from bitnet.data.parts import settle
from bitnet.data.text import read_text_part
from workflow.helpers.cli import code_of, flags, parsed, run


def main(argv: list[str] | None = None) -> None:
    """Write both splits; a document is in one of them only."""
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


if __name__ == "__main__":
    run(main)
