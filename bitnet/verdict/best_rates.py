"""Arms compared at each one's best learning rate, where a study varies the rate.

One rate for both arms can favour the arm that it suits. Here each arm has its own: that of the
lowest mean loss at the end over seeds, among the rates at which no run diverged.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bitnet.common.markdown import bullets, interval, number, table
from bitnet.config.question import RATES_TO_CHOOSE, Question
from bitnet.config.run_names import spell_number
from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.states import final, state
from bitnet.verdict.cells import TERNARY, armed
from bitnet.verdict.details import labels
from bitnet.verdict.statistics import effect

SERIES = ["Optimizer", "Stage1WD", "Variant", "Weights"]
PLACE = [*SERIES, "HiddenSize"]
TWIN = "full_precision"
DELTA = [f"DeltaValLoss{end}" for end in ("", "Low", "High")]
FACTOR = [f"WidthFactor{end}" for end in ("", "Low", "High")]


def best_rates(rows: pd.DataFrame, thresholds: Thresholds, question: Question) -> pd.DataFrame:
    """Table with one row per place (columns PLACE) at which both arms have a best rate.

    rows: the CSVs of all runs of a study, concatenated. Empty where rates are what the question
    compares, and where no place has RATES_TO_CHOOSE of them.

    Of each arm its rate, mean loss (nats) and edge (see `best`); of the treatment's loss minus the
    control's, paired by seed, mean and t-interval. Where the arms are the kinds of weights also
    `widths`.
    """
    if not question.chooses_rates(rows["PeakLR"].nunique()):
        return pd.DataFrame()
    losses = end_losses(armed(rows, question), thresholds)
    control, treatment = (
        losses[losses["Arm"] == question.value(arm)] for arm in ("control", "treatment")
    )
    found = []
    for key, own in control.groupby(PLACE):
        other = treatment[(treatment[PLACE] == list(key)).all(axis=1)]
        arms = {"Control": best(by_rate(own)), "Treatment": best(by_rate(other))}
        if min(own["PeakLR"].nunique(), other["PeakLR"].nunique()) < RATES_TO_CHOOSE:
            continue
        seen = effect(
            (arms["Treatment"][1] - arms["Control"][1]).dropna(),
            thresholds.equivalence_loss,
            thresholds.confidence,
        )
        row = dict(zip(PLACE, key, strict=True)) | {"Seeds": seen.n}
        for arm, (rate, by_seed, edge) in arms.items():
            row |= {f"{arm}PeakLR": rate, f"{arm}ValLoss": by_seed.mean(), f"{arm}Edge": edge}
        found.append(row | dict(zip(DELTA, (seen.mean, seen.low, seen.high), strict=True)))
    table = pd.DataFrame(found)
    if question.axis.key != "weights" or table.empty:
        return table
    return table.merge(widths(losses, thresholds), on=PLACE, how="left")


def end_losses(rows: pd.DataFrame, thresholds: Thresholds) -> pd.DataFrame:
    """Table of PLACE, Arm, PeakLR, Seed and Loss at the end (nats), one row a run.

    rows: they must have passed `armed`. Loss is NaN where the run diverged or is invalid.
    """
    key, found = [*PLACE, "Arm", "PeakLR", "Seed"], []
    for values, run in rows.groupby(key):
        sound = state(run, thresholds) not in ("invalid", "diverged")
        found.append([*values, final(run, "ValLoss", thresholds) if sound else math.nan])
    return pd.DataFrame(found, columns=[*key, "Loss"])


def by_rate(losses: pd.DataFrame) -> pd.DataFrame:
    """Losses of one arm at one place, of the table of `end_losses`: a row a seed, a column a rate.

    Missing and diverged runs are NaN.
    """
    return losses.pivot(index="Seed", columns="PeakLR", values="Loss")


def best(losses: pd.DataFrame) -> tuple[float, pd.Series, str]:
    """Best rate of a table of `by_rate`, its loss by seed, and the edge that it lies at.

    The edge is "lowest" or "highest" of the rates tried, else empty; at an edge it is not known
    whether a rate beyond is better. NaN and no losses where a run diverged or is missing at every
    rate.
    """
    means = losses.mean(skipna=False)
    if means.isna().all():
        return math.nan, pd.Series(dtype=float), ""
    rate = means.idxmin()
    edges = {losses.columns.max(): "highest", losses.columns.min(): "lowest"}
    return rate, losses[rate], edges.get(rate, "") if losses.shape[1] > 1 else ""


def widths(losses: pd.DataFrame, thresholds: Thresholds) -> pd.DataFrame:
    """For each twin the width at which a ternary model has its loss, one row per place.

    losses: the table of `end_losses` whose arms are the kinds of weights. Losses are those at each
    one's best rate; the ternary ones are interpolated over log2(HiddenSize) between sizes that were
    trained. WidthFactor is that width / the twin's, by the mean losses; its t-interval is that of
    log2(factor) found seed by seed, NaN where a seed's lies beyond the sizes. Beyond says so of the
    mean ("more than 256"), and SeedsBeyond of how many seeds.
    """
    found = []
    for _, series in losses.groupby(SERIES):
        ends = {arm: _at_best(series[series["Arm"] == arm]) for arm in (TERNARY, TWIN)}
        seeds = ends[TERNARY].index.intersection(ends[TWIN].index)
        ternary, twins = (ends[arm].loc[seeds] for arm in (TERNARY, TWIN))
        sizes = list(ternary.columns)
        if len(sizes) < 2 or not len(seeds):
            continue
        for size in twins:
            ratio = equal_width(sizes, ternary.mean(), twins[size].mean()) / size
            each = [equal_width(sizes, ternary.loc[s], twins.loc[s, size]) / size for s in seeds]
            outside = [not 0 < factor < math.inf for factor in each]
            seen = effect(np.log2([math.nan] if any(outside) else each), 1, thresholds.confidence)
            beyond = {0: f"less than {sizes[0]}", math.inf: f"more than {sizes[-1]}"}.get(ratio, "")
            factors = [math.nan if beyond else ratio, 2**seen.low, 2**seen.high]
            where = series.iloc[0][SERIES].to_list()
            found.append([*where, size, *factors, beyond, sum(outside)])
    return pd.DataFrame(found, columns=[*PLACE, *FACTOR, "Beyond", "SeedsBeyond"])


def _at_best(losses: pd.DataFrame) -> pd.DataFrame:
    """Losses of one arm at its best rates: a row a seed, a column a HiddenSize that has one."""
    found = {size: best(by_rate(own))[1] for size, own in losses.groupby("HiddenSize")}
    return pd.DataFrame({size: ends for size, ends in found.items() if len(ends)}).dropna()


def equal_width(sizes: Sequence[int], losses: Sequence[float], target: float) -> float:
    """The least width with a loss of at most `target`, interpolated over log2(size).

    sizes: ascending, with their losses. 0 where the smallest has a lower loss already, infinite
    where none reaches it: nothing is said beyond the sizes.
    """
    gaps, places = np.asarray(losses) - target, np.log2(sizes)
    reached = np.flatnonzero(gaps <= 0)
    if not len(reached):
        return math.inf
    first = reached[0]
    if first == 0:
        return float(sizes[0]) if gaps[0] == 0 else 0.0
    way = gaps[first - 1] / (gaps[first - 1] - gaps[first])
    return float(2 ** (places[first - 1] + way * (places[first] - places[first - 1])))


def section(found: pd.DataFrame, question: Question, thresholds: Thresholds) -> str:
    """The table of `best_rates` in Markdown, with its heading and what must be known of it."""
    columns = ["HiddenSize", "Optimizer", *["Weights"] * (question.axis.key != "weights")]
    names, rows = labels(found.assign(PeakLR=0.0), columns), found.to_dict("records")
    arms = {arm: question.arm_name(arm.lower()) for arm in ("Control", "Treatment")}
    header = ["cell", *(text for name in arms.values() for text in (f"{name}: rate", "loss"))]
    header += [f"Δloss [{thresholds.confidence:.0%}]"]
    lines = [
        [name, *(text for arm in arms for text in _level(row, arm)), _interval(row, DELTA, "+.3f")]
        for name, row in zip(names, rows, strict=True)
    ]
    notes = [
        "Best: the rate of the lowest mean loss at the end, of those at which no run diverged. It "
        "is chosen by the same seeds that are compared, for both arms alike.",
        f"Δloss: {arms['Treatment']} minus {arms['Control']}, nats, paired by seed.",
    ]
    if (found[["ControlEdge", "TreatmentEdge"]] != "").any(axis=None):
        notes.append(
            "Lowest, highest: at this edge of the rates tried, so that a rate beyond may be better."
        )
    if "WidthFactor" in found:
        header.append("a ternary model equals the twin at hidden size")
        lines = [[*line, _width(row)] for line, row in zip(lines, rows, strict=True)]
        notes.append(
            "Hidden size of equal loss: ternary losses interpolated over log2(hidden size), in "
            "brackets as a factor of the twin's; its interval is found seed by seed."
        )
    return f"## At each one's best learning rate\n\n{table(header, lines)}\n\n{bullets(notes)}"


def _level(row: Mapping, arm: str) -> list[str]:
    if math.isnan(rate := row[f"{arm}PeakLR"]):
        return ["none without divergence", "-"]
    edge = row[f"{arm}Edge"]
    return [spell_number(rate) + f" ({edge})" * bool(edge), number(row[f"{arm}ValLoss"], ".3f")]


def _interval(row: Mapping, columns: Sequence[str], style: str) -> str:
    return interval([row[column] for column in columns], style)


def _width(row: Mapping) -> str:
    outside = row["SeedsBeyond"]
    if isinstance(row["Beyond"], float):  # no ternary loss at two sizes, or none of the twin
        return "-"
    some = f"; beyond the sizes in {outside:.0f} of {row['Seeds']} seeds" * bool(outside)
    if row["Beyond"]:
        return row["Beyond"] + some * (outside < row["Seeds"])
    factor = _interval(row, FACTOR, ".2f")
    return f"{row['WidthFactor'] * row['HiddenSize']:.0f} (x {factor}{some})"
