"""The picture of the house: drawn from the imports, and up to date in docs/architecture.md."""

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_spec = importlib.util.spec_from_file_location("draw", ROOT / "docs" / "draw_architecture.py")
draw = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(draw)


def tree(root: Path, files: dict[str, str]) -> Path:
    """A project of such files; each folder of the package gets an `__init__.py` of one line."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if name.startswith("bitnet/"):
            for folder in path.parents[: name.count("/")]:
                folder.joinpath("__init__.py").write_text(f'"""All of {folder.name}."""\n')
    return root


HOUSE = {
    "bitnet/common/files.py": "import json\nfrom pathlib import Path\n",
    "bitnet/data/hub.py": "def load():\n    from bitnet.common.files import read\n",
    "bitnet/data/stories/grammar.py": "from bitnet.data.hub import load\n",
    "bitnet/model/bitlinear.py": "import torch\nimport bitnet.common.files\n",
    "bitnet/training/step.py": "from bitnet import common, data\nfrom bitnet.model import quant\n",
    "workflow/scripts/train.py": "from bitnet.training.step import Step\nimport bitnet.model.x\n",
    "workflow/rules/train.smk": "rule train:\n",
}


def test_rooms_and_their_imports_are_found_in_every_spelling(tmp_path):
    assert draw.rooms_of(tree(tmp_path, HOUSE)) == {
        "common": [],
        "data": ["common"],  # inside a function; stories is a part of its room
        "model": ["common"],
        "training": ["common", "data", "model"],
        "workflow": ["model", "training"],
    }


def test_an_arrow_that_others_imply_is_not_drawn(tmp_path):
    arrows = [
        line.split() for line in draw.drawing(tree(tmp_path, HOUSE)).splitlines() if "-->" in line
    ]
    assert {(above, below) for above, _, below in arrows} == {
        ("workflow", "training"),  # and so model
        ("training", "data"),  # and so common
        ("training", "model"),
        ("data", "common"),
        ("model", "common"),
    }


def test_the_table_has_all_imports_and_what_each_room_says_of_itself(tmp_path):
    lines = draw.drawing(tree(tmp_path, HOUSE)).splitlines()
    row = next(line for line in lines if line.startswith("| `training`"))
    _, _, says, below, _ = (cell.strip() for cell in row.split("|"))
    assert says == "All of training"
    assert {*below.split(", ")} == {"data", "model", "common"} and below.endswith("common")


def test_a_room_stands_above_all_that_it_imports(tmp_path):
    imports = draw.rooms_of(tree(tmp_path, HOUSE))
    order = draw.highest_first(imports)
    assert order[0] == "workflow" and {*order} == {*imports}
    for room, others in imports.items():
        assert all(order.index(room) < order.index(other) for other in others)


def test_a_circle_is_refused_with_its_rooms(tmp_path):
    tree(tmp_path, {**HOUSE, "bitnet/common/tensors.py": "from bitnet.data import hub\n"})
    with pytest.raises(ValueError, match=r"circle: .*(common -> data|data -> common)"):
        draw.drawing(tmp_path)


def test_only_what_stands_between_the_marks_is_exchanged():
    page = f"# A\n\n{draw.BEGIN}\nold\n{draw.END}\n\nb\n"
    new = draw.updated(page, "new")
    assert new == f"# A\n\n{draw.BEGIN}\nnew\n{draw.END}\n\nb\n"
    assert draw.updated(new, "new") == new
    for mark in (draw.BEGIN, draw.END):
        with pytest.raises(ValueError, match=mark):
            draw.updated(page.replace(mark, ""), "new")


def test_the_page_shows_the_house_as_it_is():
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    right = draw.updated(page, draw.drawing(ROOT)) == page
    assert right, "imports between rooms changed: run `python docs/draw_architecture.py`"
