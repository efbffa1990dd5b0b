"""What produced a result: a fingerprint of the code, the versions, the device, the commit.

The fingerprint covers a script and everything it imports inside this project, over syntax trees
without comments, docstrings and positions: reformatting changes nothing, an edit two imports away
does. Data files that a module names in a string and that lie beside it count by their bytes.
"""

import ast
import hashlib
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("bitnet", "workflow")  # whose imports are followed
RECORDED = ("torch", "numpy", "sentencepiece", "safetensors", "snakemake")


@cache
def code_fingerprint(root: Path, module: str) -> str:
    """Fingerprint (16 hex digits) of `module` ("workflow.scripts.train") below the folder `root`.

    ValueError for an import it cannot follow: a relative one, or a project module that is not
    there.
    """
    parts, pending = {}, [module]
    while pending:
        name = pending.pop()
        if name not in parts:
            imports, parts[name] = _read(root, module_path(root, name))
            pending += imports + _packages(root, name)
    return hashlib.sha256(repr(sorted(parts.items())).encode()).hexdigest()[:16]


@cache
def _read(root: Path, path: Path) -> tuple[list[str], str]:
    """What a module imports of the project, and the digest of its code."""
    tree = ast.parse(path.read_bytes(), filename=str(path))
    return sorted(_imports(tree, root, path)), _digest(tree, path.parent)


def _packages(root: Path, name: str) -> list[str]:
    """Packages around a module whose __init__.py runs when it is imported."""
    above = [name.rsplit(".", i)[0] for i in range(1, name.count(".") + 1)]
    return [
        package
        for package in above
        if (root.joinpath(*package.split("."), "__init__.py")).is_file()
    ]


def module_path(root: Path, name: str) -> Path:
    """File of a project module."""
    path = root.joinpath(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.is_file():
            return candidate
    raise ValueError(f"import of {name!r} cannot be followed: no such module in the project")


def _imports(tree: ast.AST, root: Path, path: Path) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = {alias.name for alias in node.names}
            found |= {name for name in names if _ours(name)}
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}: a relative import cannot be followed; write it absolute")
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            if _ours(node.module):
                found |= {_module_of(root, node.module, alias.name) for alias in node.names}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            names = {node.func.id} & {"__import__", "exec", "eval"}
        else:
            continue
        if any(_hides(name) for name in names):
            raise ValueError(f"{path}: a dynamic import cannot be followed; write it out")
    return found


def _hides(name: str) -> bool:
    """Whether with this name code can be loaded that the fingerprint does not see."""
    return name in ("__import__", "exec", "eval") or (
        name.split(".")[0] in ("importlib", "imp", "runpy", "pkgutil")
        and not name.startswith("importlib.metadata")
    )


def _ours(name: str | None) -> bool:
    return (name or "").split(".")[0] in PACKAGES


def _module_of(root: Path, package: str, name: str) -> str:
    """`from package import name`: a module of the package, or something defined in it."""
    try:
        module_path(root, f"{package}.{name}")
    except ValueError:
        return package
    return f"{package}.{name}"


def _digest(tree: ast.Module, folder: Path) -> str:
    data = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            if ast.get_docstring(node, clean=False) is not None:
                node.body = node.body[1:]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value
            if name.endswith((".txt", ".json")) and "/" not in name and (folder / name).is_file():
                data.add((name, hashlib.sha256((folder / name).read_bytes()).hexdigest()))
    return hashlib.sha256((_canonical(tree) + repr(sorted(data))).encode()).hexdigest()


def _canonical(node: object) -> str:
    """A syntax tree as text that is the same under every version of Python.

    `ast.dump` is not: versions add empty fields and leave empty fields out.
    """
    if isinstance(node, ast.JoinedStr):  # 3.12 ends a nested format, {x:{width}}, with ""
        parts = [part for part in node.values if getattr(part, "value", None) != ""]
        return f"JoinedStr({_canonical(parts)})"
    if isinstance(node, ast.AST):
        fields = [(k, v) for k, v in ast.iter_fields(node) if v is not None and v != []]
        inner = ",".join(f"{key}={_canonical(value)}" for key, value in fields)
        return f"{type(node).__name__}({inner})"
    if isinstance(node, list):
        return f"[{','.join(map(_canonical, node))}]"
    return repr(node)


def environment() -> dict[str, str]:
    """Versions and commit, to be recorded beside a result."""
    found = {"python": platform.python_version(), "system": platform.system()}
    for package in RECORDED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    if commit := _commit():
        found["commit"] = commit
    return found


def _commit() -> str | None:
    try:
        answer = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=40"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None
