"""Pilot of a long training: its report, and whether the whole training may start.

Free of torch.
"""

from bitnet.common.markdown import bullets, fill
from bitnet.config.budget import spell_duration
from bitnet.experiments.pretraining import (
    Decode,
    Trained,
    complaints,
    losses_table,
    odd_block,
    samples,
)

GO, NO_GO = "go", "no-go"


def judge(run: Trained) -> dict:
    """Decision on a pilot: `verdict` (go or no-go), `reasons`, measurements and the expected cost.

    Losses are in nats per token, `hours` and `tokens` those of the whole training.
    """
    training = run.record["recipe"]["training"]
    total = training["steps"] * training["batch_size"] * training["sequence_length"]
    reasons = complaints(run, "unigram")
    rate = run.record["tokens_per_second"]
    return {
        "verdict": NO_GO if reasons else GO,
        "reasons": reasons or ["loss below the unigram's, and no rule saw anything"],
        "steps": int(run.seen["step"][-1]),
        "loss": run.losses[-1],
        "unigram_loss": run.loss_of("unigram"),
        "anomalies": len(run.odd),
        "device": run.record["environment"]["device"],
        "processes": run.record["processes"],
        "tokens_per_second": rate,
        "peak_memory_mib": run.record["peak_memory_mib"],
        "mfu": run.record.get("mfu"),
        "tokens": total,
        "hours": round(total / rate / 3600, 2),
    }


def markdown(run: Trained, title: str, decode: Decode) -> str:
    """The pilot's report as Markdown; `decode` turns token ids into text."""
    found = judge(run)
    used = f", {found['mfu']:.0%} of its arithmetic" if found["mfu"] else ""
    lines = [
        f"{found['tokens_per_second']:,} tokens/s on {found['device']} "
        f"({found['processes']} processes){used}",
        f"at most {found['peak_memory_mib']:,} MiB of memory",
        f"{found['tokens']:,} tokens would take {found['hours']:,} hours "
        f"(about {spell_duration(3600 * found['hours'])})",
    ]
    return "\n\n".join(
        [
            f"# Pilot: {title}",
            fill(f"**{found['verdict']}**: {'; '.join(found['reasons'])}."),
            bullets(lines),
            losses_table(run),
            *odd_block(run, decode),
            "## What it writes",
            *samples(run, decode),
            "",
        ]
    )
