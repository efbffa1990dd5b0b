"""Fix the identity of a tokenised data set and its probe.

    python -m workflow.scripts.manifest --shards shards.json --tokenizer tokenizer.model \\
        --sequence-length 128 --output manifest128.json
"""

import json
from pathlib import Path

from bitnet.files import write_json
from bitnet.manifest import make_manifest
from bitnet.tokenizer import Tokenizer
from workflow.scripts.cli import flags, log, parsed, run


def main(argv: list[str] | None = None) -> None:
    """Write the manifest, beside the shards it describes."""
    parser = flags(__doc__)
    parser.add_argument("--shards", required=True, help="JSON file that describes the shards")
    parser.add_argument("--tokenizer", required=True, help="SentencePiece .model")
    parser.add_argument("--sequence-length", type=int, required=True, help="tokens of a window")
    parser.add_argument("--output", required=True, help="JSON file to write")
    args = parsed(parser, argv)
    shards = json.loads(Path(args.shards).read_text())
    folder = Path(args.shards).parent
    manifest = make_manifest(folder, shards, Tokenizer(args.tokenizer), args.sequence_length)
    log.info("probe: N = %d positions of %s", manifest["probe"]["positions"], manifest["sha256"])
    write_json(args.output, manifest)


if __name__ == "__main__":
    run(main)
