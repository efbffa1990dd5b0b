"""Fit count models to the training shard and read them at the probe.

python -m workflow.scripts.references --manifest manifest64.json --output references64.json
"""

from pathlib import Path

from bitnet.common.files import read_json, write_json
from bitnet.evaluation.baselines import make_references
from workflow.scripts._cli import flags, log, parsed, run


def main(argv: list[str] | None = None) -> None:
    """Write loss and diversity of unigram, bigram and trigram."""
    parser = flags(__doc__)
    parser.add_argument("--manifest", required=True, help="manifest beside its shards")
    parser.add_argument("--output", required=True, help="JSON file to write")
    args = parsed(parser, argv)
    manifest = read_json(args.manifest)
    found = make_references(Path(args.manifest).parent, manifest)
    log.info("%s", found)
    write_json(args.output, found)


if __name__ == "__main__":
    run(main)
