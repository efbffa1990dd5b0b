"""Compare the arms of a study at each one's best learning rate.

    python -m workflow.scripts.best_rates --inputs results/price/h*.csv --question \\
        '{"axis": "weights", "treatment": "ternary", "control": "full_precision", "headline": \\
        {"stage2_weight_decay": 0}}' --csv best_rates.csv

writes best_rates.provenance.json beside the output. Each CSV needs its own record beside it.
"""

import json

from bitnet.common.files import write_text
from bitnet.config.question import RATES_TO_CHOOSE, Question
from bitnet.config.thresholds import Thresholds
from bitnet.verdict.best_rates import best_rates
from workflow.helpers.cli import parsed, run
from workflow.helpers.tables import judging_flags, read_tables, seal


def main(argv: list[str] | None = None) -> None:
    """Write the table of best rates as CSV, and its record."""
    args = parsed(judging_flags(__doc__, "Best rates", outputs=["csv"]), argv)
    rows, _ = read_tables(args.inputs)
    question, limits = Question.from_json(args.question), Thresholds(**json.loads(args.thresholds))
    found = best_rates(rows, limits, question)
    if found.empty:
        raise ValueError(
            f"no rates to choose from: question.axis is {question.axis.key}; allowed: any but "
            f"peak_lr, with runs of at least {RATES_TO_CHOOSE} peak_lr"
        )
    write_text(args.csv, found.to_csv(index=False, float_format="%.6g"))
    seal(args, "best_rates")


if __name__ == "__main__":
    run(main)
