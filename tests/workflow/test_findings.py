"""The shipped ledger and the tables of docs/findings.md: of the same files, and up to date."""

import json
import shutil

import pandas as pd
import pytest

from bitnet.config.load import read_project
from bitnet.config.question import Question
from bitnet.config.study import Study
from bitnet.verdict.rule import judge
from tests.helpers.project import ROOT
from tests.helpers.tables import FIVE_HIGH, FIVE_LOW, LIMITS, cell, run
from workflow.provenance.records import write_record
from workflow.scripts.findings import EVIDENCE, LEDGER, PAGE, exchanged, made, read

FIXES = "Stage-2 weight decay 0 instead of 0.05 fixes it"
SIZE = {"HiddenSize": 64}


def test_what_is_shipped_is_what_the_files_say():
    for name, text in made(ROOT).items():
        same = (ROOT / name).read_text(encoding="utf-8") == text
        assert same, f"{name} is out of date: run `python -m workflow.scripts.findings`"


def lines(text: str, start: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(start)]


@pytest.fixture
def project(tmp_path):
    """A project with the evidence of one study: five seeds fixed."""
    for name in ("config.yaml", "studies", "workflow/schemas"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        copy(ROOT / name, tmp_path / name)
    page = tmp_path / PAGE
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text((ROOT / PAGE).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / EVIDENCE / "quick").mkdir(parents=True)
    keep(tmp_path, cell(8, FIVE_LOW, FIVE_HIGH, Stage1WD=0.1, **SIZE))
    return tmp_path


def keep(project, rows) -> None:
    """Write the verdict on these rows as that of the study quick."""
    headline = {"hidden_size": 64, "optimizer": "adam", "weights": "ternary"}
    cells = judge(rows, LIMITS, Question(0.0, 0.05, headline=headline))
    cells.to_csv(project / EVIDENCE / "quick/verdict.csv", index=False, float_format="%.6g")


def test_page_and_ledger_change_together(project):
    collapsed = cell(8, FIVE_LOW, FIVE_LOW, Stage1WD=0.1, **SIZE)
    for rows, outcome, said in ((None, "fixed", "supported"), (collapsed, "stays", "refuted")):
        if rows is not None:
            keep(project, rows)
        texts = made(project)
        [row] = lines(texts[PAGE], "| [`quick`](")
        assert "| collapsed 5/5 |" in row and f"| {outcome}" in row and "by rule 1" not in row
        [claim] = lines(texts[PAGE], f"| {FIXES}")
        assert said in claim and "quick" in claim
        table = pd.read_csv(project / EVIDENCE / "quick/verdict.csv")
        assert len(table) == 1 and f"{FIXES},not stated" in texts[f"{LEDGER}.csv"]
        [entry] = lines(texts[f"{LEDGER}.csv"], FIXES)
        assert f",{said},quick,{said}," in entry


def test_a_verdict_of_rule_1_is_said_to_be_one(project):
    file = project / EVIDENCE / "quick/verdict.csv"
    pd.read_csv(file).drop(columns="OutcomeRule1").to_csv(file, index=False)
    texts = made(project)
    assert ", by rule 1 " in lines(texts[PAGE], "| [`quick`](")[0]
    assert "quick/verdict.md (by rule 1)" in " ".join(texts[f"{LEDGER}.md"].split())


def test_tables_without_records_are_read_only_where_no_verdict_stands(project):
    config, folder = read_project(project), project / EVIDENCE / "quick"
    rows = cell(8, FIVE_LOW, FIVE_LOW, **SIZE)
    rows.to_csv(folder / "h64_wd0.csv", index=False)
    assert read(project, config, "quick").rows is None
    (folder / "verdict.csv").unlink()
    assert list(read(project, config, "quick").cells["Outcome"]) == ["stays collapsed"]
    (folder / "h64_wd0.csv").unlink()
    assert read(project, config, "quick") is None


def test_a_whole_grid_with_its_records_is_judged_anew_whatever_the_verdict_there(project):
    config, folder = read_project(project), project / EVIDENCE / "quick"
    study = Study.of(config, "quick")
    for name in study.runs():
        recipe = json.loads(study.recipe(name).to_json())
        decay, seed = (0.05 if "wd0.05" in name else 0.0), recipe["training"]["seed"]
        kind = {"Weights": recipe["model"]["weights"], "Optimizer": recipe["training"]["optimizer"]}
        rows = run(seed, decay, 80, 90 + seed, Stage1WD=0.1, **kind, **SIZE)
        rows.to_csv(folder / f"{name}.csv", index=False)
        lineage = {"train": {"code": "t", "recipe": recipe}, "evaluate": {"code": "e"}}
        record = folder / f"{name}.provenance.json"
        write_record(record, [folder / f"{name}.csv"], lineage, data="d", environment={})
    found = read(project, config, "quick")
    assert len(found.runs) == 24 and set(found.cells["Outcome"]) == {"no effect (nothing to fix)"}
    record.unlink()
    assert read(project, config, "quick").rows is None  # and so the verdict's: fixed


def test_a_page_without_its_marks_is_refused():
    with pytest.raises(ValueError, match="has 0 pairs of '<!-- results made"):
        exchanged("no marks", "results", "text")
