"""Results that the repository holds: a clone takes them as they are, and trains nothing again.

Where this fails, results are not what today's code, config and data make: run `snakemake <study>`
and commit what it changes.
"""

import json
import shutil

import pytest

from bitnet.common.files import read_json
from bitnet.config.study import Study
from tests.helpers.edits import edited, swap
from tests.helpers.project import ROOT, call, copy_project, jobs, project_config, snakemake
from workflow.provenance.fingerprint import script_fingerprint

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """What a clone holds, results too, all of it of this moment."""
    project = copy_project(tmp_path_factory.mktemp("clone") / "project")
    shutil.copytree(ROOT / "results", project / "results", copy_function=shutil.copyfile)
    return project


def committed() -> list[str]:
    """Studies with a whole result here, whether or not the files of their text are at hand."""
    listed = call(ROOT, "git", "ls-files", "results/*/report.html").stdout.split()
    return [path.split("/")[1] for path in listed]


def test_sanity_results_are_of_todays_code():
    """A clone trains them anew, to check its own machine; the committed ones are pages' figures."""
    now = {name: script_fingerprint(ROOT, name) for name in ("train", "answers", "samples")}
    records = [*ROOT.glob("results/*/arithmetic.prov*"), *ROOT.glob("results/*/stories.prov*")]
    for record in records:
        study = Study.of(project_config(), record.parent.name)
        script = "answers" if record.name.startswith("arithmetic") else "samples"
        runs = read_json(record)["runs"]
        assert set(runs) == set(study.runs()), record
        source = project_config()["corpora"][study.corpus]["source"]
        code = script_fingerprint(ROOT, script, source if script == "samples" else None)
        for name, run in runs.items():
            assert run["recipe"] == json.loads(study.recipe(name).to_json()), (record, name)
            assert (run["trained"]["code"], run["code"]) == (now["train"], code), record
    broken = [*ROOT.glob("results/faults/*.json")]
    assert all(read_json(path)["code"] == now for path in broken)
    assert broken


def test_there_are_some():
    assert {"dose", "reach", "decay_2x2"} <= set(committed())


def test_they_are_up_to_date(clone):
    output = snakemake(clone, "-n", *committed())
    assert "Nothing to be done" in output, jobs(output)


def test_a_committed_report_of_an_experiment_stays_until_what_it_is_made_from_is_another(clone):
    assert "Nothing to be done" in snakemake(clone, "-n", "arithmetic_seeds", "arithmetic_cpu")
    with edited(clone, "config.yaml", swap("largest_operand: 50", "largest_operand: 40")):
        found = jobs(snakemake(clone, "-n", "arithmetic_seeds", "arithmetic_cpu"))
    assert (found["arithmetic_report"], found["train_trunk"]) == (1, 10)
    record = clone / "results/arithmetic_cpu/arithmetic.provenance.json"
    record.unlink()
    assert jobs(snakemake(clone, "-n", "arithmetic_cpu"))["train_trunk"] == 1
