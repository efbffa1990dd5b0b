"""What runs again after an edit: exactly what the edit touches, here and in a fresh clone.

One tiny study and one run of another are built once; every test edits something, reads the jobs
that `snakemake -n` lists, and takes the edit back.
"""

import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from tests.test_pipeline import call, commit, copy_project, jobs, snakemake

pytestmark = pytest.mark.slow

TINY = ("--configfile", "tests/tiny.yaml", "--cores", "2")
OTHER = "results/h16_wd0.csv"  # of the study wd_fix: 1 trunk, 1 branch
JUDGE = {"verdict": 1, "figures": 1, "provenance": 1}
RUNS = {"trunk": 3, "branch": 5, "evaluate": 5, **JUDGE}
DATA = {"tokenizer": 1, "shards": 1, "manifest": 1, "references": 1}
NOTHING: dict[str, int] = {}


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    project = copy_project(tmp_path_factory.mktemp("built"))
    snakemake(project, "quick", OTHER, *TINY)
    return project


@pytest.fixture(scope="module")
def clone(built, tmp_path_factory) -> Path:
    """Committed results, and nothing that git does not keep."""
    (built / ".gitignore").write_text("/data/\n/models/\n/logs/\n/.snakemake/\n__pycache__/\n")
    commit(built)
    to = tmp_path_factory.mktemp("cloned") / "clone"
    assert call(built, "git", "clone", "-q", str(built), str(to)).returncode == 0
    return to


def planned(project: Path) -> dict[str, int]:
    output = snakemake(project, "-n", "quick", OTHER, *TINY)
    if "Nothing to be done" in output:
        return NOTHING
    return {rule: n for rule, n in jobs(output).items() if rule not in ("total", "quick")}


@contextmanager
def edited(project: Path, name: str, change: Callable[[str], str]) -> Iterator[None]:
    path = project / name
    before = path.read_text()
    after = change(before)
    assert after != before, f"nothing to change in {name}"
    path.write_text(after)
    yield
    path.write_text(before)


