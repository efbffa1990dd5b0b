"""Write the decision from both sanity experiments, with histograms of the latent weights.

    python -m workflow.scripts.sanity_report --arithmetic results/arithmetic/arithmetic.md \\
        --stories results/tinystories/stories.md --size full \\
        --markdown sanity.md --csv sanity.csv --figures sanity.svg

Each report needs its own record beside it. Writes sanity.provenance.json beside the output.
"""

from pathlib import Path

from bitnet.common.files import write_text
from bitnet.experiments.decision import markdown, rows
from bitnet.figures import losses
from workflow.helpers.cli import code_of, flags, parsed, run
from workflow.helpers.reports import save_figure
from workflow.provenance.environment import environment
from workflow.provenance.records import read_record, record_of, write_record


def main(argv: list[str] | None = None) -> None:
    """Write the decision as Markdown, CSV and figure."""
    parser = flags(__doc__)
    parser.add_argument("--arithmetic", required=True, help="report of the arithmetic")
    parser.add_argument("--stories", required=True, help="report of the stories")
    parser.add_argument("--size", required=True, choices=("full", "quick"), help="of the models")
    parser.add_argument("--markdown", required=True, help="Markdown file to write")
    parser.add_argument("--csv", required=True, help="CSV file to write")
    parser.add_argument("--figures", nargs="+", required=True, help="image files to write")
    args = parsed(parser, argv)
    records = {
        "arithmetic": read_record(args.arithmetic),
        "stories": read_record(args.stories),
    }
    write_text(args.csv, rows(records).to_csv(index=False))
    write_text(args.markdown, markdown(records, args.size))
    weights = {
        f"{record['title']} {name}": found
        for record in records.values()
        for name, found in record["weights"].items()
    }
    save_figure(losses.histograms(weights, "Latent weights"), args.figures)
    made = {"code": code_of("sanity_report", args.code)}
    outputs = [Path(path) for path in (args.markdown, args.csv, *args.figures)]
    titles = {name: record["title"] for name, record in records.items()}
    write_record(
        record_of(args.markdown), outputs, {"sanity": made}, of=titles, evaluated=environment()
    )


if __name__ == "__main__":
    run(main)
