"""What is built, and what runs again: exactly what an edit or a fault touches, in a clone too.

One tiny study and one run of another are built once; every test edits something, reads the jobs
that `snakemake -n` lists, and takes the edit back.
"""

import os
import subprocess
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from zipfile import ZipFile

import pandas as pd
import pytest
import yaml
from snakemake.cli import parse_size_in_bytes

from bitnet.evaluation.metrics import COLUMNS, CSV_TYPES
from tests.helpers.edits import (
    DATA,
    DRAWN,
    EDITS,
    JUDGE,
    NEUTRAL,
    NOTHING,
    OTHER,
    RUNS,
    append,
    edited,
    planned,
    swap,
)
from tests.helpers.project import ROOT, SNAKEMAKE, TINY, call, commit, copy_project, jobs, snakemake

pytestmark = pytest.mark.slow


def default(names: Iterable[str], *chosen: str) -> list:
    """Names of edits; those not chosen repeat another's check and are left to `often`."""
    return [pytest.param(n, marks=[pytest.mark.often] * (n not in chosen)) for n in names]


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    project = copy_project(tmp_path_factory.mktemp("built") / "project")
    commit(project)
    output = snakemake(project, "quick", OTHER, *TINY, "--cores", "2")
    (project.parent / "output.log").write_text(output)
    return project


@pytest.fixture(scope="module")
def clone(built, tmp_path_factory) -> Path:
    """Committed results, and nothing that git does not keep."""
    commit(built)
    to = tmp_path_factory.mktemp("cloned") / "clone"
    assert call(built, "git", "clone", "-q", str(built), str(to)).returncode == 0
    return to


def test_a_damaged_list_of_provenance_is_made_again(built):
    listing = built / "results/quick/provenance.json"
    whole = listing.read_bytes()
    listing.write_bytes(whole[:-9])
    try:
        assert planned(built) == {"provenance": 1}
        snakemake(built, "quick", *TINY)
        assert listing.read_bytes() == whole
    finally:
        listing.write_bytes(whole)


def test_a_study_is_built_from_nothing_and_its_verdict_printed(built):
    project, output = built, (built.parent / "output.log").read_text()
    assert "to train: 3 x stage 1 and 5 x stage 2" in output
    verdict = (project / "results/quick/verdict.md").read_text()
    answer, overview = verdict.split("<details>")[0].split("![What was measured")
    folder = project / "results/quick"
    assert (folder / overview.split("](")[1].split(")")[0]).is_file()  # the picture
    assert answer.strip() in output and overview.split("\n", 1)[1].strip() in output
    assert "Open: results/quick/report.html" in output
    report = (project / "results/quick/report.html").read_text()
    assert verdict.splitlines()[2].split(" (")[0] in report
    cells = pd.read_csv(project / "results/quick/verdict.csv")
    assert len(cells) == 2 and set(cells["Outcome"]) == {"no verdict"}  # one seed
    changed = call(project, "git", "status", "--porcelain").stdout.splitlines()
    assert changed and all(line[3:].startswith("results/") for line in changed), changed
    for path in (project / "results/quick").glob("h16_*.csv"):
        rows = pd.read_csv(path, dtype=CSV_TYPES)
        assert tuple(rows.columns) == COLUMNS
        assert rows["Step"].tolist() == [*range(0, 41, 5)]
        assert rows["WD"].tolist()[:3] == [0.1] * 3 and rows["N"].unique().tolist() == [4096]


def test_snakemakes_report_holds_verdict_page_and_figures_with_captions(built, tmp_path):
    snakemake(built, "quick", "--report", str(tmp_path / "report.zip"), *TINY)
    with ZipFile(tmp_path / "report.zip") as zipped:
        held = {Path(name).name: name for name in zipped.namelist() if "/data/" in name}
        figures = {path.name for path in (built / "results/quick/figures").glob("*.svg")}
        assert len(figures) == 4 and {*held} == {"verdict.md", "report.html", *figures}
        for name in ("verdict.md", "report.html"):
            assert zipped.read(held[name]) == (built / "results/quick" / name).read_bytes()
        page = zipped.read("report/report.html").decode()
    for words in (
        "do they\\ncollapse",
        "written down before the runs",
        "as one page",
        "dashes the",
    ):
        assert words in page, words


