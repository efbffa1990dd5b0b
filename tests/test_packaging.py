"""What is installed: versions, their pins, and that all who install take the pins."""

import ast
import re
import sys
import tomllib
from itertools import chain

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import bitnet
from tests.helpers.project import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PINNED = ("test", "export", "lm-eval", "slurm", "tensorboard")  # extras that constraints.txt holds
PINS = {
    canonicalize_name(name): version
    for name, version in re.findall(
        r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text("utf-8"), re.M
    )
}
# Packages whose names on the index differ from those that are imported.
NAMED = {"yaml": "pyyaml", "markdown_it": "markdown-it-py", "llama_cpp": "llama-cpp-python"}
# triton comes with torch's builds for GPUs alone; where it is absent, the code does without.
OWN = {"bitnet", "workflow", "tests", "benchmarks", "triton"}


def requirements() -> list[Requirement]:
    extras = PROJECT["project"]["optional-dependencies"]
    lines = PROJECT["project"]["dependencies"] + [line for key in PINNED for line in extras[key]]
    return list(map(Requirement, lines))


@pytest.mark.parametrize("wanted", requirements(), ids=str)
def test_each_requirement_is_pinned_to_a_version_that_it_allows(wanted):
    assert PINS[canonicalize_name(wanted.name)] in wanted.specifier


@pytest.mark.parametrize("folder", ["bitnet", "workflow", "tests"])
def test_each_package_that_is_imported_is_declared(folder):
    """One that comes along with another package may be gone with that one's next version."""
    extras = dict(PROJECT["project"]["optional-dependencies"])
    extras.pop("peers")  # of benchmarks alone
    test = extras.pop("test")
    lines = [*PROJECT["project"]["dependencies"], *chain.from_iterable(extras.values())]
    lines += test if folder == "tests" else []
    declared = {canonicalize_name(Requirement(line).name) for line in lines}
    imported = {
        name.split(".")[0]
        for path in (ROOT / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in _imports(node)
    }
    others = imported - OWN - set(sys.stdlib_module_names)
    assert others
    assert {canonicalize_name(NAMED.get(name, name)) for name in others} <= declared


def _imports(node: ast.AST) -> list[str]:
    """Modules that a statement imports."""
    if isinstance(node, ast.Import):
        return [each.name for each in node.names]
    return [node.module] if isinstance(node, ast.ImportFrom) and not node.level else []


def test_no_pin_forbids_a_build_of_torch():
    """`torch==2.13.0` is both the build for CPUs, 2.13.0+cpu, and that with CUDA."""
    assert "+" not in PINS["torch"]


@pytest.mark.parametrize("file", [".ci/run", "README.md", "CONTRIBUTING.md", "Dockerfile"])
def test_whoever_installs_the_project_takes_the_pins(file):
    text = (ROOT / file).read_text(encoding="utf-8")
    installs = re.findall(r"pip install[^\n&]* (?:-e|--editable) [^\n&]*", text)
    assert installs and all(" -c constraints.txt " in line for line in installs)


def test_the_version_is_one():
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "bitnet.__version__"}
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert str(cited["version"]) == bitnet.__version__


def test_the_package_says_that_it_has_types():
    assert "py.typed" in PROJECT["tool"]["setuptools"]["package-data"]["bitnet"]
    assert (ROOT / "bitnet/py.typed").is_file()
