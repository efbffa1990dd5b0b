"""The verdict as Markdown that is also readable as plain text in a terminal.

All numbers and outcomes come from the table of `bitnet.verdict.rule.judge`.
"""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from bitnet.common.markdown import bullets, fill, interval, number, table
from bitnet.config.question import COUNT, RATIOS, STAGE2, Question, value_name
from bitnet.config.run_names import BASE, VARIANT, spell_number
from bitnet.config.thresholds import Thresholds
from bitnet.verdict.headline import difference, headline, kind, meanings, primary, style_of
from bitnet.verdict.recommendation import recommend
from bitnet.verdict.rule import MEANINGS as SIZES
from bitnet.verdict.rule import scaling


def markdown(
    cells: pd.DataFrame,
    question: Question,
    thresholds: Thresholds,
    title: str,
    conditions: Sequence[str] = (),
) -> str:
    """The whole verdict: headline, tables of states and of effects, notes, legend.

    cells: the table of `judge`. conditions: lines on how the rows were made, put first among the
    notes.
    """
    names = _labels(cells, ["HiddenSize", "Optimizer", "Weights"])
    rows = cells.to_dict("records")
    level = f"[{thresholds.confidence:.0%}]"
    decides = rows[0]["Primary"]  # one corpus, one measure
    shown = "count" if decides in RATIOS else decides
    ends = [f"{question.arm_name(arm)}: {shown}" for arm in ("control", "treatment")]
    tost = "TOST ratio" if decides in RATIOS else f"TOST {decides}"
    beside = f"{kind(_beside(decides))} {level}"
    tables = {
        "States and outcomes": (["at the switch", *ends, "outcome"], _state_fields),
        "Effects": ([f"{kind(decides)} {level}", "p", f"ΔValLoss {level}", "ternary"], _effects),
        "Equivalence, power, confidence": (
            [tost, "TOST loss", "could see", beside, "confidence"],
            _equivalence,
        ),
    }
    blocks = [f"# {title}", fill(headline(cells, question, thresholds.confidence))]
    for heading, (header, fields) in tables.items():
        lines = [[name, *fields(row)] for name, row in zip(names, rows, strict=True)]
        blocks += [f"## {heading}", table(["cell", *header], lines)]
    blocks += ["## Recommendation", _advice(cells, question, thresholds)]
    if len(found := scaling(cells)):
        blocks += ["## Size", _sizes(found)]
    if notes := [*conditions, *_notes(names, rows)]:
        blocks += ["## Notes", bullets(notes)]
    blocks += ["## Legend", bullets(_legend(rows[0], question, thresholds))]
    return "\n\n".join(blocks) + "\n"


def _advice(cells: pd.DataFrame, question: Question, limits: Thresholds) -> str:
    """Table of recommendations, each with its reason and confidence."""
    lines = [list(map(str, line)) for line in recommend(cells, question, limits).to_numpy()]
    return table(["of", "recommended", "because", "confidence"], lines)


def _sizes(found: pd.DataFrame) -> str:
    """Table of states by size, with the scaling outcome of each series."""
    names = _labels(found, ["Optimizer", "Weights"])
    lines = [
        [
            name,
            row["Part"],
            ", ".join(
                f"{n} {s or 'mixed'}" for n, s in zip(row["Sizes"], row["States"], strict=True)
            ),
            f"{row['Scaling']}: {SIZES[row['Scaling']]}"
            + (f", from hidden {row['MinimumSize']}" if row["Scaling"] == "A" else ""),
        ]
        for name, row in zip(names, found.to_dict("records"), strict=True)
    ]
    return table(["series", "part", "states by hidden size", "outcome"], lines)


def _labels(cells: pd.DataFrame, columns: Sequence[str]) -> list[str]:
    """Names of cells like '256 adam ternary', with every other value that is not the commonest."""
    labels = [" ".join(map(str, key)) for key in cells[columns].itertuples(index=False)]
    for column, word in (("PeakLR", "lr"), ("Stage1WD", "stage1wd")):
        usual = cells[column].mode()
        labels = [
            label + (f" {word}{spell_number(value)}" if len(usual) > 1 or value != usual[0] else "")
            for label, value in zip(labels, cells[column], strict=True)
        ]
    return [
        label + (f" {variant}" if variant != BASE else "")
        for label, variant in zip(labels, cells[VARIANT], strict=True)
    ]


def _beside(decides: str) -> str:
    """The measure of diversity shown next to the deciding one."""
    return "PDR" if decides == COUNT else COUNT


def _state_fields(row: Mapping) -> list[str]:
    ratio, name = row["Primary"] in RATIOS, row["Primary"]
    arms = [
        f"{_brief(row[f'{arm}States'])} "
        + (number(row[f"{arm}Unique"], ".1f") if ratio else number(row[f"{arm}{name}"], ".4g"))
        for arm in ("Control", "Treatment")
    ]
    return [_brief(row["TrunkStates"]), *arms, row["Outcome"]]


