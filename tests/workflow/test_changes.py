"""Which keys were edited, from what Snakemake remembers; names that are near, numbers as typed."""

import json
from types import SimpleNamespace

import pytest

from bitnet.common.errors import one_of
from bitnet.config.load import read_project
from tests.helpers.project import ROOT
from workflow.helpers.changes import changes
from workflow.helpers.ending import last_line


def job(rule, old, new):
    change = SimpleNamespace(only_old=set(map(repr, old)), only_new=set(map(repr, new)))
    return rule, SimpleNamespace(params_changed=change)


def test_an_edit_is_said_once_with_the_number_of_its_jobs():
    before, after = ({"training": {"steps": n, "seed": 0}, "model": {"h": 1}} for n in (800, 1000))
    jobs = [job("train", [json.dumps(before)], [json.dumps(after)]) for _ in range(3)]
    jobs += [job("train", ["a" * 16], ["b" * 16]), job("tokenizer", [300], [400])]
    assert changes([*jobs, ("text", SimpleNamespace(params_changed=False))]) == [
        "changed: training.steps 800 -> 1000 (3 jobs)",
        f"changed: the code of train {'a' * 16} -> {'b' * 16} (1 job)",
        "changed: tokenizer 300 -> 400 (1 job)",
    ]


def test_a_failed_step_speaks_by_the_last_error_of_its_log(tmp_path):
    log = tmp_path / "a.log"
    log.write_text("12:00 begun\n12:01 error: no × here\n", encoding="utf-8")
    assert last_line("text", [str(log)]) == "error: no × here"
    log.write_text("12:00 begun\n", encoding="utf-8")
    said = last_line("text", [str(log), "absent.log"])
    assert (
        said
        == f"error: the step text was ended before it could say why; its log: {log}, absent.log"
    )


def test_names_are_listed_whole_and_the_nearest_is_asked_after():
    names = [f"study_number_{i}" for i in range(40)]
    said = one_of(names, "study_nmber_39")
    listed, _, rest = said.removeprefix("one of ").partition(" and ")
    shown = listed.split(", ")
    assert shown == names[: len(shown)] and len(listed) <= 200
    assert rest == f"{40 - len(shown)} more; did you mean study_number_39?"
    assert one_of(["a", "b"], "zzz") == "one of a, b"


@pytest.mark.parametrize(
    ("block", "line", "spelled"),
    [
        ("training: {peak_lr: 5e-4}", "training.peak_lr is '5e-4'", "5.0e-4"),
        ("training: {peak_lr: 5.e3}", "training.peak_lr is '5.e3'", "5.0e+3"),
        ("training: {steps: 1e3}", "training.steps is '1e3'", "1000"),
    ],
)
def test_a_number_that_yaml_takes_for_text_is_respelled_where_it_was_typed(
    tmp_path, block, line, spelled
):
    """The study is named that was edited, not one that is built on it."""
    (tmp_path / "over.yaml").write_text(f"studies:\n  quick:\n    {block}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"^over\.yaml, line 3: ") as refused:
        read_project(ROOT, overrides=[tmp_path / "over.yaml"])
    assert f"studies.quick.{line}; allowed: " in str(refused.value)
    assert str(refused.value).endswith(f"; YAML spells it {spelled}")


def test_a_misspelt_key_gets_the_nearest(tmp_path):
    (tmp_path / "over.yaml").write_text("studies: {quick: {trainning: {}}}\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"did you mean training\?$"):
        read_project(ROOT, overrides=[tmp_path / "over.yaml"])
