"""Decide on a long training from its pilot: go or no-go, speed, memory and expected hours.

    python -m workflow.scripts.pilot_report --observations h768.observations.safetensors \\
        --manifest manifest1024.json --references references1024.json --tokenizer tokenizer.model \\
        --anomalies '{...}' --title x_pilot --markdown pilot.md --output pilot.json
"""

from bitnet.common.files import write_json, write_text
from bitnet.data.tokenizer import open_tokenizer
from bitnet.experiments.pilot import judge, markdown
from workflow.helpers.cli import code_of, log, parsed, run
from workflow.helpers.trained import read_trained, trained_flags
from workflow.provenance.environment import environment


def main(argv: list[str] | None = None) -> None:
    """Write the decision as JSON and as Markdown."""
    parser = trained_flags(__doc__)
    parser.add_argument("--output", required=True, help="JSON file to write")
    args = parsed(parser, argv)
    [pilot], tokenizer = read_trained(args), open_tokenizer(args.tokenizer)
    found = judge(pilot)
    log.info("%(verdict)s: %(reasons)s", found)
    write_text(args.markdown, markdown(pilot, args.title, tokenizer.decode))
    made = {key: pilot.record[key] for key in ("recipe", "code", "data", "environment")}
    own = {"code": code_of("pilot_report", args.code), "evaluated": environment()}
    write_json(args.output, {**found, "trained": made, **own})


if __name__ == "__main__":
    run(main)
