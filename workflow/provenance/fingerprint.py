"""Fingerprints of the code that makes a result, computed from syntax trees.

The fingerprint of a script covers its code and that of every project module it imports. These do
not count, because they change no number: comments, docstrings, the version and positions; help
texts, log lines, printed lines and the words of errors; the names and places of modules; and the
modules in UNFOLLOWED. Data files that a module names in a string and that lie beside it count by
their bytes.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

PACKAGES = ("bitnet", "workflow")  # whose imports are followed
# How files are written, locked and reported on, not what is in them. Of such a module only its
# constant FORMAT counts: raise it when a mended fault there made earlier results wrong.
UNFOLLOWED = (
    "bitnet.common.errors",
    "bitnet.common.files",
    "bitnet.common.processes",
    "bitnet.common.tensors",
    "workflow.provenance",
    "workflow.helpers.cli",
    "workflow.helpers.cuda",
    "workflow.helpers.remarks",
)
UNUSED = {"train": ("bitnet.monitoring",)}  # watches a training and changes no number of it
OF_SOURCE = {  # modules that make or read text of these kinds only
    "bitnet.data.stories": ("stories",),
    "bitnet.data.arithmetic": ("arithmetic",),
    "bitnet.data.local_files": ("files",),
    "bitnet.data.local_texts": ("files",),
    "bitnet.data.articles": ("wikitext2",),
    "bitnet.data.hub": ("tinystories", "fineweb_edu", "wikitext2"),
}
DATA = (".txt", ".json", ".html")
REPORTS = ("print", "log", "logging", "warnings")  # a statement that calls these only reports
WORDS = {"add_argument": ("help", "metavar"), "ArgumentParser": ("description", "epilog")}


def script_fingerprint(root: Path, script: str, source: str | None = None) -> str:
    """Fingerprint of a script of workflow/scripts ("train"), without what its numbers ignore.

    source: kind of the text that the job works on ("stories", "files", ...), for a script that
    imports what makes every kind; None: all of them count.
    """
    others = [module for module, kinds in OF_SOURCE.items() if source and source not in kinds]
    return code_fingerprint(root, f"workflow.scripts.{script}", (*UNUSED.get(script, ()), *others))


def code_fingerprint(root: Path, module: str, unused: tuple[str, ...] = ()) -> str:
    """Fingerprint (16 hex digits) of `module` ("workflow.scripts.train") below the folder `root`.

    unused: modules (or packages) that the module imports and does not use for the job at hand.

    It is a hash of the module's code and, for each name that the module imports from this project,
    of the fingerprint of the module behind that name. So it changes when anything changes that is
    imported, and stays when a module is renamed or moved.

    ValueError for an import that cannot be followed: a relative or dynamic one, a project module
    that is not there, or modules that import each other.
    """
    return _code(root, unused).fingerprint(module)[:16]


@cache
def _code(root: Path, unused: tuple[str, ...]) -> "_Code":
    return _Code(root, unused)


class _Code:
    """The project's modules below a folder, each read once: code does not change in a process."""

    def __init__(self, root: Path, unused: tuple[str, ...]):
        self.root, self.unused = root, unused
        self.known: dict[str, str] = {}
        self.pending: list[str] = []

    def fingerprint(self, module: str) -> str:
        """Digest of a module and of everything that it imports."""
        if module not in self.known:
            if module in self.pending:
                circle = " -> ".join([*self.pending[self.pending.index(module) :], module])
                raise ValueError(f"import of {module!r} cannot be followed: {circle}")
            self.pending.append(module)
            try:
                self.known[module] = self._read(module)
            finally:
                self.pending.pop()
        return self.known[module]

    def _read(self, module: str) -> str:
        path = module_path(self.root, module)
        tree = ast.parse(path.read_bytes(), filename=str(path))
        if _within(module, (*UNFOLLOWED, *self.unused)):
            return _hash([_canonical(node) for node in tree.body if _sets(node, "FORMAT")])
        imported, modules = [], {}
        for target, name, alias in _imports(tree, self.root, path):
            digest = self.fingerprint(target)
            imported.append((name, alias if name else None, digest))
            if name is None and alias:
                modules[alias] = digest  # `alias.x` in the code is that module's x
            around = [name for name in _packages(self.root, target) if name not in self.pending]
            imported += [(None, None, self.fingerprint(name)) for name in around]
        return _hash(
            sorted(imported, key=repr), _canonical(tree, modules), _data(tree, path.parent)
        )


def _within(module: str, packages: Iterable[str]) -> bool:
    return any(f"{module}.".startswith(f"{name}.") for name in packages)


