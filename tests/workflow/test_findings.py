"""The tables of docs/findings.md and docs/sanity.md: those that the files in results/ give."""

from dataclasses import replace

import pandas as pd
import pytest

from bitnet.claims import findings
from tests.helpers.project import ROOT
from tests.helpers.tables import LIMITS, OUTCOMES, QUESTION, cell, run, verdict
from workflow.helpers.pages import exchanged
from workflow.scripts.findings import FINDINGS, PAGES, made


@pytest.mark.parametrize("page", PAGES)
def test_a_page_is_what_the_files_say(page):
    same = (ROOT / page).read_text(encoding="utf-8") == made(ROOT, page)
    assert same, f"{page} is out of date: run `python -m workflow.scripts.findings`"


def test_readme_gives_the_same_answer():
    begin, end = "<!-- answer -->", "<!-- end of the answer -->"
    pages = [(ROOT / name).read_text(encoding="utf-8") for name in (FINDINGS, "README.md")]
    first, second = (page.split(begin)[1].split(end)[0] for page in pages)
    assert first == second and first.count(". ") + first.count(".\n") == 3


def lines(text: str) -> list[list[str]]:
    return [[field.strip() for field in line.strip("|").split("|")] for line in text.splitlines()]


def twin(rows: pd.DataFrame) -> pd.DataFrame:
    return rows.assign(Weights="full_precision")


def test_a_twin_stands_beside_its_ternary_cell_with_the_outcomes_of_the_verdict():
    fixed, harmful = OUTCOMES["fixed"], OUTCOMES["harmful"]
    text = findings.results({"a": verdict(fixed, twin(harmful))}, {"a": "a.md"})
    _, _, line = lines(text)
    assert line[:4] == ["[`a`](a.md)", "256 adam", "collapsed 5/5", "8.2 → 88.8"]
    assert line[5] == "fixed, High (5)" and line[-1].startswith("harmful")


def test_a_cell_without_a_twin_says_so():
    _, _, line = lines(findings.results({"a": verdict(OUTCOMES["fixed"])}, {"a": "a.md"}))
    assert line[5:] == ["fixed, High (5)", "-", "-", "-"]


def test_changes_are_the_cells_that_differ_from_the_protocol():
    fixed = OUTCOMES["fixed"]
    other = fixed.assign(Variant="clip0.1")
    slow = fixed.assign(PeakLR=0.0005)
    question = replace(QUESTION, headline=QUESTION.headline | {"peak_lr": 0.0015})
    cells = verdict(fixed, twin(fixed), other, twin(other), slow, question=question)
    found = lines(findings.changes(cells))[2:]
    assert [line[0] for line in found] == ["clip0.1", "lr5e-4"]
    assert found[0][1] == found[0][5] == "collapsed 5/5" and found[1][5] == "-"


def test_doses_are_ordered_and_end_with_the_control():
    small = pd.concat(run(s, 0.001, 8, 40 + s) for s in range(3))
    rows = pd.concat([cell(8, [8, 9, 7], [88, 92, 80]), small])
    found = lines(findings.doses(pd.concat([rows, twin(rows)]), LIMITS, QUESTION))[2:]
    assert [line[0] for line in found] == ["0", "0.001", "0.05"]
    assert found[1][1:3] == ["recovering 3/3", "41.0"] and found[2][1:3] == ["collapsed 3/3", "8.0"]
    assert found[0][1:4] == found[0][4:]


def test_what_a_table_of_optimizers_says_of_the_switch_is_the_mean_of_its_trunks():
    rows = OUTCOMES["fixed"].reset_index(drop=True)
    at_switch = rows["Step"] == 300
    rows.loc[at_switch, "EffectiveLR"] = rows["Seed"] + 1.0  # 1 to 5: mean 3
    rows.loc[at_switch, "Gain"] = 0.125
    changed = twin(rows).assign(Gain=0.5)
    [line] = lines(findings.reach(pd.concat([rows, changed])))[2:]
    assert line == ["adam", "8", "3", "0.12", "1.00", "8", "3", "0.50", "1.00"]


def test_claims_name_the_studies_behind_each_outcome():
    decided = pd.DataFrame(
        {
            "Claim": ["x", "x", "y"],
            "Confidence": ["99 %", "99 %", "known"],
            "Outcome": ["supported", "supported", "not tested"],
            "Study": ["a", "b", ""],
            "There": ["supported", "not shown here", ""],
        }
    )
    _, _, first, second = lines(findings.claims(decided))
    assert first == ["x", "99 %", "supported", "supported: a; not shown here: b"]
    assert second == ["y", "known", "not tested", ""]


def test_a_page_without_its_marks_is_refused():
    with pytest.raises(ValueError, match="has 0 pairs of '<!-- results made"):
        exchanged("no marks", "results", "text", "workflow.scripts.findings")
