"""Compute the metrics of a run from the observations that its training recorded.

    python -m workflow.scripts.evaluate --observations models/h64_wd0.observations.safetensors \\
        --manifest data/stories/bpe2048/manifest64.json \\
        --references data/stories/bpe2048/references64.json --output h64_wd0.csv

writes h64_wd0.provenance.json beside the output.
"""

import json
from pathlib import Path

from bitnet.common.files import damaged, read_json, write_text
from bitnet.common.tensors import load_tensors
from bitnet.evaluation.metrics import evaluate
from workflow.helpers.cli import code_of, flags, log, parsed, run
from workflow.provenance.environment import environment
from workflow.provenance.records import differences, record_of, write_record
from workflow.provenance.sources import identity

MEASURED = ("environment", "diverged", "first_step", "seconds", "tokens_per_second")
MEASURED += ("peak_memory_mib", "processes", "trained_on")


def main(argv: list[str] | None = None) -> None:
    """Write a CSV with one row per evaluation."""
    parser = flags(__doc__)
    parser.add_argument("--observations", required=True, help="what training recorded")
    parser.add_argument("--manifest", required=True, help="manifest it was trained on")
    parser.add_argument("--references", required=True, help="what count models reach there")
    parser.add_argument("--text", help="description of its text, for the files it came from")
    parser.add_argument("--lineage", default="{}", help="how its inputs were made, as JSON")
    parser.add_argument("--variant", default="base", help="what else its name says")
    parser.add_argument("--output", required=True, help="CSV file to write")
    args = parsed(parser, argv)
    lineage = json.loads(args.lineage)
    expected = lineage.get("evaluate", {}).get("code") or args.code
    lineage["evaluate"] = {"code": code_of("evaluate", expected), "variant": args.variant}
    observations, trained = load_tensors(args.observations)
    if trained["kind"] != "observations":
        raise damaged(args.observations, f"it holds {trained['kind']}")
    manifest, references = read_json(args.manifest), read_json(args.references)
    for path, data in ((args.observations, trained["data"]), (args.references, references["data"])):
        if data != manifest["sha256"]:
            raise ValueError(f"{path} is of other data than {args.manifest}; delete it, run again")
    own = {"recipe": trained["recipe"], "code": trained["code"]}
    odd = differences(lineage.get("train", own), own)
    if any(key.startswith("recipe") for key in odd):
        raise ValueError(
            f"{args.observations} was trained with another {odd[-1]}; delete it and run again"
        )
    if odd:
        log.warning("%s was trained by other code than the code at hand", args.observations)
    lineage["train"] = own
    constants = {**constants_of(trained["recipe"]), "variant": args.variant}
    table = evaluate(observations, {**manifest, **references}, constants)
    log.info("%d evaluations at N = %d positions", len(table), manifest["probe"]["positions"])
    write_text(args.output, table.to_csv(index=False, float_format="%.8g"))
    measured = {key: trained[key] for key in MEASURED}
    measured["training_tokens"] = manifest["train"]["tokens"]
    measured["seen_in_training"] = manifest["seen_in_training"]
    if args.text and (sources := read_json(args.text).get("sources")):
        measured["sources"] = sources
        lineage["text"] = {**lineage.get("text", {}), "sources": identity(sources)}
    if "sha256" in lineage.get("tokenizer", {}):  # files at hand may have changed since
        lineage["tokenizer"]["sha256"] = manifest["tokenizer_sha256"]
    if best := references.get("best_possible"):
        measured["best_possible_loss"] = best["loss"]
    output, here = Path(args.output), environment()
    write_record(
        record_of(output), [output], lineage, data=trained["data"], evaluated=here, **measured
    )


def constants_of(recipe: dict) -> dict:
    """Values that are the same in every row of a run, as `metrics.evaluate` takes them."""
    model, training = recipe["model"], recipe["training"]
    return {
        "optimizer": training["optimizer"],
        "weights": model["weights"],
        "seed": training["seed"],
        "hidden_size": model["hidden_size"],
        "stage2_weight_decay": training["stage2_weight_decay"],
        "peak_lr": training["peak_lr"],
        "stage1_weight_decay": training["stage1_weight_decay"],
        "switch_step": training["wd_switch"],
    }


if __name__ == "__main__":
    run(main)
