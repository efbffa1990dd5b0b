"""Text is read and written in an encoding that the call names: a locale must not choose one."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [path for room in ("bitnet", "workflow", "benchmarks") for path in (ROOT / room).rglob("*")]
RULES = [ROOT / "Snakefile", *(path for path in FILES if path.suffix == ".smk")]
TEXT = {"read_text", "write_text"}


def unnamed(source: str) -> list[int]:
    """Lines of calls that leave the encoding to the locale."""
    return [
        call.lineno
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call) and lacks(call)
    ]


def lacks(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else None
    given = {word.arg: word.value for word in call.keywords}
    if "encoding" in given:
        return False
    modes = [a.value for a in [*call.args, given.get("mode")] if isinstance(a, ast.Constant)]
    binary = any(
        isinstance(mode, str) and re.fullmatch("[rwxa+]*b[rwxa+]*", mode) for mode in modes
    )
    if isinstance(call.func, ast.Name) and call.func.id == "open":
        return not binary
    if name == "open":  # of a path; a tokenizer or a stream has others
        return not binary and all(isinstance(m, str) and set(m) <= set("rwxat+") for m in modes)
    asked = given.get("text")  # of a process; of a drawing it is a list
    return name in TEXT or (isinstance(asked, ast.Constant) and asked.value is True)


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("Path(a).read_text()", True),
        ("a.write_text(b, encoding='utf-8')", False),
        ("open(a)", True),
        ("a.open('wb')", False),
        ("a.open('a')", True),
        ("subprocess.run(a, text=True)", True),
        ("read_text(a, 'train')", False),  # a function of this project
    ],
)
def test_a_call_that_leaves_the_encoding_to_the_locale_is_found(source, found):
    assert bool(unnamed(source)) == found


def test_every_read_and_write_of_text_names_its_encoding():
    odd = {
        f"{path.relative_to(ROOT)}:{line}"
        for path in FILES
        if path.suffix == ".py"
        for line in unnamed(path.read_text(encoding="utf-8"))
    }
    for path in RULES:  # no Python that can be parsed, and none that writes
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if re.search(r"\.(read|write)_text\(|\bopen\(", line) and "encoding=" not in line:
                odd.add(f"{path.relative_to(ROOT)}:{number}")
    assert not odd