def _effects(row: Mapping) -> list[str]:
    loss = [row[f"DeltaValLoss{end}"] for end in ("", "Low", "High")]
    own, p = interval(primary(row), style_of(row["Primary"])), number(row["HolmP"], ".2g")
    return [own, p, interval(loss, "+z.3f"), row["EffectTernary"]]


def _equivalence(row: Mapping) -> list[str]:
    tests = [number(row[column], ".2g") for column in ("TostP", "TostValLossP")]
    decides = row["Primary"]
    least = math.exp(row["Detectable"]) if decides in RATIOS else row["Detectable"]
    seen = number(least, ".2f" if decides in RATIOS else ".3g")
    other = interval(difference(row, _beside(decides)), ".2f")
    return [*tests, seen, other, row["Confidence"]]


def _brief(tally: str) -> str:
    """The commonest state; the others are in the notes."""
    first, *others = tally.split(", ")
    return (first or "-") + " …" * bool(others)


def _notes(names: Sequence[str], rows: Sequence[Mapping]) -> list[str]:
    notes = []
    for name, row in zip(names, rows, strict=True):
        arms = {"at the switch": "Trunk", "control": "Control", "treatment": "Treatment"}
        mixed = [
            f"{arm}: {row[column + 'States']}"
            for arm, column in arms.items()
            if "," in row[column + "States"]
        ]
        if said := [*mixed, *filter(None, [row["Note"]])]:
            notes.append(f"{name}: {'; '.join(said)}")
    return notes


def _legend(row: Mapping, question: Question, limits: Thresholds) -> list[str]:
    low, high = f"{limits.collapsed_below:g}", f"{limits.diverse_above:g}"
    measure = f"under {low} distinct predictions, diverse: over {high}"
    if row["Blind"]:
        share = (limits.blind_collapsed_share, limits.blind_diverse_share)
        measure = "PDR under {:.0%} of the trigram's, diverse: over {:.0%}".format(*share)
    return [
        f"Count: distinct predictions of N = {row['N']:,} held-out positions "
        f"({row['UniqueTargets']:,} distinct targets), mean of the last {limits.final_evaluations} "
        f"evaluations and of the seeds. k/n: runs in that state. Data {row['DataHash']}, "
        f"vocabulary {row['VocabSize']:,} (ln V = {math.log(row['VocabSize']):.2f}).",
        f"References, nats (distinct predictions): unigram {row['UnigramLoss']:.3f} (1), "
        f"bigram {row['BigramLoss']:.3f} ({row['BigramUniquePredictions']:,}), "
        f"trigram {row['TrigramLoss']:.3f} ({row['TrigramUniquePredictions']:,}).",
        _effects_legend(row["Primary"], question, limits),
        f"States: collapsed: {measure}; either way collapsed unless {limits.unigram_margin:g} nats "
        f"under the unigram. Untrained: over {limits.copy_share:.0%} copies of the input at the "
        "unigram's loss. Temporary: diverse after the switch, collapsed at the end.",
        f"Tests at {1 - limits.confidence:.2g}; under {limits.few_seeds} seeds: few seeds; under "
        f"{limits.no_verdict_under}: no verdict. Outcomes, the first that fits:",
        *(f"**{name}**: {text}." for name, text in meanings(question).items()),
    ]


def _effects_legend(decides: str, question: Question, limits: Thresholds) -> str:
    """Legend of the effects: what is compared, by which tests, with which margins."""
    treatment, control = question.arm_name("treatment"), question.arm_name("control")
    metric, loss = question.metric, f"{limits.equivalence_loss:g} nats"
    shown, least, margin = f"Δ{decides}", "difference", f"{metric.margin} of {decides}"
    if decides in RATIOS:
        shown, least = "Ratio", "ratio"
        margin = f"a ratio of {metric.margin or limits.equivalence_ratio:g}"
    apart = (
        ""
        if question.shares_trunk
        else " Arms of a pair share the seed and no trunk; Stage-2 WD is "
        f"{value_name(question.headline[STAGE2])} where a cell names no other."
    )
    better = "" if metric.column == COUNT else f" Better is {metric.better}."
    return (
        f"{shown} and ΔValLoss: {treatment} against {control}, paired by seed, with t-intervals. "
        "p: paired t-test, Holm-corrected except in the headline cell. TOST: p of equivalence "
        f"within {margin}, or {loss}. Could see: smallest {least} these seeds show with power 0.8. "
        "Ternary: is the effect specific to ternary weights, against the full-precision twin."
        f"{better}{apart}"
    )
