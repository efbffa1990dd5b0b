"""Data in files of bounded size: the same tokens as in one, whatever was killed on the way."""

import hashlib
import json
import multiprocessing
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest

from bitnet.common.files import read_json
from bitnet.common.processes import in_processes
from bitnet.data.dataloader import JoinedShards, batch, open_shard
from bitnet.data.parts import keep, kept
from bitnet.data.text import read_text
from tests.data.test_corpora import write_jsonl
from tests.helpers.project import ENVIRONMENT, ROOT
from workflow.scripts import shards, text
from workflow.scripts import tokenizer as tokenizer_script

STORIES = {"source": "stories", "train_bytes": 300_000, "validation_bytes": 30_000}


def take(folder: Path, source: dict) -> dict:
    text.main(["--source", json.dumps(source), "--output", str(folder / "text.json")])
    return read_json(folder / "text.json")


def encode(folder: Path, tokenizer: Path, processes: int = 1) -> dict:
    flags = ["--text", folder / "text.json", "--tokenizer", tokenizer, "--processes", processes]
    shards.main([*map(str, flags), "--output", str(folder / "shards.json")])
    return read_json(folder / "shards.json")


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory, stories_data) -> Path:
    """The tokenizer of the tests, described as the pipeline does."""
    path = tmp_path_factory.mktemp("tokenizer") / "t.model"
    model = str(stories_data.folder / "tokenizer.model")
    tokenizer_script.main(["--model", model, "--vocab-size", "512", "--output", str(path)])
    return path


@pytest.fixture(scope="module")
def one(tmp_path_factory, tokenizer) -> tuple[Path, dict]:
    """All text in one file a split, and its shards."""
    folder = tmp_path_factory.mktemp("one")
    take(folder, STORIES)
    return folder, encode(folder, tokenizer)


@pytest.mark.parametrize("processes", [1, 2])
def test_many_files_hold_the_tokens_and_windows_of_one(tmp_path, one, tokenizer, processes):
    described = take(tmp_path, {**STORIES, "part_bytes": 50_000})
    *sizes, last = (part["bytes"] for part in described["train"]["parts"])
    assert len(sizes) == 5 and last < 50_000
    assert all(50_000 <= size < 55_000 for size in sizes)
    many = encode(tmp_path, tokenizer, processes)
    assert len(many["train"]["shards"]) == 6
    single, joined = open_shard(one[0], one[1]["train"]), open_shard(tmp_path, many["train"], 512)
    assert isinstance(joined, JoinedShards) and len(joined) == len(single)
    assert (joined[:] == single).all() and joined.dtype == single.dtype
    for step in range(20):
        for how in ({"windows": "epochs"}, {"windows": "random"}, {"shuffled": True}):
            drawn = [batch(tokens, 3, step + 1, 16, 64, **how) for tokens in (single, joined)]
            assert (drawn[0] == drawn[1]).all()
    for key in ("tokens", "bytes", "documents"):
        assert many["train"][key] == one[1]["train"][key]
    assert list(read_text(tmp_path / "text.json", "train")) == list(
        read_text(one[0] / "text.json", "train")
    )
    left = {path.suffix for path in tmp_path.iterdir()} | {
        path.name for path in tmp_path.glob("*.json")
    }
    assert left == {".parquet", ".bin", ".json", "text.json", "shards.json"}


def test_joined_shards_are_read_as_the_array_of_all():
    rng = np.random.default_rng(0)
    pieces = [rng.integers(0, 99, size, dtype=np.uint16) for size in (5, 0, 1, 7)]
    whole, joined = np.concatenate(pieces), JoinedShards(pieces)
    index = rng.integers(0, 13, (4, 6))
    assert (joined[index] == whole[index]).all()
    assert (joined[3:9] == whole[3:9]).all() and (joined[-2:] == whole[-2:]).all()
    for begin in range(-14, 15):
        for end in range(-14, 15):
            for stride in (1, 2, -1):
                assert joined[begin:end:stride].tolist() == whole[begin:end:stride].tolist()
    assert joined[2:4].dtype == joined[0:0].dtype == whole.dtype
    for outside in (-1, 13):
        with pytest.raises(IndexError):
            joined[np.array([0, outside])]


def interrupted(script: str, *arguments: str, files: Callable, more: int, pause: float) -> bool:
    """Run a script, kill it some time after it made so many files; whether it had ended before."""
    command = [sys.executable, "-m", f"workflow.scripts.{script}", *arguments]
    running, enough = subprocess.Popen(command, cwd=ROOT, env=ENVIRONMENT), len(files()) + more
    while len(files()) < enough and running.poll() is None:
        time.sleep(0.005)
    time.sleep(pause)
    children = psutil.Process(running.pid).children() if running.poll() is None else []
    ended = running.poll() is not None
    running.kill()
    running.wait()
    _, alive = psutil.wait_procs(children, timeout=60)
    assert not alive  # none works on
    return ended


def interrupted_often(script: str, *arguments: str, folder: Path, suffix: str) -> int:
    """Kill a script again and again; how many files it had when it began for the last time."""
    chance, most = random.Random(script), 0

    def files() -> list[Path]:
        return sorted(folder.glob(f"train-*{suffix}"))

    for _ in range(4):
        described = [p for p in files() if p.with_name(f"{p.name}.json").exists()]
        before = {path: path.stat().st_mtime_ns for path in described}
        moment = {"more": chance.randint(0, 4), "pause": chance.uniform(0, 0.1)}
        if interrupted(script, *arguments, files=files, **moment):
            break
        assert all(path.stat().st_mtime_ns == time for path, time in before.items())
        most = max(most, len(before))
    return most


