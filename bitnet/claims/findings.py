"""Tables of docs/findings.md: what each study showed, and what that decides of the claims."""

from collections.abc import Mapping

import pandas as pd

from bitnet.claims.evidence import Evidence, select
from bitnet.common.markdown import interval, number, table
from bitnet.verdict.details import primary, style_of

ARMS = ("Control", "Treatment")


def results(studies: Mapping[str, Evidence], files: Mapping[str, str]) -> str:
    """Table of the cells of each study's own protocol, as Markdown.

    studies: evidence by name. files: by name of a study, the target of its link.
    """
    lines = []
    for name, study in studies.items():
        shown = f"[`{name}`]({files[name]})"
        shown += ", by rule 1" * by_rule_1(study)
        for row in _own_protocol(study).to_dict("records"):
            cell = f"{row['HiddenSize']} {row['Optimizer']} {row['Weights']}"
            lines.append([shown, cell, *_fields(row, study.thresholds.few_seeds)])
            shown = ""
    header = ["study", "cell", "at the switch", "WD 0.05", "WD 0", "ratio [95 %]", "outcome"]
    return table(header, lines)


def by_rule_1(study: Evidence) -> bool:
    """Whether a study's outcomes are read from a verdict that rule 1 made."""
    return "OutcomeRule1" not in study.cells


def _own_protocol(study: Evidence) -> pd.DataFrame:
    """Cells with the rate, Stage-1 WD and variant of the headline, each before its twin."""
    own = study.cells[study.cells["Headline"]] if study.cells["Headline"].any() else study.cells
    columns = ["PeakLR", "Stage1WD", "Variant"]
    cells = select(study.cells, own.iloc[0][columns].to_dict())
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
