"""Put a study's outcome into one HTML page that works offline.

    python -m workflow.scripts.report --inputs results/quick/h64_*.csv --question \\
        '{"treatment": 0, "control": 0.05, "headline": {"hidden_size": 64, "optimizer": "adam", \\
        "weights": "ternary"}}' --title quick --output report.html

writes report.provenance.json beside the output. Each CSV needs its own record beside it.
"""

import json
from pathlib import Path

from bitnet.files import write_text
from bitnet.floor import with_floor
from bitnet.page import page
from bitnet.provenance import environment
from bitnet.records import record_of, write_record
from bitnet.states import Thresholds
from workflow.scripts.cli import code_of, flags, log, parsed, run
from workflow.scripts.tables import read_tables


def main(argv: list[str] | None = None) -> None:
    """Write the page."""
    parser = flags(__doc__)
    parser.add_argument("--inputs", nargs="+", required=True, help="CSV files of runs")
    parser.add_argument("--question", required=True, help="arms and headline cell, as JSON")
    parser.add_argument("--thresholds", default="{}", help="a verdict block, as JSON")
    parser.add_argument("--title", default="Report", help="name of the study")
    parser.add_argument("--output", required=True, help="HTML file to write")
    args = parsed(parser, argv)
    rows, records = read_tables(args.inputs)
    rows = with_floor(rows, records)
    question, thresholds = json.loads(args.question), Thresholds(**json.loads(args.thresholds))
    write_text(args.output, page(rows, records, question, thresholds, args.title))
    log.info("%s", args.output)
    output = Path(args.output)
    lineage = {
        "report": {
            "question": question,
            "thresholds": json.loads(args.thresholds),
            "title": args.title,
            "code": code_of("report", args.code),
        }
    }
    write_record(record_of(output), [output], lineage, evaluated=environment())


if __name__ == "__main__":
    run(main)
