"""Share of drawn studies in which the verdict's rule gives the right answer, and a wrong one.

Outcomes, corrections and answers about ternary are those of `bitnet.verdict.rule` and
`bitnet.verdict.ternary`. States and effective counts are those of `bitnet.evaluation.states` for
arrays of runs: a table a run would take hours. A test holds them to `rule.judge` on tables.

    runs = {key: draw(truth, spread, 1000, 5, rng) for key, truth in scenario.cells.items()}
    row = rates(scenario, list(answers(scenario, runs, thresholds)))  # 1,000 studies of 5 seeds
"""

import gc
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from scipy.stats import binomtest

from bitnet.config.question import COUNT
from bitnet.config.run_names import BASE
from bitnet.config.thresholds import Thresholds
from bitnet.verdict.cells import CELL, Cell
from bitnet.verdict.error_rates.generator import SEGMENTS
from bitnet.verdict.error_rates.scenarios import COLLAPSE, EFFECT, Scenario
from bitnet.verdict.rule import NO_CLAIM, families, outcome
from bitnet.verdict.statistics import corrected, effect
from bitnet.verdict.ternary import NONE_SHOWN, UNDECIDED, collapse_is_ternary, effect_is_ternary

SILENT = {*NO_CLAIM, UNDECIDED, NONE_SHOWN}
LEVEL = 0.95  # of the intervals of the shares


def rates(scenario: Scenario, said: Sequence[frozenset[str]]) -> dict:
    """Row with the shares of studies that are Right and Wrong, with Wilson intervals, and Answers.

    said: answers of each study, one a cell. A study is right where all are, wrong where one is; an
    answer that says nothing, or less than is true, is neither.
    """
    counts, fair = Counter(said), {scenario.right, scenario.also, *SILENT}
    right = sum(n for found, n in counts.items() if found == {scenario.right})
    wrong = sum(n for found, n in counts.items() if not found <= fair)
    row = {"Group": scenario.group, "Scenario": scenario.name, "Answer": scenario.right}
    for name, count in (("Right", right), ("Wrong", wrong)):
        low, high = binomtest(count, len(said)).proportion_ci(LEVEL, method="wilson")
        row |= {name: count / len(said), f"{name}Low": low, f"{name}High": high}
    told = sorted((-n, " + ".join(sorted(found))) for found, n in counts.items())
    return row | {"Answers": "; ".join(f"{name} {-n}" for n, name in told)}


def answers(
    scenario: Scenario, runs: Mapping[tuple, Mapping[str, np.ndarray]], thresholds: Thresholds
) -> Iterator[frozenset[str]]:
    """Answers to a scenario's question, those of all its cells, a drawn study at a time.

    runs: of each cell of the scenario, as `generator.draw` gives them.
    """
    gc.freeze()  # Holm's correction collects garbage each time: not all that is loaded
    drawn = {(256, 1.5e-3, 0.1, BASE, *key): read(y, thresholds) for key, y in runs.items()}
    table = pd.DataFrame(list(drawn), columns=CELL)
    family = families(table.assign(Headline=[True] + [False] * (len(drawn) - 1)))
    for i in range(len(next(iter(drawn.values()))["Ln"])):
        pairs = [_judged(key, found, i, thresholds) for key, found in drawn.items()]
        cells, rows = zip(*pairs, strict=True)
        holm = pd.Series([row["P"] for row in rows], dtype=float)
        holm = holm if family.is_unique else corrected(holm, family)  # slow
        rows = [row | {"HolmP": p} for row, p in zip(rows, holm, strict=True)]
        if scenario.group == EFFECT:
            yield frozenset([effect_is_ternary(cells[0], cells, rows[0], thresholds)])
        elif scenario.group == COLLAPSE:
            yield frozenset([collapse_is_ternary(cells[0], cells, thresholds)])
        else:
            yield frozenset(map(outcome, cells, rows, [thresholds] * len(cells)))


def read(runs: Mapping[str, np.ndarray], limits: Thresholds) -> dict[str, np.ndarray]:
    """States (draws, seeds) a segment, and Ln, Loss: treatment - control (draws, seeds) at the end.

    runs: as `generator.draw` gives them. Ln is of effective counts; both are NaN where a run of
    either arm diverged.
    """
    found, ends = {}, {}
    for name in SEGMENTS:
        count, loss = np.moveaxis(runs[name], -1, 0)
        dead, low = loss >= -limits.unigram_margin, limits.collapsed_below
        last = slice(-limits.final_evaluations, None)
        end, mean = count[..., last].mean(axis=-1), loss[..., last].mean(axis=-1)
        rose = ((count > limits.diverse_above) & ~dead).any(axis=-1) & (name != "trunk")
        conditions = {
            "diverged": np.isnan(loss).any(axis=-1),
            "temporary": rose & ((count[..., -1] < low) | dead[..., -1]),
            "collapsed": (end < low) | (mean >= -limits.unigram_margin),
            "diverse": end > limits.diverse_above,
        }
        found[name] = np.select(list(conditions.values()), list(conditions), "recovering")
        effective = np.where(dead, low, count.clip(low))[..., last].mean(axis=-1)
        ends[name] = np.log(effective) + 0 * mean, mean  # NaN with the loss
    gaps = (
        after - before for after, before in zip(ends["treatment"], ends["control"], strict=True)
    )
    return found | dict(zip(("Ln", "Loss"), gaps, strict=True))


def _judged(
    key: tuple, found: Mapping[str, np.ndarray], i: int, limits: Thresholds
) -> tuple[Cell, dict]:
    """A cell of study i as `read` found it, and what the rule reads of its row, but for HolmP."""
    arms = [pd.DataFrame({"State": found[name][i]}) for name in SEGMENTS[1:]]
    deltas = pd.DataFrame({COUNT: found["Ln"][i], "ValLoss": found["Loss"][i]}).dropna()
    ratio = effect(deltas[COUNT], math.log(limits.equivalence_ratio), limits.confidence)
    loss = effect(deltas["ValLoss"], limits.equivalence_loss, limits.confidence)
    row = {"Seeds": ratio.n, f"Delta{COUNT}": ratio.mean, "P": ratio.p, "TostP": ratio.tost}
    row |= {"DeltaValLossLow": loss.low, "DeltaValLossHigh": loss.high, "TostValLossP": loss.tost}
    return Cell(key, list(found["trunk"][i]), *arms, deltas, {"Blind": False}), row
