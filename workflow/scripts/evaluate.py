"""Derive the metrics of a run from what was observed while it trained.

    python -m workflow.scripts.evaluate --observations models/h64_wd0.observations.safetensors \\
        --manifest data/stories/bpe2048/manifest64.json \\
        --references data/stories/bpe2048/references64.json --output h64_wd0.csv
"""

import json
from pathlib import Path

from bitnet.files import write_text
from bitnet.metrics import evaluate
from bitnet.observations import load_observations
from workflow.scripts.cli import flags, log, parsed, run


def main(argv: list[str] | None = None) -> None:
    """Write one row an evaluation."""
    parser = flags(__doc__)
    parser.add_argument("--observations", required=True, help="what training recorded")
    parser.add_argument("--manifest", required=True, help="manifest it was trained on")
    parser.add_argument("--references", required=True, help="what count models reach there")
    parser.add_argument("--output", required=True, help="CSV file to write")
    args = parsed(parser, argv)
    observations, record = load_observations(args.observations)
    manifest = json.loads(Path(args.manifest).read_text())
    if record["data"] != manifest["sha256"]:
        raise ValueError(f"{args.observations} was trained on other data than {args.manifest}")
    model, training = record["recipe"]["model"], record["recipe"]["training"]
    constants = {
        "optimizer": training["optimizer"],
        "weights": model["weights"],
        "seed": training["seed"],
        "hidden_size": model["hidden_size"],
        "stage2_weight_decay": training["stage2_weight_decay"],
        "peak_lr": training["peak_lr"],
        "switch_step": training["wd_switch"],
    }
    references = json.loads(Path(args.references).read_text())
    table = evaluate(observations, {**manifest, **references}, constants)
    log.info("%d evaluations at N = %d positions", len(table), manifest["probe"]["positions"])
    write_text(args.output, table.to_csv(index=False, float_format="%.8g"))


if __name__ == "__main__":
    run(main)
