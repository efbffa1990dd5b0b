"""Write the tables of docs/findings.md and docs/sanity.md from the committed results.

    python -m workflow.scripts.findings

They stand between marks of the pages. Those of the findings are made of results/<study>/ for the
studies of the ledger `evidence` (config.yaml, claims), and of that ledger, which `snakemake
results/claims/evidence.md` makes; those of the sanity checks of results/arithmetic_seeds/,
results/arithmetic_cpu/ and results/faults/. A test fails where a page is not what its files say.
"""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pandas as pd

from bitnet.claims import findings
from bitnet.common.files import read_json, write_text
from bitnet.config.load import read_project
from bitnet.config.study import Study
from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.metrics import CSV_TYPES
from bitnet.experiments import tables
from workflow.helpers.cli import ROOT, flags, parsed, run
from workflow.helpers.pages import exchanged
from workflow.helpers.tables import read_tables

FINDINGS, SANITY, LEDGER = "docs/findings.md", "docs/sanity.md", "evidence"
TEXT = ("TrunkStates", "ControlStates", "TreatmentStates", "Outcome", "Confidence", "Note")
SCRIPT = "workflow.scripts.findings"


def main(argv: list[str] | None = None) -> None:
    """Write the pages anew."""
    parsed(flags(__doc__), argv)
    for page in PAGES:
        write_text(ROOT / page, made(ROOT, page))


def made(root: Path, page: str) -> str:
    """A page of PAGES with the tables that the files of results/ give."""
    text = (root / page).read_text(encoding="utf-8")
    for name, found in PAGES[page](root).items():
        text = exchanged(text, name, found, SCRIPT)
    return text


def _findings(root: Path) -> dict[str, str]:
    config = read_project(root)
    thresholds = Thresholds(**config["verdict"])
    verdicts, links = {}, {}
    for name in config["claims"][LEDGER]:
        folder = _folder(config, name)
        verdicts[name] = read_verdict(root / folder / "verdict.csv")
        links[name] = os.path.relpath(f"{folder}/verdict.md", os.path.dirname(FINDINGS))
    dose, question = _study(config, "dose"), _study(config, "dose").question()
    original = _rows(root, config, _study(config, "legacy_sample"))
    decided = pd.read_csv(root / f"results/claims/{LEDGER}.csv", keep_default_na=False)
    return {
        "results": findings.results(verdicts, links),
        "dose": findings.doses(_rows(root, config, dose), thresholds, question),
        **{
            name: findings.reach(_rows(root, config, _study(config, name)))
            for name in ("reach", "decay_2x2")
        },
        "changes": findings.changes(verdicts["diagnostics_quick"]),
        "claims": findings.claims(decided),
        "printed": findings.printed(original, thresholds),
        "original": findings.by_optimizer(original),
    }


def _sanity(root: Path) -> dict[str, str]:
    found = {}
    for name, (path, read, command) in SANITY_TABLES.items():
        file = root / "results" / path
        found[name] = read(file) if file.exists() else f"Not run yet: `{command}`."
    return found


def _broken(file: Path) -> str:
    return tables.faults(read_json(file)["faults"])


FAULTS = "python -m benchmarks.faults {0} --json results/faults/{0}.json"
SANITY_TABLES: dict[str, tuple[str, Callable[[Path], str], str]] = {
    "seeds": (
        "arithmetic_seeds/arithmetic.csv",
        lambda file: tables.by_seed(pd.read_csv(file)),
        "snakemake arithmetic_seeds",
    ),
    "arithmetic of broken layers": (
        "faults/arithmetic_quick.json",
        _broken,
        FAULTS.format("arithmetic_quick"),
    ),
    "full size": (
        "arithmetic_cpu/arithmetic.csv",
        lambda file: tables.by_seed(pd.read_csv(file)),
        "snakemake arithmetic_cpu",
    ),
    "stories of broken layers": (
        "faults/tinystories_quick.json",
        _broken,
        FAULTS.format("tinystories_quick"),
    ),
}
PAGES: dict[str, Callable[[Path], dict[str, str]]] = {FINDINGS: _findings, SANITY: _sanity}


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
