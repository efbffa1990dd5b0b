"""Tables of docs/findings.md, from the tables and verdicts of committed results."""

from collections.abc import Mapping

import pandas as pd

from bitnet.claims.evidence import select
from bitnet.claims.printed import beside
from bitnet.common.markdown import interval, number, table
from bitnet.config.question import Question, value_name
from bitnet.config.thresholds import Thresholds
from bitnet.verdict.details import primary, style_of
from bitnet.verdict.doses import doses as compared

ARMS = ("Control", "Treatment")
TWIN = {"ternary": "ternary", "full_precision": "twin"}
AT_THE_SWITCH = {  # column of a run's table: (heading, format)
    "UniquePredictions": ("count", ".0f"),
    "EffectiveLR": ("step / weight", ".2g"),
    "Gain": ("gain", ".2f"),
    "HiddenCosine": ("cosine", ".2f"),
}


def results(verdicts: Mapping[str, pd.DataFrame], links: Mapping[str, str], few: int) -> str:
    """Table of the cells of each study's own protocol, as Markdown.

    verdicts: the table of `judge` by study. links: by study, the target of its link. few: seeds
    below which their number is named.
    """
    lines = []
    for name, cells in verdicts.items():
        shown = f"[`{name}`]({links[name]})"
        for row in own_protocol(cells).to_dict("records"):
            cell = f"{row['HiddenSize']} {row['Optimizer']} {TWIN[row['Weights']]}"
            lines.append([shown, cell, *_fields(row, few)])
            shown = ""
    header = ["study", "cell", "at the switch", "WD 0.05", "WD 0", "ratio [95 %]", "outcome"]
    return table(header, lines)


def own_protocol(cells: pd.DataFrame) -> pd.DataFrame:
    """Cells with the rate, Stage-1 WD and variant of the headline, each before its twin."""
    own = cells[cells["Headline"]] if cells["Headline"].any() else cells
    columns = ["PeakLR", "Stage1WD", "Variant"]
    cells = select(cells, own.iloc[0][columns].to_dict())
    order = ["Optimizer", "HiddenSize", "Weights"]
    return cells.sort_values(order, ascending=[True, True, False])


def _fields(row: Mapping, few: int) -> list[str]:
    counts = [number(row[f"{arm}Unique"], ",.1f") for arm in ARMS]
    crashed = [f" ({row[f'{a}States']})" * ("diverged" in row[f"{a}States"]) for a in ARMS]
    ends = [count + lost for count, lost in zip(counts, crashed, strict=True)]
    outcome = row["Outcome"] + f", {row['Confidence']}" * bool(row["Confidence"])
    if row["Seeds"] < few:
        outcome += f" ({row['Seeds']} seed{'' if row['Seeds'] == 1 else 's'})"
    ratio = interval(primary(row), style_of(row["Primary"]))
    return [row["TrunkStates"], *ends, ratio, outcome]


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


def reach(rows: pd.DataFrame, cells: pd.DataFrame) -> str:
    """Table of a study of optimizers: what trunks are like at the switch, and counts at the end.

    rows: tables of its runs. cells: its verdict.
    """
    at_switch = rows[rows["Step"] == rows["SwitchStep"]]
    columns = list(AT_THE_SWITCH)
    means = at_switch.groupby(["Optimizer", "Weights"])[columns].mean()
    lines = []
    for row in own_protocol(cells).to_dict("records"):
        seen = means.loc[row["Optimizer"], row["Weights"]]
        shown = [number(seen[name], style) for name, (_, style) in AT_THE_SWITCH.items()]
        ends = [number(row[f"{arm}Unique"], ".1f") for arm in ARMS]
        lines.append([row["Optimizer"], TWIN[row["Weights"]], row["TrunkStates"], *shown, *ends])
    header = ["optimizer", "weights", "at the switch", *(h for h, _ in AT_THE_SWITCH.values())]
    return table([*header, "end, WD 0.05", "end, WD 0"], lines)


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
