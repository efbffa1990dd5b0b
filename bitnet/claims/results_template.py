"""Results template of the original verification, filled in from a study's tables.

Its checks were written for one run per size: a run works with over 50 distinct predictions at the
end (over 100 were hoped for); it fails with under 10, if a recovery does not last, or if training
crashes. Here they are counted over seeds, and controls are put to the same checks. Means leave out
what was measured of a run that diverged.
"""

import math
import statistics
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from bitnet.claims.evidence import LOST, Evidence, listed, most, select
from bitnet.claims.printed import beside
from bitnet.common.markdown import bullets, number, table
from bitnet.config.question import Question
from bitnet.config.run_names import BASE, VARIANT
from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.record import RunRecord
from bitnet.evaluation.states import tally
from bitnet.verdict.cells import CELL

ASKED_AT = (0.25, 0.3, 0.45, 0.5, 0.55, 0.75, 1)  # shares of all steps: 5k, 6k, 9k ... of 20k
CONTEXTS, PROBE = "of 20 random contexts", "of N = {N:,} held-out positions"
EXPECTED = {  # what is counted: steps of a run: {step: count that the reports expected}
    CONTEXTS: {10_000: {5_000: "about 2", 6_000: "over 8"}},
    PROBE: {20_000: {20_000: "over 50, hoped: over 100"}},
}
COUNTED = {CONTEXTS: "Unique20", PROBE: "UniquePredictions"}
PASSES, FAILS = ("diverse",), ("collapsed", "temporary", "diverged", "invalid", "untrained")
WORKS = {
    "fixed": "yes",
    "helps": "no: it helps, which is less than a fix",
    "recovers either way": "not needed: both arms recover",
    "no effect (nothing to fix)": "nothing to fix",
    "control diverges": "not decided: the runs to compare with diverged",
    "no verdict": "not decided: too few seeds",
    "inconclusive": "not decided",
}


def results_template(
    rows: pd.DataFrame,
    records: Mapping[str, RunRecord],
    question: Question,
    thresholds: Thresholds,
    title: str,
) -> str:
    """The filled-in template as Markdown.

    rows: all tables of a study, concatenated. records: by run, the records beside the tables. The
    question must be about Stage-2 weight decay, and its headline must state optimizer and weights.
    """
    study = Evidence(rows, question, thresholds)
    headline = {key: value for key, value in study.headline.items() if key != "HiddenSize"}
    arms = select(study.runs, headline)
    tested = arms[arms["Stage2WD"] == question.treatment]
    blocks = [
        f"# Results template: {title}",
        table(["", ""], _origin(rows, records)),
        "## Sizes",
        _sizes(tested),
        "## Counts on the way",
        _counts(rows, tested),
        *_printed(study, rows, thresholds),
        "## Questions",
        bullets(_questions(rows, tested, thresholds)),
        "## Controls under the same checks",
        _controls(study.runs),
        "## Overall",
        bullets(_overall(study, records)),
    ]
    return "\n\n".join(blocks) + "\n"


def _origin(rows: pd.DataFrame, records: Mapping[str, RunRecord]) -> list[list[str]]:
    """Machine, duration and data, and how often a run reads that data."""
    runs = list(records.values())
    devices = sorted({record.device for record in runs})
    protocol, held = runs[0].recipe.training, runs[0].training_tokens
    tokens = protocol.tokens
    speed = statistics.median(record.tokens_per_second for record in runs)
    minutes, memory = tokens / speed / 60, max(record.peak_memory_mib for record in runs)
    return [
        ["device", ", ".join(devices)],
        ["memory of a training", f"at most {memory:,} MiB"],
        ["duration of a run", f"{minutes:,.1f} minutes at {speed:,.0f} tokens/s (median)"],
        ["runs", f"{len(runs)} of {protocol.steps:,} steps, {rows['Seed'].nunique()} seeds"],
        ["corpus", f"{held:,} tokens; a run trains on {tokens:,} ({tokens / held:.2f} epochs)"],
        ["probe", f"N = {rows['N'].iloc[0]:,} held-out positions"],
    ]


def _sizes(tested: pd.DataFrame) -> str:
    """Table of the final count and outcome of each size."""
    lines = []
    for size, runs in tested.groupby("HiddenSize"):
        sound = runs[~runs["State"].isin(LOST)]
        counts = sound["EndUniquePredictions"].astype(float)
        mean, low, high = (number(value, ".1f") for value in (counts.mean(), *_range(counts)))
        lines.append(
            [
                f"hidden {size}",
                mean if mean == "-" else f"{mean} ({low} to {high})",
                f"{(sound['EndLoss'] < sound['TrunkLoss']).sum()} of {len(runs)}",
                f"{_checked(runs['State'])} ({tally(list(runs['State']))})",
            ]
        )
    header = ["size", "final count (lowest to highest)", "loss fell in stage 2", "outcome"]
    return table(header, lines)


def _range(values: pd.Series) -> tuple[float, float]:
    return values.min(), values.max()


