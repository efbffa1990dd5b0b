"""What stands behind the fold of a verdict: statistics, recommendations, sizes, notes, legend."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd

from bitnet.common.markdown import bullets, interval, number, table
from bitnet.config.question import COUNT, RATIOS, STAGE2, Question, value_name
from bitnet.config.run_names import BASE, VARIANT, spell_number
from bitnet.config.thresholds import Thresholds
from bitnet.verdict.outcomes import meanings
from bitnet.verdict.recommendation import recommend
from bitnet.verdict.rule import MEANINGS as SIZES
from bitnet.verdict.rule import scaling


def details(
    cells: pd.DataFrame,
    question: Question,
    thresholds: Thresholds,
    conditions: Sequence[str] = (),
) -> str:
    """Sections in Markdown, each with its heading.

    cells: the table of `judge`. conditions: lines on how the rows were made, put first among the
    notes.
    """
    names, rows = labels(cells), cells.to_dict("records")
    level = f"[{thresholds.confidence:.0%}]"
    decides = rows[0]["Primary"]  # one corpus, one measure
    tost = "TOST ratio" if decides in RATIOS else f"TOST {decides}"
    tables = {
        "Effects": (
            [f"{kind(decides)} {level}", "p", f"ΔValLoss {level}", "collapse", "effect"],
            _effects,
        ),
        "Equivalence, power, confidence": (
            [tost, "TOST loss", "could see", f"{kind(_beside(decides))} {level}", "confidence"],
            _equivalence,
        ),
    }
    blocks = []
    for heading, (header, fields) in tables.items():
        lines = [[name, *fields(row)] for name, row in zip(names, rows, strict=True)]
        blocks += [f"## {heading}", table(["cell", *header], lines)]
    blocks += ["## Recommendation", _advice(cells, question, thresholds)]
    if len(found := scaling(cells)):
        blocks += ["## Size", _sizes(found)]
    if notes := [*conditions, *_notes(names, rows)]:
        blocks += ["## Notes", bullets(notes)]
    return "\n\n".join([*blocks, "## Legend", bullets(_legend(rows[0], question, thresholds))])


def _advice(cells: pd.DataFrame, question: Question, limits: Thresholds) -> str:
    """Table of recommendations, each with its reason and confidence."""
    lines = [list(map(str, line)) for line in recommend(cells, question, limits).to_numpy()]
    return table(["of", "recommended", "because", "confidence"], lines)


def _sizes(found: pd.DataFrame) -> str:
    """Table of states by size, with the scaling outcome of each series."""
    names = labels(found, ["Optimizer", "Weights"])
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


LABEL = ("HiddenSize", "Optimizer", "Weights")


def labels(cells: pd.DataFrame, columns: Sequence[str] = LABEL) -> list[str]:
    """Names of cells like '256 adam ternary', with every other value that is not the commonest.

    Where both kinds of weights are, the full-precision one is the twin.
    """
    if cells["Weights"].nunique() > 1:
        cells = cells.replace({"Weights": {"full_precision": "twin"}})
    found = [" ".join(map(str, key)) for key in cells[[*columns]].itertuples(index=False)]
    for column, word in (("PeakLR", "lr"), ("Stage1WD", "stage1wd")):
        usual = cells[column].mode()
        found = [
            label + (f" {word}{spell_number(value)}" if len(usual) > 1 or value != usual[0] else "")
            for label, value in zip(found, cells[column], strict=True)
        ]
    return [
        label + (f" {variant}" if variant != BASE else "")
        for label, variant in zip(found, cells[VARIANT], strict=True)
    ]


def _beside(decides: str) -> str:
    """The measure of diversity shown next to the deciding one."""
    return "PDR" if decides == COUNT else COUNT


def _effects(row: Mapping) -> list[str]:
    loss = [row[f"DeltaValLoss{end}"] for end in ("", "Low", "High")]
    own, p = interval(primary(row), style_of(row["Primary"])), number(row["HolmP"], ".2g")
    return [own, p, interval(loss, "+z.3f"), row["CollapseTernary"], row["EffectTernary"]]


def _equivalence(row: Mapping) -> list[str]:
    tests = [number(row[column], ".2g") for column in ("TostP", "TostValLossP")]
    decides = row["Primary"]
    least = math.exp(row["Detectable"]) if decides in RATIOS else row["Detectable"]
    seen = number(least, ".2f" if decides in RATIOS else ".3g")
    other = interval(difference(row, _beside(decides)), ".2f")
    return [*tests, seen, other, row["Confidence"] or "-"]


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
        _effects_legend(row, question, limits),
        f"States: collapsed: {measure}; either way collapsed unless {limits.unigram_margin:g} nats "
        f"under the unigram. Untrained: over {limits.copy_share:.0%} copies of the input at the "
        "unigram's loss. Temporary: diverse after the switch, collapsed at the last.",
        "Rule 2, written in November 2026, before any run of 10,000 steps or more. What rule 1, in "
        "force until then, would say is the column OutcomeRule1 of verdict.csv.",
        f"Tests at {1 - limits.confidence:.2g}; under {limits.few_seeds} seeds: few seeds; under "
        f"{limits.no_verdict_under}: no verdict. Outcomes, the first that fits:",
        *(f"**{name}**: {text}." for name, text in meanings(question).items()),
    ]


def _effects_legend(row: Mapping, question: Question, limits: Thresholds) -> str:
    """Legend of the effects: what is compared, by which tests, with which margins."""
    decides, low = row["Primary"], f"{limits.collapsed_below:g}"
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
    if row["Blind"]:
        low = f"{limits.blind_collapsed_share:.0%} of the trigram's PDR"
    else:
        low = f"{low} distinct predictions"
    return (
        f"{shown} and ΔValLoss: {treatment} against {control}, paired by seed, with t-intervals. "
        f"A ratio takes what is under {low}, and any model no better than the unigram, for that "
        "much: counts there are noise. p: paired t-test, Holm-corrected in two "
        "families (the headline's twin and other optimizers; all other cells), not in the headline "
        f"cell. TOST: p of equivalence within {margin}, or {loss}. Could see: smallest {least} "
        "these seeds show with power 0.8. Collapse, effect: whether it is due to ternary weights, "
        f"against the full-precision twin.{better}{apart}"
    )


def primary(row: Mapping) -> tuple[float, float, float]:
    """Mean and interval (mean, low, high) of the effect that decides a cell; see `difference`."""
    return difference(row, row["Primary"])


def difference(row: Mapping, effect: str) -> tuple[float, float, float]:
    """Mean, low and high of treatment against control: a ratio for counts and PDR.

    For other effects it is their difference, in the unit of the column.
    """
    values = [row[f"Delta{effect}{end}"] for end in ("", "Low", "High")]
    return tuple(map(math.exp, values) if effect in RATIOS else values)


def kind(effect: str) -> str:
    """Name of the result of `difference`: "ratio of counts", "ratio of PDR" or "Δ" + column."""
    ratios = {COUNT: "ratio of counts", "PDR": "ratio of PDR"}
    return ratios.get(effect, f"Δ{effect}")


def style_of(effect: str) -> str:
    """Format of the result of `difference`: ".2f" for a ratio, else "+.3g"."""
    return ".2f" if effect in RATIOS else "+.3g"
