"""Fit count models to the training shard and read them at the probe.

python -m workflow.scripts.references --manifest manifest64.json --output references64.json
"""

import argparse
import json
from pathlib import Path

from bitnet.files import write_json
from bitnet.references import make_references
from workflow.scripts.cli import log, log_to, run


def main(argv: list[str] | None = None) -> None:
    """Write loss and diversity of unigram, bigram and trigram."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--manifest", required=True, help="manifest beside its shards")
    parser.add_argument("--output", required=True, help="JSON file to write")
    parser.add_argument("--log", help="log file")
    args = parser.parse_args(argv)
    log_to(args.log)
    manifest = json.loads(Path(args.manifest).read_text())
    found = make_references(Path(args.manifest).parent, manifest)
    log.info("%s", found)
    write_json(args.output, found)


if __name__ == "__main__":
    run(main)
