"""Which scripts an edit of this project makes run again: those whose results it can change.

What may not train again is what most edits are: words, log formats, limits of warnings.
"""

import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests.helpers.project import ROOT
from workflow.provenance.fingerprint import _code, code_fingerprint, module_path, script_fingerprint

SCRIPTS = sorted(path.stem for path in (ROOT / "workflow/scripts").glob("[a-z]*.py"))
BY_HAND = {
    "doctor",
    "findings",
    "generate",
    "recipe",
    "scaling_test",
    "watch",
}  # nothing hangs on them
NOTHING: set[str] = set()
EDITS = {  # name: file, old, new, scripts that are run again
    "format of the log": ("workflow/helpers/cli.py", "%H:%M:%S", "%H:%M", NOTHING),
    "words of the progress line": (
        "bitnet/monitoring/progress.py",
        '"loss {loss:.3f}, ',
        '"loss now {loss:.3f}, ',
        NOTHING,
    ),
    "a version more to record": (
        "workflow/provenance/environment.py",
        '"torch", "numpy"',
        '"torch", "scipy", "numpy"',
        NOTHING,
    ),
    "words of a refusal": ("bitnet/common/errors.py", "; allowed: {", "; it may be {", NOTHING),
    "an error of the training": (
        "bitnet/training/trainer.py",
        '"a state of another model: ',
        '"the state of another model: ',
        NOTHING,
    ),
    "a line of the log": (
        "bitnet/training/resume.py",
        '"resumed at step %d,',
        '"goes on at step %d,',
        NOTHING,
    ),
    "the pilot's refusal": (
        "workflow/scripts/train.py",
        "the pilot says",
        "the pilot run says",
        NOTHING,
    ),
    "help of a flag": ("workflow/scripts/train.py", 'help="steps;', 'help="updates;', NOTHING),
    "help of a flag that many share": (
        "workflow/helpers/tables.py",
        'help="CSV files of runs"',
        'help="tables"',
        NOTHING,
    ),
    "a GPU more in the MFU table": (
        "bitnet/monitoring/instruments.py",
        '("A100", 312e12),',
        '("A100", 312e12),\n    ("B200", 2250e12),',
        NOTHING,
    ),
    "a limit of the anomaly rules": (
        "bitnet/config/thresholds.py",
        "loss_spike_above: float = 2",
        "loss_spike_above: float = 3",
        {"error_rates", "pilot_report", "pretraining_report", *["verdict", "figures", "report"]}
        | {"claims", "results_template", "best_rates", "reference"},
    ),
    "a rule of the anomalies": (
        "bitnet/monitoring/anomalies.py",
        "REPEATED = 4",
        "REPEATED = 5",
        {"pilot_report", "pretraining_report"},
    ),
    "what counts as gibberish": (
        "bitnet/experiments/rules.py",
        "KNOWN_SHARE = 0.9",
        "KNOWN_SHARE = 0.85",
        {"arithmetic_report", "stories_report", "samples", "sanity_report"},
    ),
    "seconds a layer of the announcement": (  # decide also whether a run is compiled
        "bitnet/config/speed.py",
        "GPU_SECONDS_A_LAYER, GPU_FLOPS = 0.0025",
        "GPU_SECONDS_A_LAYER, GPU_FLOPS = 0.002",
        {"train", "pilot_report"},
    ),
    "rounding in sampling": (
        "bitnet/inference/sampling.py",
        "ROUNDING = 1e-12",
        "ROUNDING = 1e-11",
        {"train", "answers", "samples", "compare_runtimes"},
    ),
    "a constant of the sentence checker": (
        "bitnet/data/stories/check.py",
        "MOST_READINGS = 32",
        "MOST_READINGS = 33",
        {"samples", "lm_eval"},
    ),
    "a heading of a report": (
        "bitnet/experiments/stories.py",
        "# Stories: {title}: ",
        "# Stories of {title}: ",
        {"stories_report"},
    ),
    "a new constant of GGUF": (
        "bitnet/export/gguf.py",
        "SMALLEST_SCALE",
        "NEW = 1\nSMALLEST_SCALE",
        {"export"},
    ),
    "the loss": ("bitnet/training/loss.py", "2**24", "2**23", {"train"}),
    "a metric": (
        "bitnet/evaluation/metrics.py",
        "HASH_DIGITS = 12",
        "HASH_DIGITS = 13",
        {"evaluate", "references", "verdict", "figures", "report", "claims", "error_rates"}
        | {"results_template", "best_rates", "export"},
    ),
}


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    for name in ("bitnet", "workflow"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def fingerprints(project: Path, source: str | None = None) -> dict[str, str]:
    _code.cache_clear()
    return {name: script_fingerprint(project, name, source) for name in SCRIPTS}


@cache
def unedited(project: Path, source: str | None) -> dict[str, str]:
    return fingerprints(project, source)


def changed(project: Path, edit: tuple[str, str, str], source: str | None = None) -> set[str]:
    """Scripts of rules whose fingerprint an edit changes; the edit is taken back."""
    name, old, new = edit
    path, before = project / name, unedited(project, source)
    text = path.read_text(encoding="utf-8")
    assert old in text, f"nothing to change in {name}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    after = fingerprints(project, source)
    path.write_text(text, encoding="utf-8")  # as `unedited` found it
    return {script for script in SCRIPTS if before[script] != after[script]} - BY_HAND


@pytest.mark.parametrize("name", EDITS)
def test_an_edit_makes_those_scripts_run_again_whose_results_it_can_change(project, name):
    *edit, expected = EDITS[name]
    assert changed(project, edit) == expected


@pytest.mark.parametrize(
    ("source", "touched"), [("stories", True), ("files", False), ("fineweb_edu", False)]
)
def test_a_word_of_the_built_in_stories_touches_no_other_text(project, source, touched):
    edit = ("bitnet/data/stories/lexicon.txt", "noun", "# a remark\nnoun")
    scripts = changed(project, edit, source)
    assert ("text" in scripts) == ("samples" in scripts) == ("references" in scripts) == touched
    assert scripts.isdisjoint({"train", "evaluate", "verdict", "figures", "report", "export"})


@pytest.mark.parametrize(
    ("module", "kinds"),
    [
        ("local_files", {"files"}),
        ("local_texts", {"files"}),
        ("articles", {"wikitext2"}),
        ("hub", {"wikitext2", "tinystories"}),
        ("split", {"stories", "arithmetic", "files", "wikitext2", "tinystories"}),
    ],
)
def test_an_edit_of_one_reader_touches_no_text_of_another_kind(project, module, kinds):
    edit = (f"bitnet/data/{module}.py", "\n\n\n", "\n\n\nSPARE = 1\n\n\n")
    for source in ("stories", "arithmetic", "files", "wikitext2", "tinystories"):
        assert ("text" in changed(project, edit, source)) == (source in kinds), source


def test_modules_may_be_renamed_and_moved_from_room_to_room(project):
    before = unedited(project, None)
    moves = {"bitnet.training.loss": "bitnet.model.cross_entropy", "bitnet.data": "bitnet.corpus"}
    for old, new in moves.items():
        source, target = (project / name.replace(".", "/") for name in (old, new))
        if source.is_dir():
            source.rename(target)
        else:
            source.with_suffix(".py").rename(target.with_suffix(".py"))
        for path in project.rglob("*.py"):
            path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    assert not (project / "bitnet/data").exists()
    assert fingerprints(project) == before


# What Python 3.12 and 3.13 print for these scripts must be what 3.11 prints: a clone on a machine
# with another Python would find every result stale.
OTHER_PYTHONS = [shutil.which(f"python3.{minor}") for minor in range(11, 16)]


@pytest.mark.parametrize("python", [path for path in OTHER_PYTHONS if path])
def test_every_python_finds_the_same_fingerprints(python):
    scripts = ("train", "evaluate", "verdict", "figures", "text")
    code = (
        "from pathlib import Path; "
        "from workflow.provenance.fingerprint import code_fingerprint as f\n"
        f"print([f(Path({str(ROOT)!r}), 'workflow.scripts.' + s) for s in {scripts}])"
    )
    done = subprocess.run([python, "-c", code], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"{python} cannot run here")
    own = [code_fingerprint(ROOT, f"workflow.scripts.{name}") for name in scripts]
    assert done.stdout.strip() == str(own)


def test_every_script_of_this_project_has_a_fingerprint_of_its_own():
    root = Path(__file__).parents[2]
    scripts = sorted((root / "workflow" / "scripts").glob("[a-z]*.py"))
    assert len(scripts) >= 5
    modules = [f"workflow.scripts.{path.stem}" for path in scripts]
    assert len({code_fingerprint(root, module) for module in modules}) == len(modules)
    assert (
        module_path(root, "bitnet.model.quantization")
        == root / "bitnet" / "model" / "quantization.py"
    )