def swap(one: str, other: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert text.count(one) == 1, f"{one!r} stands there {text.count(one)} times"
        return text.replace(one, other)

    return change


def append(line: str) -> Callable[[str], str]:
    return lambda text: f"{text}\n{line}\n"


def sort_keys(text: str) -> str:
    return yaml.safe_dump(yaml.safe_load(text), sort_keys=True)


def reformat(text: str) -> str:
    return re.sub(r"^( *)return (.+[^,(\[{])$", r"\1return (  \2  )", text, flags=re.MULTILINE)


NEUTRAL = {
    "comment": ("bitnet/quant.py", append("# a remark")),
    "docstring": ("bitnet/quant.py", lambda text: text.replace('"""', '"""Namely: ', 1)),
    "reformatting": ("bitnet/schedule.py", reformat),
    "key order": ("config.yaml", sort_keys),
    "key order below": ("tests/tiny.yaml", sort_keys),
    "checkpoint interval": ("tests/tiny.yaml", swap("checkpoint_every: 7", "checkpoint_every: 9")),
    "device": ("config.yaml", swap("  device: auto", "  device: cpu")),
    "slots": ("tests/tiny.yaml", swap("  gpu: 0", "  gpu: 1")),
}
QUICK = "model: {num_layers: 1}\n    training: {steps: 40, batch_size: 2"
EDITS = {
    "two imports away": ("bitnet/quant.py", append("SPARE = 1"), RUNS),
    "metric": ("bitnet/metrics.py", append("SPARE = 1"), {"references": 1, "evaluate": 5, **JUDGE}),
    "rule of the verdict": (
        "bitnet/verdict.py",
        append("SPARE = 1"),
        {"verdict": 1, "provenance": 1},
    ),
    "threshold": ("config.yaml", swap("collapsed_below: 10", "collapsed_below: 9"), JUDGE),
    "swapped thresholds": (
        "config.yaml",
        lambda text: swap("below: 10 #", "below: 5 #")(swap("few_seeds: 5", "few_seeds: 10")(text)),
        JUDGE,
    ),
    "plot": ("bitnet/plots.py", append("SPARE = 1"), {"figures": 1, "provenance": 1}),
    "title": ("config.yaml", swap('title: ""', "title: new"), {"figures": 1, "provenance": 1}),
    "one more seed": (
        "tests/tiny.yaml",
        swap("quick:\n    seeds: 1", "quick:\n    seeds: 2"),
        {"trunk": 2, "branch": 4, "evaluate": 4, **JUDGE},
    ),
    "one more weight decay": (
        "tests/tiny.yaml",
        swap("grid: {", "grid: {stage2_weight_decay: [0.05, 0, 0.01], "),
        {"branch": 2, "evaluate": 2, **JUDGE},
    ),
    "learning rate of one study": (
        "tests/tiny.yaml",
        swap(QUICK, QUICK.replace("{steps", "{peak_lr: 0.002, steps")),
        {"trunk": 2, "branch": 4, "evaluate": 4, **JUDGE},
    ),
    "swapped numbers of a recipe": (
        "tests/tiny.yaml",
        swap(
            "batch_size: 2, sequence_length: 32, warmup_steps: 4",
            "batch_size: 4, sequence_length: 32, warmup_steps: 2",
        ),
        {"trunk": 2, "branch": 4, "evaluate": 4, **JUDGE},
    ),
    "vocabulary": ("tests/tiny.yaml", swap("vocab_size: 512", "vocab_size: 520"), {**DATA, **RUNS}),
    "words of the stories": ("bitnet/lexicon.txt", append("noun fox"), {"text": 1, **DATA, **RUNS}),
    "amount of text": (
        "tests/tiny.yaml",
        swap("train_bytes: 300000", "train_bytes: 310000"),
        {"text": 1, **DATA, **RUNS},
    ),
}


@pytest.mark.parametrize("name", NEUTRAL)
def test_an_edit_that_changes_no_result_runs_nothing(built, name):
    with edited(built, *NEUTRAL[name]):
        assert planned(built) == NOTHING


def test_touching_every_file_runs_nothing(built):
    for path in sorted(built.rglob("*"), reverse=True):
        if path.is_file() and ".snakemake" not in path.parts and ".git" not in path.parts:
            os.utime(path)
    assert planned(built) == NOTHING


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_runs_what_it_touches(built, name):
    file, change, expected = EDITS[name]
    with edited(built, file, change):
        assert planned(built) == expected


def test_an_edit_taken_back_runs_nothing(built):
    assert planned(built) == NOTHING  # after all of the above


# --- in a fresh clone there are no data and no models: what has to be trained needs them first ---

FROM_TEXT = {"text": 1, **DATA}
CLONED = {
    "comment": NOTHING,
    "key order": NOTHING,
    "two imports away": {**FROM_TEXT, **RUNS},
    "metric": {**FROM_TEXT, **RUNS},  # observations are not committed
    "rule of the verdict": {"verdict": 1, "provenance": 1},
    "swapped thresholds": JUDGE,
    "plot": {"figures": 1, "provenance": 1},
    "one more seed": {**FROM_TEXT, **EDITS["one more seed"][2]},
    # its trunks are not committed either
    "one more weight decay": {**FROM_TEXT, "trunk": 2, "branch": 2, "evaluate": 2, **JUDGE},
    "learning rate of one study": {**FROM_TEXT, **EDITS["learning rate of one study"][2]},
    "vocabulary": {**FROM_TEXT, **RUNS},
}


def test_committed_results_are_recognised(clone):
    assert planned(clone) == NOTHING and not (clone / "data").exists()


@pytest.mark.parametrize("name", CLONED)
def test_in_a_clone_an_edit_makes_stale_what_it_touches(clone, name):
    file, change = (NEUTRAL | EDITS)[name][:2]
    with edited(clone, file, change):
        assert planned(clone) == CLONED[name]


def test_a_committed_result_changed_by_hand_is_made_again_alone(clone):
    with edited(clone, OTHER, lambda text: text.replace("ternary", "Ternary", 1)):
        chain = {"trunk": 1, "branch": 1, "evaluate": 1}
        assert planned(clone) == {**FROM_TEXT, **chain}


def test_what_is_stale_in_a_clone_is_rebuilt_and_then_rests(clone):
    untouched = (clone / OTHER).stat().st_mtime_ns
    file, change, _ = EDITS["one more seed"]
    with edited(clone, file, change):
        output = snakemake(clone, "quick", OTHER, *TINY)
        assert "to train: 2 x stage 1 and 4 x stage 2" in output
        assert planned(clone) == NOTHING
        assert len(list((clone / "results/quick").glob("h16_*seed1*.csv"))) == 4
    assert (clone / OTHER).stat().st_mtime_ns == untouched
