"""The verdict in words: reads well printed raw in a terminal and rendered as markdown.

Numbers come from the table that `bitnet.verdict.judge` made, nothing is judged here.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence

import pandas as pd

from bitnet.runs import BASE, VARIANT, spell_number
from bitnet.states import Thresholds
from bitnet.verdict import TERNARY

WIDTH = 100
# By primary effect: what its ratio is called, and the one beside it.
KINDS = {"UniquePredictions": ("counts", "PDR"), "PDR": ("PDR", "counts")}

# What the headline opens with; {wd} is 'Stage-2 WD 0 instead of 0.05'.
LEADS = {
    "harmful": "{wd} made decoding more degenerate",
    "fixed": "{wd} fixed degenerate decoding",
    "recovers either way": "Decoding recovered with either weight decay, {wd} was not needed",
    "no effect": "{wd} did not fix degenerate decoding, the arms are equal",
    "no effect (nothing to fix)": "{wd} had nothing to fix and changed nothing",
    "helps": "{wd} made predictions more diverse, which is less than a fix",
    "inconclusive": "Undecided whether {wd} fixes degenerate decoding",
    "no verdict": "No verdict on whether {wd} fixes degenerate decoding",
}
MEANINGS = {
    "no verdict": "too few seeds that can be compared",
    "harmful": "{t} gives less diverse predictions than {c}, by more than the equivalence ratio",
    "fixed": "most trunks collapsed, most runs diverse with {t}, few with {c}, {t} above {c}",
    "recovers either way": "most trunks collapsed, most runs of both arms diverse",
    "no effect": "diversity and loss of the arms are equivalent (both TOSTs pass)",
    "no effect (nothing to fix)": "the same, where most trunks had not collapsed",
    "helps": "{t} gives more diverse predictions, by more than the equivalence ratio, but no fix",
    "inconclusive": "none of these is shown",
}
TERNARY_LEADS = {
    "yes": "It is about ternary",
    "no": "It is not about ternary",
    "undecided": "Whether it is about ternary is undecided",
    "n.a.": "Nothing here tells whether it is about ternary",
}


def headline(
    cells: pd.DataFrame, question: Mapping, confidence: float = Thresholds.confidence
) -> str:
    """Two sentences: did the treatment fix degenerate decoding here, and is it about ternary?"""
    treatment, control = f"{question['treatment']:g}", f"{question['control']:g}"
    wd = f"Stage-2 WD {treatment} instead of {control}"
    chosen = cells[cells["Headline"]]
    if chosen.empty:
        name = ", ".join(f"{key} {value}" for key, value in question["headline"].items())
        return f"{LEADS['no verdict'].format(wd=wd)}: no runs of the headline cell ({name})."
    row = chosen.iloc[0]
    name = f"hidden {row['HiddenSize']}, {row['Optimizer']}, {row['Weights']}"
    ends = [
        f"{row[f'{arm}States']} with WD {weight_decay}{_count_words(row, f'{arm}Unique')}"
        for arm, weight_decay in (("Treatment", treatment), ("Control", control))
        if row[f"{arm}States"]
    ]
    first = (
        f"{LEADS[row['Outcome']].format(wd=wd)} ({name}; outcome: {row['Outcome']}): seeds were "
        f"{row['TrunkStates']} at the switch and ended {' and '.join(ends) or 'unseen'}"
        f"{_ratio_words(row, confidence)}."
    )
    return f"{first} {_ternary_words(cells, row)}."


def _count_words(row: Mapping, column: str) -> str:
    if not math.isfinite(row[column]):
        return ""
    return f" ({row[column]:.1f} distinct predictions of {row['N']:,} on average)"


def _ratio_words(row: Mapping, confidence: float) -> str:
    mean, low, high = _primary(row)
    if not math.isfinite(mean):
        return ""
    kind = KINDS[row["Primary"]][0]
    interval = f", {confidence:.0%} interval {low:.2f} to {high:.2f}" if math.isfinite(low) else ""
    return f"; ratio of {kind} {mean:.2f}{interval}, over {row['Seeds']} seeds"


def _ternary_words(cells: pd.DataFrame, row: Mapping) -> str:
    """The headline cell beside its twin and beside the other optimizers."""
    point = ["HiddenSize", "PeakLR", "Stage1WD", "Variant"]
    same = (cells[point] == row[point]).all(axis=1)
    weights, optimizer = cells["Weights"] == row["Weights"], cells["Optimizer"] == row["Optimizer"]
    beside = [
        f"the twin ({other['Optimizer']}, {other['Weights']}): {_outcome_words(other)}"
        for _, other in cells[same & optimizer & ~weights].iterrows()
        if TERNARY in (row["Weights"], other["Weights"])
    ] + [
        f"with {other['Optimizer']}: {_outcome_words(other)}"
        for _, other in cells[same & weights & ~optimizer].iterrows()
    ]
    return "; ".join([TERNARY_LEADS[row["TernarySpecific"]], *beside])


def _outcome_words(row: Mapping) -> str:
    mean = _primary(row)[0]
    return row["Outcome"] + (f", ratio {mean:.2f}" if math.isfinite(mean) else "")


def markdown(
    cells: pd.DataFrame,
    question: Mapping,
    thresholds: Thresholds,
    title: str,
    conditions: Sequence[str] = (),
) -> str:
    """The whole verdict: headline, tables of states and of effects, notes, legend.

    `conditions` are lines on how the rows were made; they come first among the notes.
    """
    names, rows = _labels(cells), cells.to_dict("records")
    level = f"[{thresholds.confidence:.0%}]"
    kind, beside = KINDS[rows[0]["Primary"]]  # one corpus, one measure
    wd = [f"WD {question[arm]:g}: count" for arm in ("control", "treatment")]
    tables = {
        "States and outcomes": (["at the switch", *wd, "outcome"], _state_fields),
        "Effects": ([f"ratio of {kind} {level}", "p", f"ΔValLoss {level}", "ternary"], _effects),
        "Equivalence and power": (
            ["TOST p: ratio", "TOST p: ValLoss", "could see", f"ratio of {beside} {level}"],
            _equivalence,
        ),
    }
    blocks = [f"# {title}", _fill(headline(cells, question, thresholds.confidence))]
    for heading, (header, fields) in tables.items():
        lines = [[name, *fields(row)] for name, row in zip(names, rows, strict=True)]
        blocks += [f"## {heading}", table(["cell", *header], lines)]
    if notes := [*conditions, *_notes(names, rows)]:
        blocks += ["## Notes", _bullets(notes)]
    blocks += ["## Legend", _bullets(_legend(rows[0], question, thresholds))]
    return "\n\n".join(blocks) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A pipe table with columns padded to one width, so that it can be read unrendered."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [header, ["-" * width for width in widths], *rows]
    padded = (
        [cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines
    )
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def _labels(cells: pd.DataFrame) -> list[str]:
    """'256 adam ternary', with what else the study varies where it is not its commonest value."""
    labels = [f"{row.HiddenSize} {row.Optimizer} {row.Weights}" for row in cells.itertuples()]
    for column, word in (("PeakLR", "lr"), ("Stage1WD", "stage1wd")):
        usual = cells[column].mode().iloc[0]
        labels = [
            label + (f" {word}{spell_number(value)}" if value != usual else "")
            for label, value in zip(labels, cells[column], strict=True)
        ]
    return [
        label + (f" {variant}" if variant != BASE else "")
        for label, variant in zip(labels, cells[VARIANT], strict=True)
    ]


def _primary(row: Mapping) -> tuple[float, float, float]:
    return _ratio(row, row["Primary"])


def _ratio(row: Mapping, effect: str) -> tuple[float, float, float]:
    """Ratio of the arms with its interval, from the mean difference of logarithms."""
    name = f"Delta{effect}"
    return tuple(math.exp(row[name + end]) for end in ("", "Low", "High"))


def _state_fields(row: Mapping) -> list[str]:
    arms = [
        f"{_brief(row[f'{arm}States'])} {_number(row[f'{arm}Unique'], '.1f')}"
        for arm in ("Control", "Treatment")
    ]
    return [_brief(row["TrunkStates"]), *arms, row["Outcome"]]


def _effects(row: Mapping) -> list[str]:
    loss = [row[f"DeltaValLoss{end}"] for end in ("", "Low", "High")]
    ratio, p = _interval(_primary(row), ".2f"), _number(row["HolmP"], ".2g")
    return [ratio, p, _interval(loss, "+z.3f"), row["TernarySpecific"]]


def _equivalence(row: Mapping) -> list[str]:
    tests = [_number(row[column], ".2g") for column in ("TostP", "TostValLossP")]
    other = "PDR" if row["Primary"] == "UniquePredictions" else "UniquePredictions"
    seen = _number(math.exp(row["Detectable"]), ".2f")
    return [*tests, seen, _interval(_ratio(row, other), ".2f")]


def _number(value: float, style: str) -> str:
    if not math.isfinite(value):
        return "-"
    if style == ".2g" and 0 < value < 1e-4:
        return "<1e-4"
    return format(value, style if value < 1e4 else ".0e")


def _interval(values: Sequence[float], style: str) -> str:
    mean, low, high = (_number(value, style) for value in values)
    return mean if low == "-" else f"{mean} [{low}, {high}]"


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


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(_fill(f"- {line}", indent="  ") for line in lines)


def _fill(text: str, indent: str = "") -> str:
    # A word broken at its hyphen would be rendered with a space.
    return textwrap.fill(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)


def _legend(row: Mapping, question: Mapping, limits: Thresholds) -> list[str]:
    arms = {"t": f"WD {question['treatment']:g}", "c": f"WD {question['control']:g}"}
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
        f"Ratio and ΔValLoss: {arms['t']} against {arms['c']}, paired by seed, with t-intervals. "
        "p: paired t-test, Holm-corrected except in the headline cell. TOST p: equivalence "
        f"within a ratio of {limits.equivalence_ratio:g}, or {limits.equivalence_loss:g} nats. "
        "Could see: smallest ratio these seeds show with power 0.8. Ternary: is the effect "
        "specific to ternary weights, against the full-precision twin.",
        f"States: collapsed: {measure}; either way collapsed unless {limits.unigram_margin:g} nats "
        f"under the unigram. Untrained: over {limits.copy_share:.0%} copies of the input at the "
        "unigram's loss. Temporary: diverse after the switch, collapsed at the end.",
        f"Tests at {1 - limits.confidence:.2g}; under {limits.few_seeds} seeds: few seeds; under "
        f"{limits.no_verdict_under}: no verdict. Outcomes, the first that fits:",
        *(f"**{name}**: {text.format(**arms)}." for name, text in MEANINGS.items()),
    ]
