"""Hub data sets without a hub: `datasets` on local files, faults of a stream, no network."""

import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from bitnet.data import corpora, hub
from bitnet.data.corpora import Documents
from bitnet.data.hub import HUB, CorpusError, HubDataset, HubTexts
from tests.data.test_corpora import write_parquet

ROOT = Path(__file__).parents[2]


def load_locally(path: Path):
    """What `open_hub` returns, from a local file instead of the hub."""
    from datasets import load_dataset

    return load_dataset("parquet", data_files=str(path), split="train", streaming=True)


@pytest.fixture
def pauses(monkeypatch) -> list[float]:
    """Seconds that would have been slept."""
    slept: list[float] = []
    monkeypatch.setattr(hub.time, "sleep", slept.append)
    return slept


def test_hub_data_sets_are_pinned_to_a_commit():
    for dataset in HUB.values():
        assert len(dataset.revision) == 40
        assert set(dataset.revision) <= set("0123456789abcdef")


def test_documents_of_the_hub_come_through_datasets(real_data, monkeypatch):
    path = real_data("tinystories_validation_sample.parquet")
    asked = []
    monkeypatch.setattr(corpora, "open_hub", lambda *a: asked.append(a) or load_locally(path))
    texts = list(Documents({"source": "tinystories"}, "validation"))
    assert texts == pq.read_table(path)["text"].to_pylist()
    assert asked == [(HUB["tinystories"], "validation")]


def test_a_hub_data_set_without_validation_is_split_by_hash(tmp_path, monkeypatch):
    texts = [f"page {i}" for i in range(500)]
    path = write_parquet(tmp_path / "a.parquet", texts)
    asked = []
    monkeypatch.setattr(corpora, "open_hub", lambda *a: asked.append(a) or load_locally(path))
    source = {"source": "fineweb_edu", "validation_share": 0.2}
    train, validation = (list(Documents(source, split)) for split in ("train", "validation"))
    assert sorted(train + validation) == sorted(texts)
    assert 60 < len(validation) < 140
    assert [split for _, split in asked] == ["train", "train"]


def test_after_a_fault_the_stream_goes_on_without_repeats_or_gaps(pauses):
    from datasets import IterableDataset

    faults = {3: 1, 7: 2}  # at row 3 once, at row 7 twice in a row

    def rows():
        for i in range(12):
            if faults.get(i):
                faults[i] -= 1
                raise ConnectionError("reset by peer")
            yield {"text": f"row {i}"}

    opened = []

    def open_stream():
        opened.append(len(opened))
        return IterableDataset.from_generator(rows)

    texts = list(HubTexts(open_stream, HubDataset("some/set", "0" * 40)))
    assert texts == [f"row {i}" for i in range(12)]
    assert len(opened) == 4
    assert pauses == [1.0, 1.0, 2.0]  # progress forgives


def gives_up(open_stream, rows: int) -> str:
    """The line with which a stream is given up after `rows` documents."""
    texts = iter(HubTexts(open_stream, HubDataset("some/set", "0" * 40)))
    assert list(islice(texts, rows)) == [f"row {i}" for i in range(rows)]
    with pytest.raises(CorpusError) as caught:
        next(texts)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_stream_that_stays_broken_is_given_up_after_doubled_pauses(pauses):
    from datasets import IterableDataset

    opened = []

    def rows():
        opened.append(1)
        yield {"text": "row 0"}
        raise OSError("no\nroute to host")

    message = gives_up(lambda: IterableDataset.from_generator(rows), 1)
    assert len(opened) == 6
    assert pauses == [1.0, 2.0, 4.0, 8.0, 16.0]
    assert "some/set" in message
    assert "OSError: no route to host" in message


def test_a_hub_that_does_not_open_is_given_up_at_once(pauses):
    def open_stream():
        raise OSError("no route to host")

    assert "some/set" in gives_up(open_stream, 0)
    assert pauses == []  # the hub's own client has retried already


def test_without_a_network_the_hub_ends_in_one_line_that_names_what_works(tmp_path):
    # A process of its own: whether there is a hub and a cache is decided at import.
    code = (
        "import sys, time\n"
        "time.sleep = lambda seconds: None\n"
        "from workflow.helpers.cli import run\n"
        "from workflow.scripts.text import main\n"
        "run(lambda: main(sys.argv[1:]))\n"
    )
    source = {"source": "tinystories", "train_bytes": 1000, "validation_bytes": 1000}
    output = tmp_path / "out"
    command = ["--source", json.dumps(source), "--output", str(output / "text.json")]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "hf")}
    answer = subprocess.run(
        [sys.executable, "-c", code, *command],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.returncode == 1
    lines = [line for line in answer.stderr.splitlines() if "error" in line.lower()]
    assert lines == answer.stderr.splitlines()[-1:]
    assert "roneneldan/TinyStories" in lines[0]
    assert "stories (built in)" in lines[0]
    assert "files" in lines[0]
    assert "Traceback" not in answer.stderr
    assert not output.exists()
