"""Write the report on pretrainings: losses, count models, sample texts, anomalies.

    python -m workflow.scripts.pretraining_report --title x --anomalies '{...}' \\
        --observations models/x/h768_wd0.observations.safetensors \\
        --manifest manifest1024.json --references references1024.json --tokenizer tokenizer.model \\
        --markdown pretraining.md --csv pretraining.csv --figures pretraining.svg

writes pretraining.provenance.json beside the output.
"""

from pathlib import Path

from bitnet.common.files import write_text
from bitnet.data.tokenizer import open_tokenizer
from bitnet.experiments.pretraining import ORDERS, markdown, outcome, scores
from bitnet.figures import losses
from workflow.helpers.cli import code_of, parsed, run
from workflow.helpers.reports import save_figure
from workflow.helpers.trained import read_trained, trained_flags
from workflow.provenance.environment import environment
from workflow.provenance.records import record_of, write_record

NATS, BITS = "Loss (nats a token)", "Bits per byte"


def main(argv: list[str] | None = None) -> None:
    """Write report, numbers, figure and record."""
    parser = trained_flags(__doc__)
    parser.add_argument("--csv", required=True, help="CSV file to write")
    parser.add_argument("--figures", nargs="+", required=True, help="image files to write")
    args = parsed(parser, argv)
    runs, tokenizer = read_trained(args), open_tokenizer(args.tokenizer)
    write_text(args.csv, scores(runs).to_csv(index=False, float_format="%.6g"))
    write_text(args.markdown, markdown(runs, args.title, tokenizer.decode))
    curves: dict[str, dict] = {NATS: {}, BITS: {}}
    for one in runs:
        weights, steps = one.record["recipe"]["model"]["weights"], one.seen["step"]
        curves[NATS][one.name] = (weights, steps, one.losses)
        curves[BITS][one.name] = (weights, steps, one.losses * one.bits)
    levels = {
        NATS: {order: runs[0].loss_of(order) for order in ORDERS},
        BITS: {order: runs[0].loss_of(order) * runs[0].bits for order in ORDERS},
    }
    save_figure(losses.losses(curves, levels, args.title), args.figures)
    made = {one.name: {key: one.record[key] for key in ("recipe", "code", "data")} for one in runs}
    own = {"title": args.title, "code": code_of("pretraining_report", args.code)}
    outputs = [Path(path) for path in (args.markdown, args.csv, *args.figures)]
    write_record(
        record_of(args.markdown),
        outputs,
        {"pretraining": own},
        outcome=outcome(runs),
        runs=made,
        evaluated=environment(),
    )


if __name__ == "__main__":
    run(main)
