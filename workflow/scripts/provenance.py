"""List what produced each result of a study, from the records beside them.

python -m workflow.scripts.provenance --inputs results/quick/*.provenance.json --output p.json
"""

from bitnet.common.files import checksum, read_json, write_json
from workflow.helpers.cli import code_of, flags, parsed, run


def main(argv: list[str] | None = None) -> None:
    """Write one entry per record."""
    parser = flags(__doc__)
    parser.add_argument("--inputs", nargs="+", required=True, help="records")
    parser.add_argument("--output", required=True, help="JSON file to write")
    args = parsed(parser, argv)
    code_of("provenance", args.code)
    found = {}
    for path in args.inputs:
        record = read_json(path)
        found |= {
            name: {"sha256": digest, **brief(record)} for name, digest in record["files"].items()
        }
    write_json(args.output, {"files": found})


def brief(record: dict) -> dict:
    """A shortened record: the lineage by its code, recipes by their hash, no source files."""
    lineage = record["lineage"]
    entry = {"code": {part: made["code"] for part, made in lineage.items()}}
    if recipe := lineage.get("train", {}).get("recipe"):
        entry["recipe"] = checksum(recipe)[:12]
    rest = {k: v for k, v in record.items() if k not in ("files", "lineage", "sources")}
    return {**entry, **rest}


if __name__ == "__main__":
    run(main)
