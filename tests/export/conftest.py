"""The run that the exports are made from, and all of them, once for this folder."""

from pathlib import Path

import pytest

from bitnet.export.formats import FOLDERS, GGUF
from tests.helpers.exports import Run, tabulate, train_run


@pytest.fixture(scope="session")
def run(tmp_path_factory, stories_data) -> Run:
    """Ternary, hidden 256, two layers, grouped queries, tied: trained below the unigram's loss."""
    return train_run(tmp_path_factory.mktemp("ternary"), stories_data)


@pytest.fixture(scope="session")
def made(run) -> dict[str, Path]:
    """Every format of it."""
    folder = run.weights.parent
    paths = {
        kind: folder / (kind if kind in FOLDERS else f"{kind}.gguf") for kind in (*FOLDERS, *GGUF)
    }
    table = tabulate(run)
    for kind, path in paths.items():
        run.export(kind, path, "--table", str(table), "--name", "study/h256_wd0")
    return paths
