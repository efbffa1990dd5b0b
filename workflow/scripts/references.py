"""Compute reference losses: count models at the probe, and the best possible loss.

    python -m workflow.scripts.references --manifest manifest64.json --output references64.json \\
        --source '{"source": "stories", "seed": 0}'

The best possible loss is known for the built-in corpora only, which --source names.
"""

import json
from pathlib import Path

from bitnet.common.files import read_json, write_json
from bitnet.evaluation.baselines import make_references
from workflow.helpers.cli import code_of, flags, log, parsed, run


def main(argv: list[str] | None = None) -> None:
    """Write losses and diversity of unigram, bigram and trigram, and the best possible loss."""
    parser = flags(__doc__)
    parser.add_argument("--manifest", required=True, help="manifest beside its shards")
    parser.add_argument("--source", default="{}", help="a block of corpora, as JSON")
    parser.add_argument("--output", required=True, help="JSON file to write")
    args = parsed(parser, argv)
    manifest, source = read_json(args.manifest), json.loads(args.source)
    code_of("references", args.code, source.get("source"))
    references = make_references(Path(args.manifest).parent, manifest, source)
    log.info("%s", references)
    write_json(args.output, references)


if __name__ == "__main__":
    run(main)
