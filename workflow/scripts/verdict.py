"""Judge the runs of a study: states, effects, outcomes, and the answer in words.

    python -m workflow.scripts.verdict --inputs results/quick/h64_*.csv --question \\
        '{"treatment": 0, "control": 0.05, "headline": {"hidden_size": 64, "optimizer": "adam", \\
        "weights": "ternary"}}' --csv verdict.csv --markdown verdict.md
"""

import json

import pandas as pd

from bitnet.files import write_text
from bitnet.metrics import CSV_TYPES
from bitnet.states import Thresholds
from bitnet.verdict import judge
from bitnet.verdict_text import markdown
from workflow.scripts.cli import flags, parsed, run


def main(argv: list[str] | None = None) -> None:
    """Write the verdict as a table and as text."""
    parser = flags(__doc__)
    parser.add_argument("--inputs", nargs="+", required=True, help="CSV files of runs")
    parser.add_argument("--question", required=True, help="arms and headline cell, as JSON")
    parser.add_argument("--thresholds", default="{}", help="a verdict block, as JSON")
    parser.add_argument("--title", default="Verdict", help="heading of the text")
    parser.add_argument("--csv", required=True, help="CSV file to write")
    parser.add_argument("--markdown", required=True, help="Markdown file to write")
    args = parsed(parser, argv)
    rows = pd.concat([pd.read_csv(path, dtype=CSV_TYPES) for path in args.inputs])
    question, thresholds = json.loads(args.question), Thresholds(**json.loads(args.thresholds))
    cells = judge(rows, thresholds, question)
    write_text(args.csv, cells.to_csv(index=False, float_format="%.6g"))
    write_text(args.markdown, markdown(cells, question, thresholds, args.title))


if __name__ == "__main__":
    run(main)
