"""Who may import whom: rooms import downwards only, and some libraries are kept to some rooms."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest

from tests.helpers.project import ROOT

# Top to bottom. A room imports rooms that stand below it.
ROOMS = (
    "experiments",
    "report",
    "monitoring",
    "export",
    "figures",
    "claims",
    "training",
    "verdict.error_rates",
    "verdict",
    "inference",
    "evaluation",
    "model",
    "data",
    "data.stories",
    "config",
    "common",
)
ONLY_IN = {
    "torch": {"model", "inference", "training", "monitoring", "export"},
    "matplotlib": {"figures"},
    "pandas": {*ROOMS} - {"config", "data", "data.stories", "model", "common"},
    "workflow": set(),
}
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path
    for path in sorted((ROOT / "bitnet").rglob("*.py"))
    if path.stem != "__init__"
}


def imports(module: str) -> set[str]:
    """Modules and packages that a module imports, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[module].read_bytes())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (names & MODULES.keys()) | ({node.module} if names - MODULES.keys() else set())
    return found


IMPORTS = {module: imports(module) for module in MODULES}


def room_of(module: str) -> str:
    return module.removeprefix("bitnet.").rpartition(".")[0]


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_rooms_below_it(room):
    modules = [module for module in MODULES if room_of(module) == room]
    assert modules
    for module in modules:
        for name in IMPORTS[module]:
            if name.startswith("bitnet"):
                assert name in MODULES, f"{module} imports {name}, which is no module"
                below = ROOMS.index(room_of(name)) >= ROOMS.index(room)
                assert below, f"{module} imports {name}, from a room above"


def test_every_module_stands_in_a_room():
    assert {room_of(module) for module in MODULES} == {*ROOMS}


def test_no_modules_import_each_other_in_a_circle():
    TopologicalSorter(IMPORTS).prepare()  # CycleError names the circle


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_only_in_its_rooms(library):
    users = {m for m, names in IMPORTS.items() if library in {n.split(".")[0] for n in names}}
    assert [module for module in users if room_of(module) not in ONLY_IN[library]] == []


def test_reading_the_snakefile_imports_nothing_heavy():
    files = [ROOT / "Snakefile", *sorted((ROOT / "workflow").rglob("*.smk"))]
    text = "\n".join(file.read_text() for file in files)
    found = re.findall(r"^(from (?:bitnet|workflow)[\w.]* import (?:\([^)]*\)|.+))$", text, re.M)
    assert len(found) > 5
    code = "\n".join([*found, "import sys", "print(*sys.modules)"])
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {"torch", "pandas", "matplotlib"} & {*done.stdout.split()} == set()


def test_a_package_holds_a_docstring_and_nothing_else_but_the_version():
    for path in (ROOT / "bitnet").rglob("__init__.py"):
        tree = ast.parse(path.read_bytes())
        others = [ast.unparse(node).partition(" = ")[0] for node in tree.body[1:]]
        assert ast.get_docstring(tree), path
        assert others == ["__version__"] * (path.parent.name == "bitnet"), path
