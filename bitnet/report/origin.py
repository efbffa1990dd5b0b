"""What a study cost, and what its results were made from."""

import json
import statistics
from collections.abc import Mapping

from bitnet.evaluation.record import RunRecord


def cost(records: Mapping[str, RunRecord]) -> str:
    """Minutes of training, in a paragraph: of stage 2 as recorded, of stage 1 by its steps."""
    runs = list(records.values())
    seconds = sum(record.seconds for record in runs)
    speed = statistics.median(record.tokens_per_second for record in runs)
    devices = ", ".join(sorted({record.device for record in runs}))
    text = (
        f"{len(runs)} runs took {seconds / 60:,.1f} minutes of training on {devices}, "
        f"at {speed:,.0f} tokens a second (median)"
    )
    if trunks := _trunks(records):
        text = f"Stage 2 of {text}. Stage 1, which runs that differ only in what follows share, "
        text += f"took about {sum(trunks.values()) / 60:,.1f} minutes for {len(trunks)} trunks"
    return f"{text}."


def _trunks(records: Mapping[str, RunRecord]) -> dict[str, float]:
    """Seconds of each stage 1 by its recipe, at the speed of its stage 2."""
    found = {}
    for record in records.values():
        recipe = record.lineage["train"].get("recipe")
        if not (recipe and record.tokens_per_second):
            continue
        training = recipe["training"]
        tokens = training["wd_switch"] * training["batch_size"] * training["sequence_length"]
        without = {k: v for k, v in training.items() if k != "stage2_weight_decay"}
        key = json.dumps({**recipe, "training": without}, sort_keys=True)
        found[key] = tokens / record.tokens_per_second
    return found


def provenance(records: Mapping[str, RunRecord]) -> list[tuple[str, str]]:
    """Names and values of what the results were made from."""
    runs = list(records.values())

    def all_of(values) -> str:
        return ", ".join(sorted({str(value) for value in values}))

    def environment(key: str) -> str:
        return all_of(record.environment.get(key, "–") for record in runs)

    sources = {
        json.dumps(record.source, ensure_ascii=False)[1:-1].replace('"', "") or "–"
        for record in runs
    }
    return [
        ("Text", all_of(sources)),
        ("Data (sha256)", all_of(record.data for record in runs)),
        *(
            (f"Code of {name}", all_of(r.lineage[part].get("code", "–") for r in runs))
            for name, part in (("training", "train"), ("evaluation", "evaluate"))
        ),
        ("Commit", environment("commit")),
        ("PyTorch", environment("torch")),
        ("Python", environment("python")),
        ("Device", environment("device")),
    ]