def test_edits_that_change_no_result_run_nothing(built):
    with ExitStack() as edits:
        for edit in NEUTRAL.values():
            edits.enter_context(edited(built, *edit))
        assert planned(built) == NOTHING


@pytest.mark.often
@pytest.mark.parametrize("name", NEUTRAL)
def test_an_edit_that_changes_no_result_runs_nothing(built, name):
    with edited(built, *NEUTRAL[name]):
        assert planned(built) == NOTHING


def test_touching_every_file_runs_nothing(built):
    for path in sorted(built.rglob("*"), reverse=True):
        if path.is_file() and ".snakemake" not in path.parts and ".git" not in path.parts:
            os.utime(path)
    assert planned(built) == NOTHING


@pytest.mark.parametrize("profile", ["default", "slurm"])
def test_contents_are_compared_of_the_largest_trunk_too(profile):
    settings = yaml.safe_load((ROOT / f"profiles/{profile}/config.yaml").read_text())
    parameters, moments, size = 95_367_936, 2, 4
    limit = parse_size_in_bytes(settings["max-checksum-file-size"])
    assert limit > parameters * (1 + moments) * size > parse_size_in_bytes("1MB")


# Which scripts an edit of code concerns, test_fingerprint_edits.py checks one by one.
BUILT = ("two imports away", "metric", "rule of the verdict", "swapped thresholds", "plot", "title")
BUILT += ("one more seed", "two more sizes", "one more weight decay", "learning rate of one study")
BUILT += ("vocabulary", "words of the stories")


@pytest.mark.parametrize("name", default(EDITS, *BUILT))
def test_an_edit_runs_what_it_touches(built, name):
    file, change, expected = EDITS[name]
    with edited(built, file, change):
        assert planned(built) == expected


def test_a_figure_that_is_missing_or_was_changed_is_drawn_again_with_those_beside_it(built):
    figure = built / "results/quick/figures/mechanism.svg"
    before = figure.read_text()
    figure.unlink()
    assert planned(built) == {"figures": 1, "provenance": 1}
    figure.write_text(before.replace("gains", "losses"))
    assert planned(built) == {"figures": 1, "provenance": 1}
    figure.write_text(before)


def test_an_edit_taken_back_runs_nothing(built):
    assert planned(built) == NOTHING  # after all of the above


# --- in a fresh clone there are no data and no models: what has to be trained needs them first ---

FROM_TEXT = {"text": 1, **DATA}
CLONED = {
    "comment": NOTHING,
    "key order": NOTHING,
    "two imports away": {**FROM_TEXT, **RUNS},
    "metric": {**FROM_TEXT, **RUNS},  # observations are not committed
    "rule of the verdict": {"verdict": 1, "figures": 1, "report": 1, "provenance": 1},
    "swapped thresholds": JUDGE,
    "plot": DRAWN,
    "one more seed": {**FROM_TEXT, **EDITS["one more seed"][2]},
    # its trunks are not committed either
    "one more weight decay": {
        **FROM_TEXT,
        "train_trunk": 2,
        "train_branch": 2,
        "evaluate": 2,
        **JUDGE,
    },
    "learning rate of one study": {**FROM_TEXT, **EDITS["learning rate of one study"][2]},
    "vocabulary": {**FROM_TEXT, **RUNS},
}


def test_committed_results_are_recognised(clone):
    assert planned(clone) == NOTHING and not (clone / "data").exists()


IN_CLONE = ("comment", "metric", "rule of the verdict", "one more seed", "one more weight decay")


@pytest.mark.parametrize("name", default(CLONED, *IN_CLONE))
def test_in_a_clone_an_edit_makes_stale_what_it_touches(clone, name):
    file, change = (NEUTRAL | EDITS)[name][:2]
    with edited(clone, file, change):
        assert planned(clone) == CLONED[name]


