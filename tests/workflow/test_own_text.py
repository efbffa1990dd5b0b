"""A study on own files, built once: what is noticed when they change, go away or are others."""

import json
import os
import shutil
from pathlib import Path

import pytest

from bitnet.common.files import read_json
from tests.helpers.project import SNAKEMAKE, TINY, call, commit, copy_project, jobs, snakemake
from tests.workflow.test_sources import documents, put
from workflow.provenance.sources import identity
from workflow.scripts import evaluate

pytestmark = pytest.mark.slow

TARGET = "results/quick/h16_wd0.csv"
MINE = {
    "corpora": {
        "mine": {
            "source": "files",
            "train": ["texts/*.txt"],
            "validation_share": 0.2,
            "train_bytes": 300_000,
            "validation_bytes": 60_000,
        }
    },
    "studies": {"quick": {"corpus": "mine"}},
}


def planned(project: Path, *more: str) -> tuple[set[str], str]:
    """Rules that would run for a table, and all that is shown."""
    output = snakemake(project, "-n", TARGET, *more, *TINY, "mine.yaml")
    return (set() if "Nothing to be done" in output else {*jobs(output)} - {"total"}), output


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A run on own files, built whole."""
    project = copy_project(tmp_path_factory.mktemp("sources") / "project")
    (project / "texts").mkdir()
    for name, seed in (("a{b}.txt", 0), (os.fsdecode(b"caf\xe9.txt"), 1)):
        (project / "texts" / name).write_text(documents(700, seed), encoding="utf-8")
    (project / "mine.yaml").write_text(json.dumps(MINE), encoding="utf-8")
    snakemake(project, TARGET, *TINY, "mine.yaml", "--cores", "2")
    return project


CHAIN = {"text", "tokenizer", "shards", "manifest", "references"}
CHAIN |= {"train_trunk", "train_branch", "evaluate"}


def test_own_files_are_known_by_content_and_may_go_away(built):
    """Reports of results that stand for other text than the one at hand, and of unplugged disks."""
    path, record = (
        built / "texts/a{b}.txt",
        read_json(built / TARGET.replace("csv", "provenance.json")),
    )
    listed = record["sources"]["train"]
    assert [file["name"] for file in listed] == ["a{b}.txt", os.fsdecode(b"caf\xe9.txt")]
    assert record["lineage"]["text"]["sources"] == identity(record["sources"])
    assert planned(built)[0] == set()
    content, date = path.read_text(encoding="utf-8"), path.stat().st_mtime
    os.utime(path)
    assert planned(built)[0] == set()
    put(path, content.replace("fox", "fix"), date)
    rules, shown = planned(built)
    assert rules == CHAIN and "corpora.mine: other content" in shown and "'a{b}.txt'" in shown
    put(path, content, date - 9)
    assert planned(built)[0] == set()
    (built / "texts").rename(built / "unplugged")
    rules, shown = planned(built)
    assert rules == set() and shown.count("the files of corpora.mine are not at hand") == 1
    assert planned(built, "--forcerun", "evaluate")[0] == {"evaluate"}
    done = call(built, SNAKEMAKE, "-n", TARGET, "--forcerun", "text", *TINY, "mine.yaml")
    assert done.returncode != 0 and "error: corpora.mine.train is 'texts/*.txt'" in done.stderr
    (built / "unplugged").rename(built / "texts")


def test_a_record_is_of_the_text_that_data_hold_whatever_is_at_hand_by_then(built, tmp_path):
    """Reports of jobs on other nodes that look again, after the files have changed."""
    model, data = built / "models/quick/h16_wd0", built / "data/mine"
    lineage = {"text": {"sources": "of other files", "code": "c"}}
    flags = {
        "observations": f"{model}.observations.safetensors",
        "manifest": next(data.glob("*/manifest32.json")),
        "references": next(data.glob("*/references32.json")),
        "text": data / "text.json",
        "lineage": json.dumps(lineage),
        "output": tmp_path / "h16_wd0.csv",
    }
    evaluate.main([part for key, value in flags.items() for part in (f"--{key}", str(value))])
    record = read_json(tmp_path / "h16_wd0.provenance.json")
    listed = read_json(data / "text.json")["sources"]
    assert record["sources"] == listed
    assert record["lineage"]["text"] == {"sources": identity(listed), "code": "c"}


def test_a_tokenizer_from_a_path_is_known_by_content_and_may_go_away(built):
    """Reports of a tokenizer of the same name and date that was another one."""
    own, target = built / "own.model", "data/mine/own-512/tokenizer.model"
    shutil.copy(next(built.glob("data/mine/*/tokenizer.model")), own)
    study = {"corpus": "mine", "tokenizer": "own.model"}
    (built / "own.yaml").write_text(
        json.dumps({**MINE, "studies": {"quick": study}}), encoding="utf-8"
    )

    def shown(*more: str) -> str:
        return snakemake(built, target, *more, *TINY, "own.yaml", "--cores", "1")

    shown()
    os.utime(own)
    assert "Nothing to be done" in shown("-n")
    whole, date = own.read_bytes(), own.stat().st_mtime
    own.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    os.utime(own, (date, date))
    assert {*jobs(shown("-n"))} == {"tokenizer", "total"}
    own.unlink()
    assert "Nothing to be done" in shown("-n")


def test_a_clone_says_when_its_results_are_of_other_text(built, tmp_path):
    """Reports of clones with other text under the same name, for which nothing was to be done."""
    with (built / ".gitignore").open("a", encoding="utf-8") as file:
        file.write("/texts/\n")
    commit(built)
    clone = tmp_path / "clone"
    assert call(built, "git", "clone", "-q", str(built), str(clone)).returncode == 0
    rules, shown = planned(clone)
    assert rules == set() and "the files of corpora.mine are not at hand" in shown
    shutil.copytree(built / "texts", clone / "texts")
    rules, shown = planned(clone)
    assert rules == set() and "not at hand" not in shown
    put(clone / "texts/a{b}.txt", "something else", date=1e9)
    rules, shown = planned(clone)
    assert rules == CHAIN and "other content than its text was made from: 'a{b}.txt'" in shown
    assert "committed results differ in text.sources" in shown
