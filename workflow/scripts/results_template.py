"""Fill in the results template of the original verification.

    python -m workflow.scripts.results_template --inputs results/quick/h64_*.csv --question \\
        '{"treatment": 0, "control": 0.05, "headline": {"hidden_size": 64, "optimizer": "adam", \\
        "weights": "ternary"}}' --title quick --markdown results_template.md

writes results_template.provenance.json beside the output. Each CSV needs its own record beside it.
"""

import json

from bitnet.claims.results_template import results_template
from bitnet.common.files import write_text
from bitnet.config.thresholds import Thresholds
from workflow.helpers.cli import parsed, run
from workflow.helpers.tables import judging_flags, original, read_tables, seal


def main(argv: list[str] | None = None) -> None:
    """Write the filled-in template and its record."""
    flags = judging_flags(__doc__, "Results template", outputs=["markdown"])
    args = parsed(flags, argv)
    rows, records = read_tables(args.inputs)
    question, thresholds = original(args.question), Thresholds(**json.loads(args.thresholds))
    text = results_template(rows, records, question, thresholds, args.title)
    write_text(args.markdown, text)
    seal(args, "results_template")


if __name__ == "__main__":
    run(main)
