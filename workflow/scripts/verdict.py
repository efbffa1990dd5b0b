"""Write the verdict of a study: states, effects, outcomes, and the answer in words.

    python -m workflow.scripts.verdict --inputs results/quick/h64_*.csv --question \\
        '{"treatment": 0, "control": 0.05, "headline": {"hidden_size": 64, "optimizer": "adam", \\
        "weights": "ternary"}}' --csv verdict.csv --markdown verdict.md

writes verdict.provenance.json beside the output. Each CSV needs its own record beside it.
"""

import json
import sys
from collections.abc import Mapping

from bitnet.common.files import write_text
from bitnet.config.question import Question
from bitnet.config.thresholds import Thresholds
from bitnet.data.overlap import describe
from bitnet.evaluation.record import RunRecord
from bitnet.verdict import best_rates, doses
from bitnet.verdict.report import markdown
from bitnet.verdict.rule import judge
from workflow.helpers.cli import log, parsed, run
from workflow.helpers.tables import judging_flags, read_tables, seal, warnings


def main(argv: list[str] | None = None) -> None:
    """Write the verdict as CSV and as Markdown."""
    parser = judging_flags(__doc__, "Verdict")
    parser.add_argument("--picture", default="", help="figure that the Markdown links to")
    args = parsed(parser, argv)
    rows, records = read_tables(args.inputs)
    question, thresholds = (
        Question.from_json(args.question),
        Thresholds(**json.loads(args.thresholds)),
    )
    cells = judge(rows, thresholds, question)
    notes = warnings(records)
    for note in notes:
        log.warning(note)
        print(f"warning: {note}", file=sys.stderr)
    write_text(args.csv, cells.to_csv(index=False, float_format="%.6g"))
    conditions = [*notes, made(records)]
    further = []
    if len(found := best_rates.best_rates(rows, thresholds, question)):
        further.append(best_rates.section(found, question, thresholds))
    if len(found := doses.doses(rows, thresholds, question)):
        further.append(doses.section(found, question))
    text = markdown(
        cells, question, thresholds, args.title, conditions, args.picture, "\n\n".join(further)
    )
    write_text(args.markdown, text)
    seal(args, "verdict", picture=args.picture)


def made(records: Mapping[str, RunRecord]) -> str:
    """From what and by what the rows were made, in one line."""
    first = next(iter(records.values()))
    code = ", ".join(f"{part} {first.code(part)}" for part in ("train", "evaluate"))
    where = {key: first.environment.get(key, "") for key in ("torch", "python", "device")}
    seen = first.seen_in_training
    overlaps = f" {describe(seen)}." if seen else ""
    return (
        f"Made from data {first.data[:12]} by code {code}; torch {where['torch']}, Python "
        f"{where['python']}, {where['device']}.{overlaps}"
    )


if __name__ == "__main__":
    run(main)
