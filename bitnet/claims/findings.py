"""Tables of docs/findings.md, from the tables and verdicts of committed results."""

from collections.abc import Mapping

import pandas as pd

from bitnet.claims.evidence import select
from bitnet.claims.printed import beside
from bitnet.common.markdown import interval, number, table
from bitnet.config.question import Question, value_name
from bitnet.config.thresholds import Thresholds
from bitnet.verdict.details import labels, primary, style_of
from bitnet.verdict.doses import doses as compared

ARMS = ("Control", "Treatment")
TWIN = {"ternary": "ternary", "full_precision": "twin"}
AT_THE_SWITCH = {  # column of a run's table: (heading, format)
    "UniquePredictions": ("count", ".0f"),
    "EffectiveLR": ("step / weight", ".2g"),
    "Gain": ("gain", ".2f"),
    "HiddenCosine": ("cosine", ".2f"),
}
POINT = ["PeakLR", "Stage1WD", "Variant"]  # what the protocol changes, beside the optimizer


def results(verdicts: Mapping[str, pd.DataFrame], links: Mapping[str, str]) -> str:
    """Table of the cells of each study's own protocol, each beside its twin, as Markdown.

    verdicts: the table of `judge` by study. links: by study, the target of its link.
    """
    lines = []
    for name, cells in verdicts.items():
        shown = f"[`{name}`]({links[name]})"
        for (optimizer, size), pair in own_protocol(cells).groupby(["Optimizer", "HiddenSize"]):
            lines.append([shown, f"{size} {optimizer}", *_pair(pair)])
            shown = ""
    return table(["study", "cell", *PAIR], lines)


def changes(cells: pd.DataFrame) -> str:
    """Table of a study's cells that differ from its own protocol, each beside its twin."""
    varied = [key for key in ("HiddenSize", "Optimizer") if cells[key].nunique() > 1]
    named = cells.assign(Label=labels(cells, varied))
    others = named.drop(own_protocol(cells).index)
    lines = [[label.strip(), *_pair(pair)] for label, pair in others.groupby("Label")]
    return table(["cell", *PAIR], lines)


PAIR = ["ternary: at the switch", "WD 0.05 → 0", "ratio [95 %]", "outcome (seeds)"]
PAIR += ["twin: at the switch", "WD 0.05 → 0", "outcome (seeds)"]


def own_protocol(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells with the rate, Stage-1 WD and variant of the headline."""
    own = cells[cells["Headline"]] if cells["Headline"].any() else cells
    return select(cells, own.iloc[0][POINT].to_dict())


def _pair(pair: pd.DataFrame) -> list[str]:
    by = {row["Weights"]: row for row in pair.to_dict("records")}
    ternary, twin = (by.get(weights) for weights in TWIN)
    fields = _fields(ternary) if ternary else ["-"] * 4
    if ternary:
        fields.insert(2, interval(primary(ternary), style_of(ternary["Primary"])))
    return fields + (_fields(twin) if twin else ["-"] * 3)


def _fields(row: Mapping) -> list[str]:
    """States at the switch, counts at the end of both arms, outcome and seeds of a cell."""
    ends = [
        number(row[f"{arm}Unique"], ",.1f")
        + f" ({row[f'{arm}States']})" * ("diverged" in row[f"{arm}States"])
        for arm in ARMS
    ]
    outcome = row["Outcome"] + f", {row['Confidence']}" * bool(row["Confidence"])
    return [row["TrunkStates"], " → ".join(ends), f"{outcome} ({row['Seeds']})"]


def doses(rows: pd.DataFrame, thresholds: Thresholds, question: Question) -> str:
    """Table of every Stage-2 weight decay of a study: counts, loss and states, ternary and twin."""
    found = compared(rows, thresholds, question)
    lines = []
    for value, cells in found.groupby("Dose"):
        by = {row["Weights"]: row for row in cells.to_dict("records")}
        lines.append([value_name(value), *_levels(by, "Treatment")])
    by = {row["Weights"]: row for row in found.drop_duplicates("Weights").to_dict("records")}
    lines.append([value_name(question.control), *_levels(by, "Control")])
    header = ["Stage-2 WD"]
    for name in TWIN.values():
        header += [f"{name}: states at the end", "count", "loss"]
    return table(header, lines)


def _levels(by: Mapping[str, Mapping], arm: str) -> list[str]:
    cells = []
    for weights in TWIN:
        row = by[weights]
        levels = number(row[f"{arm}Unique"], ".1f"), number(row[f"{arm}ValLoss"], ".3f")
        cells += [row[f"{arm}States"], *levels]
    return cells


def reach(rows: pd.DataFrame) -> str:
    """Table of a study's optimizers: what their trunks are like at the switch, and their twins.

    rows: tables of its runs by one protocol.
    """
    at_switch = rows[rows["Step"] == rows["SwitchStep"]]
    means = at_switch.groupby(["Optimizer", "Weights"])[list(AT_THE_SWITCH)].mean()
    lines = [
        [
            optimizer,
            *(
                number(means.loc[optimizer, weights][name], style)
                for weights in TWIN
                for name, (_, style) in AT_THE_SWITCH.items()
            ),
        ]
        for optimizer in sorted(at_switch["Optimizer"].unique())
    ]
    heads = [heading for heading, _ in AT_THE_SWITCH.values()]
    shown = [f"{name}: {heads[0]}" for name in TWIN.values()]
    return table(["optimizer", shown[0], *heads[1:], shown[1], *heads[1:]], lines)


def printed(rows: pd.DataFrame, thresholds: Thresholds) -> str:
    """The reports' printed numbers beside those of `adam` with Stage-2 WD 0, as Markdown.

    rows: tables of runs by the original's protocol.
    """
    return beside(select(rows, {"Optimizer": "adam", "Stage2WD": 0.0}), thresholds)


def by_optimizer(rows: pd.DataFrame) -> str:
    """Counts and losses of finished runs at the switch and the end, by optimizer, as Markdown.

    rows: tables of runs by one protocol, as many as there are; means over their seeds.
    """
    lines = []
    base = rows[rows["Variant"] == "base"]
    for (optimizer, weights), runs in base.groupby(["Optimizer", "Weights"], sort=False):
        last = runs.groupby("Stage2WD")["Step"].transform("max")
        parts = [runs[runs["Step"] == runs["SwitchStep"]].drop_duplicates("Seed")]  # one trunk
        parts += [runs[(runs["Step"] == last) & (runs["Stage2WD"] == wd)] for wd in (0.05, 0.0)]
        cells = [
            number(part[column].mean(), style)
            for part in parts
            for column, style in (("UniquePredictions", ".1f"), ("ValLoss", ".2f"))
        ]
        lines.append([optimizer, TWIN[weights], str(runs["Seed"].nunique()), *cells])
    header = ["optimizer", "weights", "seeds"]
    for when in ("at the switch", "end, WD 0.05", "end, WD 0"):
        header += [when, "loss"]
    return table(header, sorted(lines))


def claims(decided: pd.DataFrame) -> str:
    """Table of claims, their outcome and the studies behind it, as Markdown.

    decided: the table of `bitnet.claims.ledger.ledger`.
    """
    lines = []
    for claim, rows in decided.groupby("Claim", sort=False):
        by = rows[rows["Study"] != ""].groupby("There", sort=False)["Study"].agg(", ".join)
        said = "; ".join(f"{outcome}: {names}" for outcome, names in by.items())
        lines.append([str(claim), rows["Confidence"].iloc[0], rows["Outcome"].iloc[0], said])
    return table(["claim", "confidence there", "outcome here", "by study"], lines)
