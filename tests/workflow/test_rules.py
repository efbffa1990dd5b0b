"""How the rules are kept: named like their scripts, apart from functions, clean by the linter."""

import re

import pytest

from tests.helpers.project import ROOT, SNAKEMAKE, call

RULES = sorted((ROOT / "workflow/rules").glob("*.smk"))
RULE = re.compile(r"^ *rule ?(\w*):\n(.*?)(?=^ *rule|\Z)", re.MULTILINE | re.DOTALL)
SCRIPT = re.compile(r"workflow\.scripts\.(\w+)")
ON_PURPOSE = "Specify a conda environment or container for each rule"  # one environment serves all


@pytest.mark.parametrize("file", RULES, ids=lambda path: path.stem)
def test_the_name_of_a_rule_begins_with_that_of_its_script(file):
    rules = [
        (name or "figures", SCRIPT.findall(body)) for name, body in RULE.findall(file.read_text())
    ]
    assert any(scripts for _, scripts in rules)  # the one without a name is named in a loop
    for name, scripts in rules:
        assert not scripts or (name.startswith(scripts[0]) and len(scripts) == 1), name


def test_each_script_of_a_rule_is_there():
    named = {name for file in RULES for name in SCRIPT.findall(file.read_text())}
    assert len(named) > 15
    for name in named:
        assert (ROOT / f"workflow/scripts/{name}.py").is_file(), name


@pytest.mark.slow
def test_the_linter_finds_nothing_but_what_is_on_purpose():
    done = call(ROOT, SNAKEMAKE, "--lint")
    found = re.findall(r"^ +\* (.+)$", done.stdout + done.stderr, re.MULTILINE)
    assert {line.rstrip(".:") for line in found} == {ON_PURPOSE}