def _hash(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def module_path(root: Path, name: str) -> Path:
    """Path of a project module's file; ValueError in one line if there is none."""
    path = root.joinpath(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    raise ValueError(f"import of {name!r} cannot be followed: no such module in the project")


def _imports(tree: ast.AST, root: Path, path: Path) -> Iterator[tuple[str, str | None, str | None]]:
    """Project modules that a module imports: (module, name taken from it, name it has here).

    The name is None where the module itself is imported.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            _refuse_hidden([alias.name for alias in node.names], path)
            found = [(alias.name, None, alias.asname) for alias in node.names if _ours(alias.name)]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}: a relative import cannot be followed; write it absolute")
            _refuse_hidden([f"{node.module}.{alias.name}" for alias in node.names], path)
            if not _ours(node.module):
                continue
            found = []
            for alias in node.names:
                inner, here = f"{node.module}.{alias.name}", alias.asname or alias.name
                whole = _is_module(root, inner)
                found.append((inner, None, here) if whole else (node.module, alias.name, here))
        else:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                _refuse_hidden({node.func.id} & {"__import__", "exec", "eval"}, path)
            continue
        yield from found


def _refuse_hidden(names: Iterable[str], path: Path) -> None:
    """ValueError where one of these names loads code that no import statement names."""
    for name in names:
        loads = name.split(".")[0] in ("importlib", "imp", "runpy", "pkgutil")
        if name in ("__import__", "exec", "eval") or (
            loads and not name.startswith("importlib.metadata")
        ):
            raise ValueError(f"{path}: a dynamic import cannot be followed; write it out")


def _ours(name: str | None) -> bool:
    return (name or "").split(".")[0] in PACKAGES


def _is_module(root: Path, name: str) -> bool:
    try:
        return bool(module_path(root, name))
    except ValueError:
        return False


def _packages(root: Path, name: str) -> Iterator[str]:
    """Packages around a module whose __init__.py does something when it is imported."""
    for i in range(1, name.count(".") + 1):
        path = root.joinpath(*name.rsplit(".", i)[0].split("."), "__init__.py")
        if path.is_file() and not all(map(_says, ast.parse(path.read_bytes()).body)):
            yield name.rsplit(".", i)[0]


def _data(tree: ast.AST, folder: Path) -> list[str]:
    """Digests of the data files in a module's folder that its strings name."""
    strings = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    names = {name for name in strings if isinstance(name, str) and name.endswith(DATA)}
    files = [folder / name for name in names if "/" not in name and (folder / name).is_file()]
    return sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in files)


def _canonical(node: object, modules: Mapping[str, str] | None = None) -> str:
    """Code as text that is the same under every version of Python.

    modules: fingerprint of each name that is a project module, which stands in for the name.
    (`ast.dump` would not do: versions add empty fields and leave empty fields out.)
    """
    if isinstance(node, ast.JoinedStr):  # 3.12 ends a nested format, {x:{width}}, with ""
        parts = [part for part in node.values if getattr(part, "value", None) != ""]
        return f"JoinedStr({_canonical(parts, modules)})"
    if isinstance(node, ast.Name) and node.id in (modules or {}):
        return f"Module({modules[node.id]})"
    if isinstance(node, ast.Raise):  # the type of the error, not its words
        raised = node.exc.func if isinstance(node.exc, ast.Call) else node.exc
        return f"Raise({_canonical(raised, modules)})"
    if isinstance(node, ast.AST):
        fields = {k: v for k, v in ast.iter_fields(node) if v is not None and v != []}
        if isinstance(node, ast.Call):
            words = WORDS.get(_called(node).rpartition(".")[2], ())
            fields["keywords"] = [word for word in node.keywords if word.arg not in words]
        inner = ",".join(f"{key}={_canonical(value, modules)}" for key, value in fields.items())
        return f"{type(node).__name__}({inner})"
    if isinstance(node, list):
        return f"[{','.join(_canonical(part, modules) for part in _body(node))}]"
    return repr(node)


def _body(nodes: list) -> list:
    """Nodes without docstrings, project imports and statements that only report."""
    return [node for node in nodes if not _counts_nothing(node)]


def _sets(node: ast.stmt, name: str) -> bool:
    return isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == name


def _counts_nothing(node: object) -> bool:
    if isinstance(node, ast.Import):
        return all(_ours(alias.name) for alias in node.names)
    if isinstance(node, ast.ImportFrom):
        return _ours(node.module)
    if not isinstance(node, ast.AST):
        return False
    called = isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)
    return _says(node) or (called and _called(node.value).split(".")[0] in REPORTS)


def _says(node: ast.AST) -> bool:
    """Whether a statement is a docstring (or a text in its place), or names the version."""
    constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return (constant and isinstance(node.value.value, str)) or _sets(node, "__version__")


def _called(call: ast.Call) -> str:
    """Dotted name of what is called; "" where it has none."""
    return ast.unparse(call.func) if isinstance(call.func, ast.Name | ast.Attribute) else ""
