"""Write the HTML report of a study as one page that works offline.

    python -m workflow.scripts.report --inputs results/quick/h64_*.csv --question \\
        '{"treatment": 0, "control": 0.05, "headline": {"hidden_size": 64, "optimizer": "adam", \\
        "weights": "ternary"}}' --title quick --html report.html

writes report.provenance.json beside the output. Each CSV needs its own record beside it.
"""

import json

from bitnet.common.files import write_text
from bitnet.config.question import Question
from bitnet.config.thresholds import Thresholds
from bitnet.report.page import page
from workflow.helpers.cli import log, parsed, run
from workflow.helpers.tables import best_possible_loss, judging_flags, read_tables, seal


def main(argv: list[str] | None = None) -> None:
    """Write the page and its record."""
    args = parsed(judging_flags(__doc__, "Report", outputs=["html"]), argv)
    rows, records = read_tables(args.inputs)
    rows = rows.assign(BestPossibleLoss=best_possible_loss(records))
    question, thresholds = (
        Question.from_json(args.question),
        Thresholds(**json.loads(args.thresholds)),
    )
    write_text(args.html, page(rows, records, question, thresholds, args.title))
    log.info("%s", args.html)
    seal(args, "report")


if __name__ == "__main__":
    run(main)
