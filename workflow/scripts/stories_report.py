"""Write the report on the stories experiment: pass or fail, losses, quality of texts.

    python -m workflow.scripts.stories_report --inputs models/tinystories/*.samples.json \\
        --title tinystories --markdown stories.md --csv stories.csv --figures stories.svg

writes stories.provenance.json beside the output, with the outcome and provenance.
"""

from bitnet.common.files import write_text
from bitnet.experiments.runs import Samples
from bitnet.experiments.stories import bits_per_byte, judge, markdown, scores
from bitnet.figures import losses as plot_experiments
from workflow.helpers.cli import code_of, parsed, run
from workflow.helpers.reports import read_runs, report_flags, save_figure, seal

NATS, BITS = "Loss (nats a token)", "Bits per byte"


def main(argv: list[str] | None = None) -> None:
    """Write report, numbers, figure and record."""
    args = parsed(report_flags(__doc__), argv)
    runs = read_runs(args.inputs, Samples)
    write_text(args.csv, scores(runs).to_csv(index=False, float_format="%.6g"))
    write_text(args.markdown, markdown(runs, args.title))
    curves: dict[str, dict] = {NATS: {}, BITS: {}}
    for name, sampled in runs.items():
        weights, losses = sampled.recipe.model.weights, sampled.losses
        curves[NATS][name] = (weights, losses["step"], losses["nats"])
        curves[BITS][name] = (weights, losses["step"], bits_per_byte(losses))
    first = next(iter(runs.values()))
    scale = bits_per_byte({**first.losses, "nats": [1.0]})[0]
    known = {order: reference["loss"] for order, reference in first.references.items()}
    if best := first.best_possible:
        known["best possible"] = best["bits_per_byte"] / scale
    levels = {NATS: known, BITS: {name: loss * scale for name, loss in known.items()}}
    save_figure(plot_experiments.losses(curves, levels, args.title), args.figures)
    seal(args, "stories", judge(runs), runs, code_of("stories_report", args.code))


if __name__ == "__main__":
    run(main)
