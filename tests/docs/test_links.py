"""Links, commands and file names in README, CONTRIBUTING and docs/ lead to what exists."""

import re
from pathlib import Path
from urllib.parse import unquote

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^ *```.*?^ *```", re.M | re.S)
LINK = re.compile(r"\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")  # a picture may stand in its text
IMAGE = re.compile(r"!\[[^\]]*\]\(([^()\s]+)\)")
MODULE = re.compile(r"python -m ((?:workflow\.scripts|benchmarks)\.\w+)")
FILE = re.compile(r"`((?:bitnet|workflow|tests|docs|studies|benchmarks)/[\w./-]+\.\w+)`")


def anchors(text: str) -> set[str]:
    """Names by which GitHub lets one link to the headings of a page."""
    found: dict[str, int] = {}
    names = set()
    for title in re.findall(r"^#{1,6} +(.+?) *#*$", FENCE.sub("", text), re.M):
        title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title)  # of a link its words count
        name = re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")
        count = found[name] = found.get(name, -1) + 1
        names.add(f"{name}-{count}" if count else name)
    return names


def links(text: str) -> list[str]:
    """Targets of a page's links and pictures that are no web addresses."""
    prose = re.sub(r"`[^`\n]*`", "", FENCE.sub("", text))
    targets = dict.fromkeys(LINK.findall(prose) + IMAGE.findall(prose))
    return [target for target in targets if not re.match(r"[a-z]+:", target)]


def dead(page: Path) -> list[str]:
    """Links of a page to a file or heading that does not exist."""
    found = []
    for link in links(page.read_text(encoding="utf-8")):
        name, _, anchor = unquote(link).partition("#")
        target = (page.parent / name) if name else page
        known = target.exists() and (not anchor or anchor in anchors(target.read_text("utf-8")))
        if not known:
            found.append(link)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_or_heading(page):
    assert dead(page) == []


def test_dead_links_are_found(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b`, c!\n[1](page.md) [2](#a-b-c) [3](#a) [4](no.md) ![5](no.svg) [6](https://x.y)\n"
        "[![7](badge.svg)](page.md#a-b-c)\n`[8](code.md)`\n```\n# D\n[9](code.md)\n```\n[10](#d)\n"
    )
    assert sorted(dead(page)) == ["#a", "#d", "badge.svg", "no.md", "no.svg"]


def test_equal_headings_are_counted():
    assert anchors("# Size, A\n## size a\n### [Size](x.md) A\n") == {
        "size-a",
        "size-a-1",
        "size-a-2",
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_and_file_that_a_page_names_exists(page):
    text = page.read_text(encoding="utf-8")
    modules = [f"{name.replace('.', '/')}.py" for name in MODULE.findall(text)]
    assert [name for name in modules + FILE.findall(text) if not (ROOT / name).exists()] == []


def test_readme_leads_to_every_page():
    seen, todo = set(), [ROOT / "README.md"]
    while todo:
        page = todo.pop()
        if page not in seen:
            seen.add(page)
            names = [link.partition("#")[0] for link in links(page.read_text(encoding="utf-8"))]
            targets = [(page.parent / name).resolve() for name in names if name]
            todo += [target for target in targets if target in PAGES]
    assert {*PAGES} == seen


def test_readme_installs_what_constraints_pin():
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    made = "python -m venv .venv && . .venv/bin/activate && "
    assert f"{made}pip install -c constraints.txt -e . && snakemake quick" in lines
    assert "pip install -c constraints.txt -e '.[test]' && pytest" in lines
    torch = re.search("^torch==.+$", (ROOT / "constraints.txt").read_text("utf-8"), re.M)[0]
    cpu = f"pip install {torch} --index-url https://download.pytorch.org/whl/cpu"
    assert f"{made}{cpu}" in lines


def test_readme_is_read_in_one_sitting():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 180