def test_what_is_stale_in_a_clone_is_rebuilt_alone_and_then_rests(clone):
    table, tables = clone / OTHER, sorted((clone / "results/quick").glob("h16_*.csv"))
    committed, untouched = table.read_bytes(), [path.stat().st_mtime_ns for path in tables]
    table.write_text(table.read_text().replace("ternary", "Ternary", 1))  # by hand
    chain = {"train_trunk": 1, "train_branch": 1, "evaluate": 1}
    assert planned(clone) == {**FROM_TEXT, **chain}
    file, change, expected = EDITS["rule of the verdict"]
    with edited(clone, file, change):
        output = snakemake(clone, "quick", OTHER, "-p", *TINY, "--cores", "2")
        assert "to train: 1 x stage 1 and 1 x stage 2" in output
        assert jobs(output).items() >= {**FROM_TEXT, **chain, **expected}.items()
        assert planned(clone) == NOTHING
    assert table.read_bytes() == committed
    assert len(tables) == 4 and [path.stat().st_mtime_ns for path in tables] == untouched


def test_the_ledger_of_claims_is_made_of_its_studies_and_again_when_its_code_changes(built):
    output = snakemake(built, "claims", "-p", *TINY, "--cores", "2")
    assert jobs(output)["claims_ledger"] == 1 and "train_trunk" not in jobs(output)
    text = (built / "results/claims/quick.md").read_text()
    assert "Stage-2 weight decay 0 instead of 0.05 fixes it" in text
    assert "quick: inconclusive." in text  # one seed
    assert planned(built, "claims") == NOTHING
    with edited(built, "bitnet/claims/ledger.py", append("SPARE = 1")):
        assert planned(built, "claims") == {"claims_ledger": 1}
    with edited(built, "config.yaml", swap("collapsed_below: 10", "collapsed_below: 12")):
        assert planned(built, "claims") == {"claims_ledger": 1, "verdict": 1}


# --- damage: a build that meets it says what to do, and that is enough ---


def flip_middle(path: Path) -> None:
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    path.write_bytes(changed)


def errors(done: subprocess.CompletedProcess) -> list[str]:
    """What a build ended with, each line once (the last is repeated); no traceback beside it."""
    assert done.returncode != 0 and "Traceback" not in done.stderr, done.stderr
    return sorted({line for line in done.stderr.splitlines() if line.startswith("error: ")})


def test_a_damaged_file_is_made_again_as_its_refusal_says(built):
    project, tiny = built, (*TINY, "--cores", "2")
    kept = [*project.glob("results/**/h16_*.csv"), *project.glob("data/**/*.*")]
    before = {path: path.read_bytes() for path in kept if path.is_file()}
    assert len(before) == 5 + 3 + 2 + 3 + 2  # tables; text, tokenizer, shards, manifest, references
    table, unseen, branch = (
        f"results/quick/h16_{run}.csv" for run in ("wd0_adamw", "wd0.05_adamw", "wd0.05")
    )

    # A table and a record are made again unasked; a trunk and what was observed are refused.
    flip_middle(project / table)
    flip_middle((project / OTHER).with_suffix(".provenance.json"))
    for path in (unseen, branch, "models/quick/h16_wd0.05.observations.safetensors"):
        (project / path).unlink()
    damaged = ["h16.trunk.safetensors", "h16_wd0.05_adamw.observations.safetensors"]
    for name in damaged:
        flip_middle(project / "models/quick" / name)
    done = call(project, SNAKEMAKE, table, OTHER, unseen, branch, "--keep-going", *tiny)
    assert f"{table} is not as it was written" in done.stderr
    assert "results/h16_wd0.provenance.json is dam" in done.stderr
    for name, line in zip(damaged, errors(done), strict=True):
        assert f"models/quick/{name}' is damaged" in line and "delete it and run again" in line
        (project / "models/quick" / name).unlink()
    assert all((project / path).read_bytes() == before[project / path] for path in (table, OTHER))

    # A shard: run again with --forcerun shards.
    [shard] = project.glob("data/stories/*/train-00000.bin")
    flip_middle(shard)
    [line] = errors(call(project, SNAKEMAKE, branch, *tiny))
    assert f"{shard.relative_to(project)}' is damaged" in line
    assert line.endswith("; run again with --forcerun shards")
    snakemake(project, unseen, branch, *tiny, "--forcerun", "shards")
    assert {path: path.read_bytes() for path in before} == before
