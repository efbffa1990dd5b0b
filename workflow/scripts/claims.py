"""Decide the claims of the original reports on the runs of studies.

    python -m workflow.scripts.claims --csv claims.csv --markdown claims.md --studies \\
        '{"quick": {"tables": ["results/quick/h64_wd0.csv", "..."], "question": {"...": "..."}}}'

writes claims.provenance.json beside the output. Each table needs its own record beside it.
"""

import json
import os
from pathlib import Path

from bitnet.claims.evidence import Evidence
from bitnet.claims.ledger import ledger, markdown
from bitnet.common.files import write_text
from bitnet.config.question import Question
from bitnet.config.thresholds import Thresholds
from workflow.helpers.cli import code_of, flags, parsed, run
from workflow.helpers.tables import read_tables
from workflow.provenance.environment import environment
from workflow.provenance.records import record_of, write_record


def main(argv: list[str] | None = None) -> None:
    """Write the ledger as CSV and as Markdown."""
    parser = flags(__doc__)
    parser.add_argument("--studies", required=True, help="tables and question by name, as JSON")
    parser.add_argument("--thresholds", default="{}", help="a verdict block, as JSON")
    parser.add_argument("--csv", required=True, help="CSV file to write")
    parser.add_argument("--markdown", required=True, help="Markdown file to write")
    args = parsed(parser, argv)
    thresholds, studies = Thresholds(**json.loads(args.thresholds)), json.loads(args.studies)
    found = {
        name: Evidence(
            read_tables(study["tables"])[0], Question.from_dict(study["question"]), thresholds
        )
        for name, study in studies.items()
    }
    files = {
        name: f"{os.path.commonpath([Path(table).parent for table in study['tables']])}/verdict.md"
        for name, study in studies.items()
    }
    claims = ledger(found)
    write_text(args.csv, claims.assign(File=claims["Study"].map(files)).to_csv(index=False))
    write_text(args.markdown, markdown(claims, files))
    made = {
        "studies": studies,
        "thresholds": json.loads(args.thresholds),
        "code": code_of("claims", args.code),
    }
    output = Path(args.csv)
    outputs = [output, Path(args.markdown)]
    write_record(record_of(output), outputs, {"claims": made}, evaluated=environment())


if __name__ == "__main__":
    run(main)
