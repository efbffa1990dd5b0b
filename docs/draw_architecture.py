"""Draw the rooms of the package, from the imports of its files, into docs/architecture.md.

    python docs/draw_architecture.py

A room is a folder of `bitnet/` with all that lies below it; `workflow` stands above them as one
room. The picture leaves out each arrow that follows from others; the table below it has all.
"""

import ast
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- drawn by docs/draw_architecture.py -->", "<!-- end of the drawing -->"
PACKAGE, ABOVE = "bitnet", "workflow"


def rooms_of(root: Path) -> dict[str, list[str]]:
    """Each room and the rooms that its files import, both in the order of the alphabet."""
    folders = [path.parent for path in (root / PACKAGE).glob("*/__init__.py")]
    rooms = {folder.name: folder for folder in sorted([root / ABOVE, *folders])}
    imports = {}
    for name, folder in rooms.items():
        found = {room for path in folder.rglob("*.py") for room in _imported(path)}
        imports[name] = sorted(found & rooms.keys() - {name})
    return imports


def _imported(path: Path) -> set[str]:
    """Second words of the package's modules that a file imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    parts = [name.split(".") for name in names]
    return {part[1] for part in parts if part[0] == PACKAGE and len(part) > 1}


def highest_first(imports: Mapping[str, Sequence[str]]) -> list[str]:
    """Rooms, each above all that it imports. Raises ValueError where rooms import in a circle."""
    try:
        return [*TopologicalSorter(imports).static_order()][::-1]
    except CycleError as error:
        circle = " -> ".join(error.args[1][::-1])
        raise ValueError(f"rooms import each other in a circle: {circle}") from None


def reduced(imports: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """The same arrows without those that a longer way implies."""
    below: dict[str, set[str]] = {}  # all rooms that can be reached from a room
    arrows = {}
    for room in reversed(highest_first(imports)):
        implied = set().union(*(below[other] for other in imports[room]))
        below[room] = implied | {*imports[room]}
        arrows[room] = [other for other in imports[room] if other not in implied]
    return arrows


def drawing(root: Path) -> str:
    """Mermaid picture and table of the rooms, highest first."""
    imports = rooms_of(root)
    arrows, order = reduced(imports), highest_first(imports)
    lines = ["```mermaid", "flowchart TD", *(f"    {room}[{room}]" for room in order)]
    lines += [f"    {room} --> {other}" for room in order for other in arrows[room]]
    lines += ["```", "", "| room | what it holds | imports |", "|---|---|---|"]
    for room in order:
        below = ", ".join(other for other in order if other in imports[room])
        lines.append(f"| `{room}` | {_summary(root, room)} | {below} |")
    return "\n".join(lines)


def _summary(root: Path, room: str) -> str:
    """First paragraph of a room's `__init__.py`."""
    if room == ABOVE:
        return "The pipeline: rules, their scripts, the code fingerprint and the records of results"
    source = (root / PACKAGE / room / "__init__.py").read_bytes()
    text = ast.get_docstring(ast.parse(source)) or ""
    return " ".join(text.split("\n\n")[0].split()).rstrip(".").replace("|", "\\|")


def updated(page: str, drawn: str) -> str:
    """The page with the drawing between its marks. Raises ValueError where a mark is missing."""
    before, found, rest = page.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise ValueError(f"the page has no line {END if found else BEGIN}")
    return f"{before}{BEGIN}\n{drawn}\n{END}{after}"


if __name__ == "__main__":
    path = ROOT / "docs" / "architecture.md"
    path.write_text(updated(path.read_text(encoding="utf-8"), drawing(ROOT)), encoding="utf-8")