def _checked(states: Sequence[str]) -> str:
    """Counts by the original's checks: 'pass 4/5, neither 1/5'."""
    states = list(states)
    passed = sum(state in PASSES for state in states)
    failed = sum(state in FAILS for state in states)
    counted = {"pass": passed, "fail": failed, "neither": len(states) - passed - failed}
    return ", ".join(f"{name} {n}/{len(states)}" for name, n in counted.items() if n)


def _counts(rows: pd.DataFrame, tested: pd.DataFrame) -> str:
    """Table of mean counts of the tested arm at the reports' steps, by kind of count and size."""
    last = int(rows["Step"].max())
    steps = sorted({round(share * last) for share in ASKED_AT} & set(rows["Step"]))
    lines = []
    for kind, column in COUNTED.items():
        of, expected = kind.format(**rows.iloc[0]), EXPECTED[kind].get(last, {})
        lines.append([f"expected, {of}", *(expected.get(step, "") for step in steps)])
        for size, runs in tested.groupby("HiddenSize"):
            seen = _of(rows, runs)
            seen = seen[np.isfinite(seen["ValLoss"])]
            means = seen.groupby("Step")[column].mean()
            found = [number(means.get(step, math.nan), ".1f") for step in steps]
            lines.append([f"hidden {size}, {of}", *found])
    return table(["step", *(f"{step:,}" for step in steps)], lines)


def _printed(study: Evidence, rows: pd.DataFrame, thresholds: Thresholds) -> list[str]:
    """Heading and tables of the reports' printed numbers, where the study has comparable runs."""
    headline = {"Optimizer": study.headline["Optimizer"], "Stage2WD": study.question.treatment}
    text = beside(select(rows, headline), thresholds)
    return ["## Beside the printed numbers", text] if text else []


def _of(rows: pd.DataFrame, runs: pd.DataFrame) -> pd.DataFrame:
    """All rows of these runs."""
    keys = [*CELL, "Seed", "Stage2WD"]
    return rows.merge(runs[keys], on=keys)


def _questions(rows: pd.DataFrame, tested: pd.DataFrame, thresholds: Thresholds) -> list[str]:
    """The reports' sub-questions with their answers from the runs."""
    answers = []
    for size, runs in tested.groupby("HiddenSize"):
        after = _of(rows, runs[~runs["State"].isin(LOST)])
        after = after[after["Step"] > after["SwitchStep"]]
        lows = after.groupby("Seed")["UniquePredictions"].min()
        kept, lost = (lows > thresholds.diverse_above).sum(), len(runs) - len(lows)
        lowest = f"the lowest count after the switch is {number(lows.min(), '.0f')}"
        answers.append(
            f"Does hidden {size} stay diverse (over {thresholds.diverse_above:g}) through all of "
            f"stage 2? {kept} of {len(runs)} seeds"
            + f"; {lowest}" * bool(len(lows))
            + f"; {lost} diverged or invalid" * bool(lost)
            + "."
        )
    outcomes = {size: _checked(runs["State"]) for size, runs in tested.groupby("HiddenSize")}
    alike = "yes" if len(set(outcomes.values())) == 1 else "no"
    listed = "; ".join(f"hidden {size}: {outcome}" for size, outcome in outcomes.items())
    if len(outcomes) > 1:
        answers.append(f"Is it consistent across sizes? {alike} ({listed}).")
    return answers


def _controls(runs: pd.DataFrame) -> str:
    """Table of every arm of the study under the same checks, controls included."""
    by = ["HiddenSize", "Optimizer", "Weights", VARIANT, "Stage2WD"]
    lines = []
    for (size, optimizer, weights, variant, decay), group in runs.groupby(by):
        odd = "" if variant == BASE else variant
        states = list(group["State"])
        said = _checked(states) + f" ({tally(states)})" * ("diverged" in states)
        lines.append([str(size), optimizer, weights, odd, f"{decay:g}", said])
    return table(["hidden", "optimizer", "weights", "variant", "WD", "outcome"], lines)


def _overall(study: Evidence, records: Mapping[str, RunRecord]) -> list[str]:
    """Does the fix work, how sure is that, and what went wrong."""
    chosen = study.cells[study.cells["Headline"]]
    diverged = sorted(name for name, record in records.items() if record.diverged)
    lines = ["Fix works: not decided: the headline's cell was not run."]
    if len(chosen):
        row = chosen.iloc[0]
        lines = [f"Fix works: {_works(row, study.question)} (outcome: {row['Outcome']})."]
        lines += [f"Confidence: {row['Confidence']}."] if row["Confidence"] else []
    issues = f"diverged: {', '.join(diverged)}" if diverged else "none"
    return [*lines, f"Issues met: {issues}."]


def _works(row: Mapping, question: Question) -> str:
    """The answer for the headline's cell: a training that crashes fails, whatever the seeds."""
    states = listed(row["TreatmentStates"])
    crashed = f"{question.arm_name('treatment')} diverged in {states.count('diverged')}"
    crashed += f"/{len(states)}"
    if most(states, "diverged"):
        return f"no: {crashed}"
    works = WORKS.get(row["Outcome"], "no")
    return f"{works}; {crashed}" if "diverged" in states else works
