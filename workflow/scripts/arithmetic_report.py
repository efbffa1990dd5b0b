"""Write the report on the arithmetic experiment: pass or fail, exact answers, losses.

    python -m workflow.scripts.arithmetic_report --inputs models/arithmetic/*.answers.json \\
        --title arithmetic --markdown arithmetic.md --csv arithmetic.csv --figures arithmetic.svg

writes arithmetic.provenance.json beside the output, with the outcome and provenance.
"""

from bitnet.common.files import write_text
from bitnet.experiments.arithmetic import judge, markdown, scores
from bitnet.experiments.runs import Answers
from bitnet.figures import losses
from workflow.helpers.cli import code_of, parsed, run
from workflow.helpers.reports import read_runs, report_flags, save_figure, seal


def main(argv: list[str] | None = None) -> None:
    """Write report, numbers, figure and record."""
    args = parsed(report_flags(__doc__), argv)
    runs = read_runs(args.inputs, Answers)
    write_text(args.csv, scores(runs).to_csv(index=False, float_format="%.6g"))
    write_text(args.markdown, markdown(runs, args.title))
    curves = {
        f"Loss on {tokens} (nats a token)": {
            name: (run.recipe.model.weights, run.losses["step"], run.losses[key])
            for name, run in runs.items()
        }
        for tokens, key in (("all tokens", "all"), ("answers", "answer"))
    }
    first = next(iter(runs.values()))
    on_all = {"unigram": first.unigram, "best possible": first.best_possible}
    levels = {next(iter(curves)): on_all}
    save_figure(losses.losses(curves, levels, args.title), args.figures)
    seal(args, "arithmetic", judge(runs), runs, code_of("arithmetic_report", args.code))


if __name__ == "__main__":
    run(main)
