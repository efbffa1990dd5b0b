"""Draw the figures of a study.

    python -m workflow.scripts.figures --inputs results/quick/h64_*.csv --title quick \\
        --outputs figures/unique_predictions.svg figures/loss.svg figures/pdr.png

The stem of a file names the figure, its suffix the format. With --record, the record of the figures
is written there.
"""

import json
from pathlib import Path

from bitnet.common.files import whole_file
from bitnet.config.question import ORIGINAL, Question
from bitnet.config.thresholds import Thresholds
from bitnet.figures.draw import FIGURES, draw
from bitnet.figures.style import METADATA, save
from workflow.helpers.cli import code_of, flags, log, parsed, run
from workflow.helpers.tables import best_possible_loss, read_tables
from workflow.provenance.environment import environment
from workflow.provenance.records import write_record


def main(argv: list[str] | None = None) -> None:
    """Write each figure that --outputs names."""
    parser = flags(__doc__)
    parser.add_argument("--inputs", nargs="+", required=True, help="CSV files of runs")
    parser.add_argument(
        "--question", default=ORIGINAL.to_json(), help="whose arms are drawn, as JSON"
    )
    parser.add_argument("--thresholds", default="{}", help="a verdict block, as JSON")
    parser.add_argument("--title", default="", help="title above each figure")
    parser.add_argument("--dpi", type=int, default=150, help="dots per inch of png")
    parser.add_argument("--outputs", nargs="+", required=True, help="files to write")
    parser.add_argument("--record", help="JSON file to write")
    args = parsed(parser, argv)
    outputs = [_output(path) for path in args.outputs]
    rows, records = read_tables(args.inputs)
    rows = rows.assign(BestPossibleLoss=best_possible_loss(records))
    question, thresholds = (
        Question.from_json(args.question),
        Thresholds(**json.loads(args.thresholds)),
    )
    names = {path.stem for path in outputs}
    figures = {name: draw(name, rows, thresholds, args.title, question) for name in names}
    for path in outputs:
        with whole_file(path) as beside:
            save(figures[path.stem], beside, path.suffix[1:], args.dpi)
        log.info("%s", path)
    if args.record:
        lineage = {
            "figures": {
                "question": question.to_dict(),
                "thresholds": json.loads(args.thresholds),
                "title": args.title,
                "dpi": args.dpi,
                "code": code_of("figures", args.code),
            }
        }
        write_record(Path(args.record), outputs, lineage, evaluated=environment())


def _output(name: str) -> Path:
    """An output path, whose stem and suffix must name a figure and a format."""
    path = Path(name)
    if path.stem not in FIGURES:
        raise ValueError(f"output {name}: the figures are {', '.join(FIGURES)}")
    if path.suffix[1:] not in METADATA:
        raise ValueError(f"output {name}: the formats are {', '.join(METADATA)}")
    return path


if __name__ == "__main__":
    run(main)
