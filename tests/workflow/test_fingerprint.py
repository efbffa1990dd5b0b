"""What changes the fingerprint of a script, and what does not."""

from pathlib import Path

import pytest

from workflow.provenance.fingerprint import UNFOLLOWED, _code, code_fingerprint

ROOT = Path(__file__).parents[2]
SCRIPT = '''"""Train."""

import json
import os.path

from bitnet import probe
from bitnet.optim import step
from workflow.scripts.tables import run


def main(argv=None):
    """Do it."""
    # at once
    return run(step(probe.N), json.dumps(argv), os.path.sep)
'''
MODULES = {
    "workflow/scripts/train.py": SCRIPT,
    "workflow/scripts/tables.py": "def run(*args):\n    return args\n",
    "workflow/scripts/other.py": "import bitnet.unrelated\n",
    "bitnet/__init__.py": "",
    "bitnet/probe.py": "N = 4096\n",
    "bitnet/optim.py": "from bitnet.schedule import rate\n\n\ndef step(n):\n    return rate(n)\n",
    "bitnet/schedule.py": 'WORDS = "lexicon.txt"\n\n\ndef rate(n):\n    return n / 2\n',
    "bitnet/lexicon.txt": "cat dog\n",
    "bitnet/other.txt": "not named anywhere\n",
    "bitnet/unrelated.py": "X = 1\n",
}
TRAIN = "workflow.scripts.train"


@pytest.fixture
def project(tmp_path) -> Path:
    """A small project: train -> tables, probe, optim -> schedule -> lexicon.txt."""
    for name, text in MODULES.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path


def fingerprint(project: Path, module: str = TRAIN, unused: tuple[str, ...] = ()) -> str:
    """The fingerprint now: it is kept for a process, whose code does not change."""
    _code.cache_clear()
    return code_fingerprint(project, module, unused)


def edit(project: Path, name: str, old: str, new: str) -> None:
    path = project / name
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_a_fingerprint_is_16_hex_digits_and_stays(project):
    first = fingerprint(project)
    assert len(first) == 16
    assert set(first) <= set("0123456789abcdef")
    assert fingerprint(project) == first
    assert fingerprint(project, "workflow.scripts.other") != first


def test_it_does_not_depend_on_where_the_project_lies(project, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "project"
    first = fingerprint(project)
    project.rename(elsewhere)
    assert fingerprint(elsewhere) == first


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("workflow/scripts/train.py", "# at once", "# later\n    # or never"),
        ("workflow/scripts/train.py", '"""Do it."""', '"""Do something\n    else."""'),
        ("workflow/scripts/train.py", '    """Do it."""\n', ""),
        ("workflow/scripts/train.py", '"""Train."""\n', ""),
        ("workflow/scripts/train.py", "json.dumps(argv)", "json.dumps(\n        argv,\n    )"),
        ("workflow/scripts/train.py", "import json\n", "import json\n\n\n"),
        ("bitnet/schedule.py", "n / 2", "(n   /  2)  # half"),
        ("bitnet/schedule.py", '"lexicon.txt"', "'lexicon.txt'"),
        ("bitnet/schedule.py", "def rate(n):\n", 'def rate(n):\n    """Half."""\n'),
        ("bitnet/__init__.py", "", '__version__ = "9"\n'),
    ],
)
def test_comments_docstrings_and_formatting_change_nothing(project, name, old, new):
    before = fingerprint(project)
    edit(project, name, old, new)
    assert fingerprint(project) == before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("workflow/scripts/train.py", "probe.N", "probe.N + 1"),
        ("workflow/scripts/train.py", "argv=None", "argv=()"),
        ("workflow/scripts/tables.py", "return args", "return args[:1]"),  # one import away
        ("bitnet/probe.py", "4096", "4097"),  # by `from package import module`
        ("bitnet/schedule.py", "n / 2", "n / 3"),  # two imports away
        ("bitnet/schedule.py", "n / 2", "n // 2"),
        ("bitnet/lexicon.txt", "dog", "dogs"),  # data that a module names
    ],
)
def test_a_change_of_what_is_done_changes_it_however_far_away(project, name, old, new):
    before = fingerprint(project)
    edit(project, name, old, new)
    after = fingerprint(project)
    assert after != before
    edit(project, name, new, old)
    assert fingerprint(project) == before  # a reverted edit is no change


@pytest.mark.parametrize("name", ["bitnet/unrelated.py", "bitnet/other.txt"])
def test_a_change_of_what_is_not_imported_or_named_changes_nothing(project, name):
    before = fingerprint(project)
    (project / name).write_text("Y = 2\n")
    assert fingerprint(project) == before
    (project / "workflow/scripts/another.py").write_text("import bitnet.nowhere\n")
    assert fingerprint(project) == before


def test_imports_inside_functions_count(project):
    edit(project, "bitnet/optim.py", "    return", "    import bitnet.unrelated\n\n    return")
    before = fingerprint(project)
    edit(project, "bitnet/unrelated.py", "1", "2")
    assert fingerprint(project) != before


def test_modules_that_import_each_other_are_refused_with_the_circle(project):
    edit(project, "bitnet/probe.py", "N =", "import bitnet.optim\n\nN =")
    edit(project, "bitnet/optim.py", "from", "import bitnet.probe\nfrom")
    with pytest.raises(ValueError, match=r"bitnet\.probe -> bitnet\.optim -> bitnet\.probe"):
        fingerprint(project)


