"""How the rules are kept: named like their scripts, apart from functions, clean by the linter."""

import re
from importlib import import_module

import pytest

from bitnet.common.files import write_json
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


def test_a_rule_judged_by_code_has_its_script_refuse_other_code():
    # Kind of fault: code edited while the pipeline ran, and put back, left another tokenizer.
    judged = [
        (name, body)
        for file in RULES
        for name, body in RULE.findall(file.read_text())
        if re.search(r"^ +(code|lineage)=", body, re.MULTILINE)
    ]
    assert len(judged) > 10
    for name, body in judged:
        told = re.search(r"--(code|lineage) \{params\.(code|lineage)", body)
        assert told, f"{name} does not tell its script the code"
        script = (ROOT / f"workflow/scripts/{SCRIPT.findall(body)[0]}.py").read_text()
        assert re.search(r"code_of\(|seal\(|args\.lineage", script), f"{name} does not check it"


@pytest.mark.parametrize("script", ["tokenizer", "manifest", "references", "provenance"])
def test_a_script_of_other_code_than_the_pipeline_started_with_refuses(script, tmp_path):
    main = import_module(f"workflow.scripts.{script}").main
    (tmp_path / "a.json").write_text("{}")
    given = {"tokenizer": "--text", "manifest": "--shards", "references": "--manifest"}
    flags = [given.get(script, "--inputs"), str(tmp_path / "a.json")]
    flags += ["--tokenizer", "a", "--sequence-length", "8"] * (script == "manifest")
    flags += ["--vocab-size", "8"] * (script == "tokenizer")
    write_json(tmp_path / "a.json", {"files": {}, "lineage": {}})
    with pytest.raises(ValueError, match=f"code of {script} was edited while the pipeline ran"):
        main([*flags, "--output", str(tmp_path / "out"), "--code", "0" * 16])
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_linter_finds_nothing_but_what_is_on_purpose():
    done = call(ROOT, SNAKEMAKE, "--lint")
    found = re.findall(r"^ +\* (.+)$", done.stdout + done.stderr, re.MULTILINE)
    assert {line.rstrip(".:") for line in found} == {ON_PURPOSE}
