"""Write the ledger of claims that the repository ships, and the tables of docs/findings.md.

    python -m workflow.scripts.findings

Both are made from the same files, of all studies that stand in the folder EVIDENCE: the tables of a
study's runs with their records, else its verdict.csv, else what tables there are. So they cannot
say different things; a test fails where they are not what those files say.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bitnet.claims import findings
from bitnet.claims.evidence import Evidence
from bitnet.claims.ledger import ledger, markdown
from bitnet.common.files import write_text
from bitnet.config.load import read_project
from bitnet.config.study import Study
from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.metrics import CSV_TYPES
from workflow.helpers.cli import ROOT, flags, parsed, run
from workflow.helpers.tables import read_tables
from workflow.provenance.records import record_of

EVIDENCE = "docs"  # with a folder per study, named as under results/; the main study has its root
PAGE, LEDGER = "docs/findings.md", "docs/claims/ledger"
MAY_BE_EMPTY = ("TrunkStates", "ControlStates", "TreatmentStates", "Confidence", "Note")
MARKS = "<!-- {} made by workflow.scripts.findings -->", "<!-- end of {} -->"


def main(argv: list[str] | None = None) -> None:
    """Write all files of `made`."""
    parsed(flags(__doc__), argv)
    for name, text in made(ROOT).items():
        write_text(ROOT / name, text)


def made(root: Path) -> dict[str, str]:
    """Text of each file by its path in the project."""
    config = read_project(root)
    studies = {name: found for name in _names(root, config) if (found := read(root, config, name))}
    files = {name: f"{_folder(config, name)}/verdict.md" for name in studies}
    old = {name: " (by rule 1)" * findings.by_rule_1(study) for name, study in studies.items()}
    decided = ledger(studies)
    page = (root / PAGE).read_text(encoding="utf-8")
    links = {name: os.path.relpath(file, os.path.dirname(PAGE)) for name, file in files.items()}
    page = exchanged(page, "results", findings.results(studies, links))
    return {
        PAGE: exchanged(page, "claims", findings.claims(decided)),
        f"{LEDGER}.md": markdown(decided, {name: files[name] + old[name] for name in files}),
        f"{LEDGER}.csv": decided.assign(File=decided["Study"].map(files)).to_csv(index=False),
    }


def exchanged(page: str, name: str, text: str) -> str:
    """A page with other text between the marks of a name; ValueError where they are missing."""
    begin, end = (mark.format(name) for mark in MARKS)
    between = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    found = between.subn(lambda _: f"{begin}\n{text}\n{end}", page)
    if found[1] != 1:
        raise ValueError(f"{PAGE} has {found[1]} pairs of {begin!r} and {end!r}; allowed: one")
    return found[0]


def _names(root: Path, config: Mapping) -> list[str]:
    """Studies of the original question with a folder, in the order of the config."""
    there = {path.name for path in (root / EVIDENCE).iterdir()} | {config["main_study"]}
    order = {name: place for place, name in enumerate(config["studies"])}
    names = sorted(n for n in there if n.partition("@")[0] in order)
    names.sort(key=lambda name: order[name.partition("@")[0]])
    return [n for n in names if "experiment" not in _study(config, n).settings]


def _study(config: Mapping, name: str) -> Study:
    base, _, corpus = name.partition("@")
    return Study.of(config, base, corpus or None)


def _folder(config: Mapping, name: str) -> str:
    return EVIDENCE if name == config["main_study"] else f"{EVIDENCE}/{name}"


def read(root: Path, config: Mapping, name: str) -> Evidence | None:
    """A study's evidence; None where nothing of it stands there, or it asks another question."""
    study, folder = _study(config, name), root / _folder(config, name)
    question, thresholds = study.question(), Thresholds(**config["verdict"])
    tables = [folder / f"{name}.csv" for name in study.runs()]
    some, verdict = sorted(folder.glob("h*_wd*.csv")), folder / "verdict.csv"
    if not question.is_original:
        return None
    if all(table.exists() and record_of(table).exists() for table in tables):
        return Evidence(read_tables(list(map(str, tables)))[0], question, thresholds)
    if verdict.exists():
        cells = pd.read_csv(verdict, dtype=CSV_TYPES | dict.fromkeys(MAY_BE_EMPTY, str))
        return Evidence(None, question, thresholds, cells.fillna(dict.fromkeys(MAY_BE_EMPTY, "")))
    if some:
        rows = pd.concat([pd.read_csv(table, dtype=CSV_TYPES) for table in some])
        return Evidence(rows, question, thresholds)
    return None


if __name__ == "__main__":
    run(main)