def test_killed_at_any_moment_whole_files_stay_and_the_end_is_the_same(tmp_path, tokenizer):
    source = {**STORIES, "train_bytes": 800_000, "part_bytes": 40_000}
    whole, folder = tmp_path / "whole", tmp_path / "killed"
    take(whole, source)
    encode(whole, tokenizer)
    flags = ["--source", json.dumps(source), "--output", str(folder / "text.json")]
    assert interrupted_often("text", *flags, folder=folder, suffix=".parquet") > 0
    take(folder, source)
    flags = ["--text", str(folder / "text.json"), "--tokenizer", str(tokenizer)]
    flags += ["--processes", "2", "--output", str(folder / "shards.json")]
    assert interrupted_often("shards", *flags, folder=folder, suffix=".bin") > 0
    encode(folder, tokenizer)
    assert content(folder) == content(whole)


def test_files_of_another_making_are_not_kept(tmp_path, monkeypatch):
    few = {**STORIES, "train_bytes": 100_000, "part_bytes": 50_000}
    monkeypatch.setattr(text, "settle", lambda *_: None)  # as if it was killed at the very end
    take(tmp_path, {**few, "seed": 1, "train_bytes": 200_000})
    monkeypatch.undo()
    take(tmp_path, few)
    clean = tmp_path / "clean"
    take(clean, few)
    found = content_of_files(tmp_path)
    assert found == content_of_files(clean) and len(found) == 4  # 2 train, 1 validation, text.json


def content_of_files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_part_is_kept_only_whole_and_by_its_key(tmp_path):
    path = tmp_path / "train-00000.bin"
    path.write_bytes(b"tokens")
    keep(path, {"code": "a"}, {"sha256": hashlib.sha256(b"others").hexdigest()})
    assert kept(path, {"code": "a"}) is None
    part = {"sha256": hashlib.sha256(b"tokens").hexdigest()}
    keep(path, {"code": "a"}, part)
    assert kept(path, {"code": "a"}) == part
    assert kept(path, {"code": "b"}) is None
    path.unlink()
    assert kept(path, {"code": "a"}) is None


def test_what_is_left_out_is_counted_and_long_and_garbled_documents_are_kept(tmp_path):
    long = "word " * 34_000  # 170,000 characters
    pages = [f"page {i} of some text" for i in range(50)]
    texts = [
        "",
        *pages[:40],
        long,
        " \n",
        "it\u00e2\u20ac\u2122s",
        "a \ufffd b",
        "a \u2581 b",
        *pages,
        "  ",
    ]
    data = write_jsonl(tmp_path / "a.jsonl", texts)
    held_out = write_jsonl(tmp_path / "b.jsonl", [*pages[:5], ""])
    source = {"source": "files", "train": [str(data)], "validation": [str(held_out)]}
    source |= {"train_bytes": 10**6, "validation_bytes": 10**6, "part_bytes": 500}
    described = take(tmp_path / "out", source)
    found = {key: value for key, value in described["train"].items() if key != "parts"}
    expected = [text for text in texts if text.strip() and text not in pages[:5]]
    assert list(read_text(tmp_path / "out/text.json", "train")) == expected
    assert found == {
        "documents": len(expected),
        "bytes": sum(len(text.encode()) for text in expected),
        "empty": 3,
        "also_held_out": 10,
        "garbled": 2,
        "blank_sign": 1,
        "repeated": 35,  # pages 5 to 39
    }


def test_the_real_pages_come_to_the_tokens_that_were_counted_elsewhere(tmp_path, real_data):
    model = real_data("tokenizers/mistral_v1_32000.model")
    files = {
        s: [str(real_data(f"fineweb_edu_{s}_sample.parquet"))] for s in ("train", "validation")
    }
    source = {"source": "files", **files, "train_bytes": 10**9, "validation_bytes": 10**9}
    take(tmp_path, {**source, "part_bytes": 4_000_000})
    path = tmp_path / "t/t.model"
    tokenizer_script.main(["--model", str(model), "--vocab-size", "32000", "--output", str(path)])
    found = encode(tmp_path, path, processes=2)
    # As SOURCES.md counts them, and each document between begin and end.
    assert found["train"]["tokens"] == 4_533_384 + 2 * 4_037
    assert found["validation"]["tokens"] == 612_964 + 2 * 501
    assert len(found["train"]["shards"]) == 5


# --- processes ---


def square(x: int) -> int:
    time.sleep(0.05 * (x == 0))  # the first is the last to end
    return x * x


def die(x: int) -> int:
    if x == 2:
        os.kill(os.getpid(), 9)
    return x


def refuse_two(x: int) -> int:
    if x == 2:
        raise ValueError("x is 2; allowed: another")
    return x


def test_results_come_in_the_order_of_the_items():
    assert list(in_processes(square, range(9), 2)) == [x * x for x in range(9)]


def test_a_process_that_was_killed_or_refuses_ends_the_work_in_one_line():
    with pytest.raises(ChildProcessError, match="killed"):
        list(in_processes(die, range(5), 2))
    with pytest.raises(ValueError, match="x is 2"):
        list(in_processes(refuse_two, range(5), 2))
    assert not multiprocessing.active_children()
