"""The run that the exports are made from, and all of them, made once for all test processes."""

from pathlib import Path

import pytest

from bitnet.export.formats import FOLDERS, GGUF
from tests.helpers.exports import Run, tabulate, train_run
from tests.helpers.shared import shared

FORMATS = {kind: kind if kind in FOLDERS else f"{kind}.gguf" for kind in (*FOLDERS, *GGUF)}


@pytest.fixture(scope="session")
def run(tmp_path_factory, stories_data) -> Run:
    """Ternary, hidden 256, two layers, grouped queries, tied: trained below the unigram's loss."""
    folder = shared(tmp_path_factory, "ternary", lambda to: tabulate(train_run(to, stories_data)))
    return Run(folder / "run.safetensors", stories_data)


@pytest.fixture(scope="session")
def made(run, tmp_path_factory) -> dict[str, Path]:
    """Every format of it."""
    about = ("--table", str(run.weights.with_suffix(".csv")), "--name", "study/h256_wd0")

    def export_all(folder: Path) -> None:
        for kind, name in FORMATS.items():
            run.export(kind, folder / name, *about)

    folder = shared(tmp_path_factory, "exports", export_all)
    return {kind: folder / name for kind, name in FORMATS.items()}
