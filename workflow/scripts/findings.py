"""Write the tables of docs/findings.md from the committed results.

    python -m workflow.scripts.findings

They stand between marks of the page and are made of results/<study>/ for the studies of the ledger
`evidence` (config.yaml, claims), and of that ledger, which `snakemake results/claims/evidence.md`
makes. A test fails where the page is not what those files say.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from bitnet.claims import findings
from bitnet.common.files import write_text
from bitnet.config.load import read_project
from bitnet.config.study import Study
from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.metrics import CSV_TYPES
from workflow.helpers.cli import ROOT, flags, parsed, run
from workflow.helpers.pages import exchanged
from workflow.helpers.tables import read_tables

PAGE, LEDGER = "docs/findings.md", "evidence"
TEXT = ("TrunkStates", "ControlStates", "TreatmentStates", "Outcome", "Confidence", "Note")
SCRIPT = "workflow.scripts.findings"


def main(argv: list[str] | None = None) -> None:
    """Write the page anew."""
    parsed(flags(__doc__), argv)
    write_text(ROOT / PAGE, made(ROOT))


def made(root: Path) -> str:
    """The page with the tables that the files of results/ give."""
    config = read_project(root)
    thresholds = Thresholds(**config["verdict"])
    verdicts, links = {}, {}
    for name in config["claims"][LEDGER]:
        folder = _folder(config, name)
        verdicts[name] = read_verdict(root / folder / "verdict.csv")
        links[name] = os.path.relpath(f"{folder}/verdict.md", os.path.dirname(PAGE))
    dose, question = _study(config, "dose"), _study(config, "dose").question()
    decided = pd.read_csv(root / f"results/claims/{LEDGER}.csv", keep_default_na=False)
    texts = {
        "results": findings.results(verdicts, links, thresholds.few_seeds),
        "dose": findings.doses(_rows(root, config, dose), thresholds, question),
        "reach": findings.reach(_rows(root, config, _study(config, "reach")), verdicts["reach"]),
        "claims": findings.claims(decided),
        "printed": findings.printed(
            _rows(root, config, _study(config, "legacy_sample")), thresholds
        ),
    }
    page = (root / PAGE).read_text(encoding="utf-8")
    for name, text in texts.items():
        page = exchanged(page, name, text, SCRIPT)
    return page


def read_verdict(path: Path) -> pd.DataFrame:
    """The table of `bitnet.verdict.rule.judge` from its file."""
    cells = pd.read_csv(path, dtype=CSV_TYPES | dict.fromkeys(TEXT, str))
    return cells.fillna(dict.fromkeys(TEXT, ""))


def _study(config: Mapping, name: str) -> Study:
    base, _, corpus = name.partition("@")
    return Study.of(config, base, corpus or None)


def _folder(config: Mapping, name: str) -> str:
    return "results" if name == config["main_study"] else f"results/{name}"


def _rows(root: Path, config: Mapping, study: Study) -> pd.DataFrame:
    """The tables of a study that are there, each checked against its record."""
    folder = root / _folder(config, study.name)
    tables = [folder / f"{name}.csv" for name in study.runs()]
    return read_tables([str(table) for table in tables if table.exists()])[0]


if __name__ == "__main__":
    run(main)
