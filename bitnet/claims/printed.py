"""The numbers that the original reports printed, beside those of runs at the same steps.

Source: results of github.com/dcgrigsby/bitnet, commit f112e0c. Each is of one run of 10,000 steps
without a seed. A count is of the predictions after 20 random contexts (`Unique20`).
"""

import math
from collections.abc import Mapping

import pandas as pd

from bitnet.common.markdown import number, table
from bitnet.config.thresholds import Thresholds

STEPS = 10_000
COUNTS = {
    256: {1: 20, 1000: 16, 2000: 8, 3000: 2, 4000: 2, 5000: 2, 6000: 10, 7000: 14, 10_000: 13},
    512: {1: 20, 1000: 14, 2000: 8, 3000: 4, 4000: 2, 5000: 2, 6000: 10, 7000: 12, 10_000: 11},
}
LOSSES = {256: {1: 10.99, 5000: 10.34}, 512: {5000: 10.19}, 768: {5000: 10.08}, 1024: {5000: 10.10}}
REDUCED = 5e-4  # the learning rate of the reports' diagnostic
COUNTS_REDUCED = {256: {1000: 3, 2000: 10, 3000: 14, 4000: 18}}


def printed(size: int, rate: float) -> tuple[Mapping[int, int], Mapping[int, float]]:
    """Printed counts and losses by step, of a hidden size at a peak learning rate; maybe empty."""
    if math.isclose(rate, REDUCED):
        return COUNTS_REDUCED.get(size, {}), {}
    return COUNTS.get(size, {}), LOSSES.get(size, {})


def beside(rows: pd.DataFrame, thresholds: Thresholds) -> str:
    """A table for each size and rate that the reports printed, in Markdown; empty for none.

    rows: tables of runs with one optimizer and one Stage-2 WD, of both weights where there are
    twins. Only runs of STEPS are comparable.
    """
    blocks = []
    for (size, rate), runs in rows[rows["Variant"] == "base"].groupby(["HiddenSize", "PeakLR"]):
        counts, losses = printed(size, rate)
        if counts and runs["Step"].max() == STEPS:
            blocks.append(_one(size, rate, runs, counts, losses, thresholds))
    return "\n\n".join(blocks)


def _one(size, rate, runs, counts, losses, thresholds) -> str:
    kinds = [kind for kind in ("ternary", "full_precision") if (runs["Weights"] == kind).any()]
    header = ["step", "printed, 20 contexts", "printed loss"]
    for kind in kinds:
        name = "twin" if kind == "full_precision" else kind
        header += [f"{name}: 20 contexts", f"of {runs['N'].iloc[0]:,}", "loss"]
    lines = []
    for step in sorted(counts.keys() | losses.keys()):
        line = [f"{step:,}", number(counts.get(step, math.nan), "d"), _loss(losses, step)]
        for kind in kinds:
            seen = runs[(runs["Step"] == step) & (runs["Weights"] == kind)]
            means = (seen["Unique20"].mean(), seen["UniquePredictions"].mean())
            line += [*(number(mean, ".1f") for mean in means)]
            line.append(number(seen["ValLoss"].mean(), ".2f"))
        lines.append(line)
    seeds, last = runs["Seed"].nunique(), counts[max(counts)]
    said = _named(last, thresholds)
    return (
        f"Hidden {size}, peak learning rate {rate:g}, means of {seeds} "
        f"{'seed' if seeds == 1 else 'seeds'}:\n\n{table(header, lines)}\n\n"
        f"By this study's thresholds a count of {last}, the last printed one, would be {said} if "
        "it were one of all positions. It is one of 20 contexts, so it cannot exceed 20, and one "
        "run gives no verdict."
    )


def _loss(losses: Mapping[int, float], step: int) -> str:
    return number(losses.get(step, math.nan), ".2f")


def _named(count: float, limits: Thresholds) -> str:
    if count < limits.collapsed_below:
        return "collapsed"
    return "diverse" if count > limits.diverse_above else "recovering"
