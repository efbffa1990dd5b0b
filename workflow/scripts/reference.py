"""Write the reference in docs/: keys of config.yaml, studies, columns of CSV files, scripts.

    python -m workflow.scripts.reference

It is made of the schema and config.yaml, of the first comment of each study, of
workflow/schemas/columns.yaml and of the first line of each script, and stands between marks of its
pages. A test fails where a page is not what those say.
"""

import ast
import re
from collections.abc import Mapping
from pathlib import Path

import yaml

from bitnet.common.files import write_text
from bitnet.config.load import read_project, read_schema
from bitnet.config.reference import HEADER, keys
from bitnet.config.study import Study
from workflow.helpers.cli import ROOT, flags, parsed, run
from workflow.helpers.pages import exchanged

COLUMNS = "workflow/schemas/columns.yaml"
SCRIPT = "workflow.scripts.reference"
OUTSIDE = "Single keys"
STUDIES = ("study", "question", "corpus", "hidden size", "steps", "trainings")


def main(argv: list[str] | None = None) -> None:
    """Write the pages anew."""
    parsed(flags(__doc__), argv)
    for page, text in made(ROOT).items():
        write_text(ROOT / page, text)


def made(root: Path) -> dict[str, str]:
    """Each page of the reference with what the files say, by its path."""
    config = read_project(root)
    parts = {
        "docs/configuration.md": ("keys", key_tables(read_schema(root), _written(root))),
        "docs/studies.md": ("studies", study_table(root, config)),
        "docs/columns.md": ("columns", column_tables(columns(root))),
        "docs/commands.md": ("scripts", script_table(root)),
    }
    return {
        page: exchanged((root / page).read_text(encoding="utf-8"), name, text, SCRIPT)
        for page, (name, text) in parts.items()
    }


def columns(root: Path) -> dict[str, dict]:
    """Tables by kind: `files`, `rows`, and `columns` with the meaning of each, in their order."""
    return yaml.safe_load((root / COLUMNS).read_text(encoding="utf-8"))


def key_tables(schema: Mapping, values: Mapping) -> str:
    """A section for each block of the file, a row for each key."""
    blocks = []
    for block, rows in keys(schema, values).items():
        lines = [
            [f"`{key}`", allowed, _code(default), says] for key, allowed, default, says in rows
        ]
        title = f"`{block}`" if block else OUTSIDE
        blocks.append(f"## {title}\n\n{_table(HEADER, lines)}")
    return "\n\n".join(blocks)


def study_table(root: Path, config: Mapping) -> str:
    """A row for each study, in the order of the alphabet."""
    lines = []
    for name in sorted(config["studies"]):
        study = Study.of(config, name)
        sizes = ", ".join(map(str, study.settings["grid"]["hidden_size"]))
        steps = f"{study.settings['training']['steps']:,}"
        lines.append([f"`{name}`", _question(root, name), study.corpus, sizes, steps])
        lines[-1].append(str(study.count()))
    return _table(STUDIES, lines)


def column_tables(tables: Mapping[str, Mapping]) -> str:
    """A section for each kind of table, a row for each column."""
    blocks = []
    for kind in tables.values():
        lines = [[f"`{name}`", says] for name, says in kind["columns"].items()]
        blocks.append(f"## {kind['title']}\n\n`{kind['file']}`: {kind['rows']}.\n")
        blocks[-1] += f"\n{_table(('column', 'meaning'), lines)}"
    return "\n\n".join(blocks)


def script_table(root: Path) -> str:
    """A row for each script, with the first line of its docstring."""
    lines = []
    for path in sorted((root / "workflow/scripts").glob("[a-z]*.py")):
        says = (ast.get_docstring(ast.parse(path.read_bytes())) or "").partition("\n\n")[0]
        lines.append([f"`{path.stem}`", " ".join(says.split())])
    return _table(("script", "what it does"), lines)


def _written(root: Path) -> dict:
    return yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))


def _question(root: Path, name: str) -> str:
    """The comment that a study's file begins with, or that stands above it in config.yaml."""
    own = root / f"studies/{name}.yaml"
    if own.exists():
        text = re.sub(r"^# yaml-language-server.*\n", "", own.read_text(encoding="utf-8"))
        found = re.match(r"(?:#.*\n)*", text)[0]
    else:
        text = (root / "config.yaml").read_text(encoding="utf-8")
        found = re.search(rf"((?:^  #.*\n)*)^  {name}:$", text, re.M)[1]
    return " ".join(line.strip().lstrip("#").strip() for line in found.splitlines())


def _code(text: str) -> str:
    return f"`{text}`" if text not in ("", "-") else text


def _table(header: tuple, lines: list[list[str]]) -> str:
    """Markdown table; unpadded, so that a longer cell changes one line alone."""
    rows = [header, ["---"] * len(header), *lines]
    return "\n".join(
        f"| {' | '.join(c.replace('|', chr(92) + '|') for c in row)} |" for row in rows
    )


if __name__ == "__main__":
    run(main)
