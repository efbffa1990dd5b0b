"""Report on a pretraining: losses compared with count models, anomalies, sample texts.

Free of torch.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from bitnet.common.markdown import bullets, fill, number, table
from bitnet.config.thresholds import Limits
from bitnet.monitoring.anomalies import DRAWN, GREEDY, anomalies

ORDERS = ("unigram", "bigram", "trigram")
ROWS = 12  # evaluations that a table shows
SAMPLES = 2  # texts of each kind that are shown

Decode = Callable[[list[int]], str]


@dataclass(frozen=True)
class Trained:
    """A finished training: its observations, its record, its anomalies, the data's references."""

    name: str
    seen: Mapping[str, np.ndarray]
    record: Mapping
    """The record that the script `train` wrote beside the observations."""
    manifest: Mapping
    references: Mapping
    limits: Limits
    odd: list[dict] = field(init=False)

    def __post_init__(self):
        object.__setattr__(self, "odd", anomalies(self.seen, self.limits))

    @property
    def losses(self) -> np.ndarray:
        """Validation loss of each evaluation (evaluations,), nats per token."""
        return self.seen["nll"].mean(axis=1, dtype=float)

    @property
    def bits(self) -> float:
        """Factor from nats per token to bits per UTF-8 byte at the probe."""
        placed = self.manifest["probe"]
        return placed["positions"] / math.log(2) / placed["bytes"]

    def loss_of(self, order: str) -> float:
        """Loss of a count model ("unigram", "bigram", "trigram"), nats per token."""
        return self.references["references"][order]["loss"]


def complaints(run: Trained, order: str) -> list[str]:
    """Reasons why a training fails, one line each; empty if it passes.

    It must be below the loss of the count model `order`, and no anomaly rule may have fired.
    """
    last, bar = run.losses[-1], run.loss_of(order)
    wrong = []
    if run.record["diverged"] or not math.isfinite(last):
        wrong.append("its loss or gradient became NaN or infinite")
    elif last >= bar:
        wrong.append(f"loss {last:.3f} is not below the {order}'s {bar:.3f}")
    first = {one["rule"]: one for one in reversed(run.odd)}
    return wrong + [f"{rule} at step {one['step']}: {one['saw']}" for rule, one in first.items()]


def scores(runs: list[Trained]) -> pd.DataFrame:
    """Table with one row per run: final losses (nats), count models, anomalies, speed, memory."""
    rows = []
    for run in runs:
        recipe = run.record["recipe"]
        row = {
            "Run": run.name,
            "Weights": recipe["model"]["weights"],
            "Seed": recipe["training"]["seed"],
            "Step": int(run.seen["step"][-1]),
            "ValLoss": run.losses[-1],
            "BitsPerByte": run.losses[-1] * run.bits,
            **{f"{order.capitalize()}Loss": run.loss_of(order) for order in ORDERS},
            "Anomalies": len(run.odd),
            "TokensPerSecond": run.record["tokens_per_second"],
            "PeakMemoryMiB": run.record["peak_memory_mib"],
            "MFU": run.record.get("mfu", math.nan),
        }
        rows.append(row)
    return pd.DataFrame(rows)


def outcome(runs: list[Trained]) -> dict:
    """`passed` and `reason`: every run must be below the bigram's loss and without anomalies."""
    wrong = [f"{run.name}: {line}" for run in runs for line in complaints(run, "bigram")]
    reason = "; ".join(wrong) or "every run ends below the bigram's loss and no rule saw anything"
    return {"passed": not wrong, "reason": reason}


def markdown(runs: list[Trained], title: str, decode: Decode) -> str:
    """The report as Markdown; `decode` turns token ids into text."""
    found = outcome(runs)
    blocks = [
        f"# Pretraining: {title}",
        fill(f"**{'pass' if found['passed'] else 'fail'}**: {found['reason']}."),
    ]
    for run in runs:
        blocks += [f"## {run.name}", losses_table(run), *odd_block(run, decode)]
        blocks += ["### What it writes", *samples(run, decode)]
    notes = [
        f"Losses are at N = {runs[0].manifest['probe']['positions']:,} held-out positions. It "
        "passes if they end below those of a bigram of the training text and no rule saw anything.",
        "Entropy: mean of the predicted distributions, nats. Spike: how far the loss of a step "
        "stood above the mean of a hundred since the row before. Largest: activation that a layer "
        "passes on. Flips: share of ternary weights that changed in a hundred steps.",
    ]
    return "\n\n".join([*blocks, "## How it is measured", bullets(notes), ""])


def losses_table(run: Trained) -> str:
    """Markdown table of at most ROWS evaluations, spread evenly, and of the count models."""
    seen, losses = run.seen, run.losses
    shown = sorted({*np.linspace(0, len(losses) - 1, min(ROWS, len(losses))).round().astype(int)})
    header = [
        "step",
        "loss",
        "bits a byte",
        "entropy",
        "gradient norm",
        "spike",
        "largest",
        "flips",
    ]
    lines = [
        [
            str(seen["step"][i]),
            number(losses[i], ".3f"),
            number(losses[i] * run.bits, ".3f"),
            number(seen["entropy"][i].mean(dtype=float), ".2f"),
            number(float(seen["grad_norm"][i]), ".2f"),
            number(float(seen["loss_spike"][i]), ".2f"),
            number(float(seen["activation_absmax"][i].max()), ".1f"),
            number(float(seen["flip_rate"][i]), ".2%"),
        ]
        for i in shown
    ]
    for order in ORDERS:
        loss = run.loss_of(order)
        cells = [number(loss, ".3f"), number(loss * run.bits, ".3f")]
        lines.append([order, *cells, *[""] * (len(header) - 3)])
    return table(header, lines)


def odd_block(run: Trained, decode: Decode) -> list[str]:
    """Markdown blocks on a run's anomalies, with a sample text of the first of each rule."""
    if not run.odd:
        return ["No rule saw anything odd."]
    first = {one["rule"]: one for one in reversed(run.odd)}
    lines = [
        f"{rule}, {sum(one['rule'] == rule for one in run.odd)} times, first at step "
        f"{one['step']}: {one['saw']}; it wrote `{shown(one['ids'], decode)}`"
        for rule, one in first.items()
    ]
    return ["### What was odd", bullets(lines)]


def samples(run: Trained, decode: Decode) -> list[str]:
    """Continuations of held-out text from the last evaluation, as Markdown quotes.

    SAMPLES greedy ones, then as many sampled at temperature 1.
    """
    if "samples" not in run.seen:
        return ["No texts were written (`samples: 0`)."]
    last = run.seen["samples"][-1]
    return [
        fill(f"> {how}: {shown(ids.tolist(), decode)}", indent="> ")
        for how, kind in (("greedy", GREEDY), ("drawn", DRAWN))
        for ids in last[kind][:SAMPLES]
    ]


def shown(ids: list[int], decode: Decode) -> str:
    """Decoded token ids as one line of text that is safe in Markdown; negative ids are left out."""
    text = " ".join(decode([token for token in ids if token >= 0]).split())
    return text.replace("`", "'").replace("<", "&lt;").replace("|", "/")