MOVES = {
    "a module renamed": [("bitnet/optim.py", "bitnet/optimizer.py")],
    "a module that is used by its name renamed": [("bitnet/probe.py", "bitnet/windows.py")],
    "all into a folder": [
        ("bitnet/optim.py", "bitnet/training/optim.py"),
        ("bitnet/schedule.py", "bitnet/training/schedule.py"),
        ("bitnet/lexicon.txt", "bitnet/training/lexicon.txt"),
    ],
}


@pytest.mark.parametrize("name", MOVES)
def test_moving_and_renaming_changes_nothing(project, name):
    before = fingerprint(project)
    for old, new in MOVES[name]:
        (project / new).parent.mkdir(exist_ok=True)
        (project / new).with_name("__init__.py").write_text('"""A room."""\n')
        (project / old).rename(project / new)
        one, other = (path.removesuffix(".py").replace("/", ".") for path in (old, new))
        for path in project.rglob("*.py"):
            text = path.read_text().replace(f"from {one} import", f"from {other} import")
            if name.endswith("by its name renamed"):
                text = text.replace("import probe", "import windows").replace(
                    "probe.N", "windows.N"
                )
            path.write_text(text)
    assert fingerprint(project) == before


def test_two_modules_with_the_same_names_cannot_stand_in_for_each_other(project):
    (project / "bitnet/plan.py").write_text("def rate(n):\n    return n\n")
    edit(project, "bitnet/optim.py", "\n\ndef", "\nfrom bitnet.plan import rate as other\n\n\ndef")
    before = fingerprint(project)
    for name in ("schedule", "plan"):
        (project / f"bitnet/{name}.py").rename(project / f"bitnet/new_{name}.py")
    (project / "bitnet/new_schedule.py").rename(project / "bitnet/plan.py")
    (project / "bitnet/new_plan.py").rename(project / "bitnet/schedule.py")
    assert fingerprint(project) != before


SAYING = """import argparse
import logging
import sys

log = logging.getLogger("bitnet")
parser = argparse.ArgumentParser(description="Train a model.")
parser.add_argument("--steps", type=int, default=500, help="optimizer updates")


def rate(n):
    log.info("rate of %d", n)
    print(f"rate {n:.3f}", file=sys.stderr)
    if n < 0:
        raise ValueError(f"n is {n}; allowed: at least 0")
    return n / 2
"""


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Train a model.", "Train one model."),
        ("optimizer updates", "updates"),
        ('"rate of %d", n', '"rate of %d at %s", n, n'),
        ('    log.info("rate of %d", n)\n', ""),
        ("{n:.3f}", "{n:.4f}"),
        ("allowed: at least 0", "allowed: 0 or more"),
    ],
)
def test_what_is_only_said_changes_nothing(project, old, new):
    (project / "bitnet/schedule.py").write_text(SAYING)
    before = fingerprint(project)
    edit(project, "bitnet/schedule.py", old, new)
    assert fingerprint(project) == before


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("default=500", "default=501"),
        ("n < 0", "n < 1"),
        ("ValueError", "KeyError"),
        ("return n / 2", "return n / 2.0"),
        ("type=int", "type=float"),
    ],
)
def test_what_is_done_beside_counts(project, old, new):
    (project / "bitnet/schedule.py").write_text(SAYING)
    before = fingerprint(project)
    edit(project, "bitnet/schedule.py", old, new)
    assert fingerprint(project) != before


def test_of_a_module_that_only_reports_its_format_alone_counts(project):
    path = project / (UNFOLLOWED[0].replace(".", "/") + ".py")
    path.parent.mkdir(exist_ok=True)
    path.write_text("FORMAT = 1\n\n\ndef report(n):\n    return n\n")
    edit(project, "bitnet/optim.py", "from", f"import {UNFOLLOWED[0]}\nfrom")
    before = fingerprint(project)
    path.write_text("FORMAT = 1\n\n\ndef report(n):\n    return str(n)\n")
    assert fingerprint(project) == before
    path.write_text("FORMAT = 2\n\n\ndef report(n):\n    return str(n)\n")
    assert fingerprint(project) != before


def test_a_module_that_a_job_does_not_use_can_be_left_out(project):
    unused = ("bitnet.schedule",)
    before = fingerprint(project, TRAIN, unused)
    assert before != fingerprint(project)
    edit(project, "bitnet/schedule.py", "n / 2", "n / 3")
    assert fingerprint(project, TRAIN, unused) == before


@pytest.mark.parametrize(
    "line",
    [
        "from . import unrelated",
        "from .unrelated import X",
        "from .. import bitnet",
        "import importlib\nimportlib.import_module('bitnet.unrelated')",
        "from importlib import import_module\nimport_module('bitnet.unrelated')",
        "import importlib as hidden\nhidden.import_module('bitnet.unrelated')",
        "import runpy\nrunpy.run_module('bitnet.unrelated')",
        "exec('import bitnet.unrelated')",
        "__import__('bitnet.unrelated')",
        "import bitnet.nowhere",
        "from bitnet.nowhere import something",
    ],
)
def test_an_import_that_cannot_be_followed_is_an_error_in_one_line(project, line):
    edit(project, "bitnet/schedule.py", "def rate", f"{line}\n\n\ndef rate")
    with pytest.raises(ValueError, match="cannot be followed") as caught:
        fingerprint(project)
    assert "\n" not in str(caught.value)


def test_the_init_of_a_package_counts(project):
    (project / "bitnet/__init__.py").write_text("")
    before = fingerprint(project)
    (project / "bitnet/__init__.py").write_text("import bitnet.unrelated\n")
    assert fingerprint(project) != before


def test_a_script_that_is_not_there_is_an_error(project):
    with pytest.raises(ValueError, match=r"'workflow\.scripts\.nowhere' cannot be followed"):
        fingerprint(project, "workflow.scripts.nowhere")
