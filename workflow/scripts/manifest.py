"""Write the manifest of a tokenised data set: its shards, its probe and their hash.

    python -m workflow.scripts.manifest --shards shards.json --tokenizer tokenizer.model \\
        --sequence-length 128 --output manifest128.json
"""

from pathlib import Path

from bitnet.common.files import read_json, sha256, write_json
from bitnet.data import overlap
from bitnet.data.manifest import make_manifest
from bitnet.data.tokenizer import open_tokenizer
from workflow.helpers.cli import code_of, flags, log, parsed, run


def main(argv: list[str] | None = None) -> None:
    """Write the manifest to the folder of its shards."""
    parser = flags(__doc__)
    parser.add_argument("--shards", required=True, help="JSON file that describes the shards")
    parser.add_argument("--tokenizer", required=True, help="SentencePiece .model")
    parser.add_argument("--sequence-length", type=int, required=True, help="tokens of a window")
    parser.add_argument("--output", required=True, help="JSON file to write")
    args = parsed(parser, argv)
    code_of("manifest", args.code)
    shards, tokenizer = read_json(args.shards), open_tokenizer(args.tokenizer)
    if sha256(args.tokenizer) != shards["tokenizer_sha256"]:
        raise ValueError(f"{args.shards} was made with another tokenizer than {args.tokenizer}")
    manifest = make_manifest(Path(args.shards).parent, shards, tokenizer, args.sequence_length)
    log.info("probe: N = %d positions of %s", manifest["probe"]["positions"], manifest["sha256"])
    seen = manifest["seen_in_training"]
    if overlap.share(seen) > overlap.WARN_ABOVE:
        log.warning(
            "%s: losses there measure memory too; hold out other text, or leave repeats out",
            overlap.describe(seen),
        )
    write_json(args.output, manifest)


if __name__ == "__main__":
    run(main)
