"""What the tests share: one thread, no network, real text where it is at hand, a tiny data set."""

import os
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from hypothesis import settings

from bitnet.common.files import read_json, sha256, write_json
from bitnet.data.manifest import make_manifest
from bitnet.data.shards import as_split, write_shard
from bitnet.data.stories.grammar import stories
from bitnet.data.tokenizer import Tokenizer
from bitnet.data.tokenizer_training import train_tokenizer
from tests.helpers.shared import shared

os.environ["TORCHDYNAMO_DISABLE"] = "1"  # transformers compiles its quantisers where they stand
os.environ["HF_HUB_OFFLINE"] = "1"

REAL_DATA = Path(
    os.environ.get("BITNET_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data"
)

torch.set_num_threads(1)
settings.register_profile("unhurried", deadline=None)  # a busy machine is no failure
settings.load_profile("unhurried")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with whole pipelines first: one that began last would end long after all others."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


class DataSet(NamedTuple):
    """A tokenised data set as the pipeline lays it out, and where it lies."""

    folder: Path  # tokenizer.model, train.bin, validation.bin, shards.json, manifest.json
    tokenizer: Tokenizer
    shards: dict
    manifest: dict  # of windows of 32 tokens


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Whatever a test sets, the next one runs on one thread in float32, denormals and all."""
    yield
    torch.set_flush_denormal(False)
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """Path of a file of real text or of a tokenizer; skips the test where it is absent."""

    def path(name: str) -> Path:
        if not (REAL_DATA / name).is_file():
            pytest.skip(f"no {name} in {REAL_DATA}; BITNET_TEST_DATA says where real data lie")
        return REAL_DATA / name

    return path


@pytest.fixture(scope="session")
def stories_data(tmp_path_factory: pytest.TempPathFactory) -> DataSet:
    """200 kB of built-in stories, 40 kB held out, a vocabulary of 512, windows of 32."""
    folder = shared(tmp_path_factory, "stories", make_stories_data)
    described = (read_json(folder / name) for name in ("shards.json", "manifest.json"))
    return DataSet(folder, Tokenizer(folder / "tokenizer.model"), *described)


def make_stories_data(folder: Path) -> None:
    """Write it into an empty folder."""
    train = list(islice(stories(0, "train"), 360))
    validation = list(islice(stories(0, "validation"), 75))
    train_tokenizer(train, 512, folder / "tokenizer.model")
    tokenizer = Tokenizer(folder / "tokenizer.model")
    shards = {
        "corpus": "stories",
        "vocab_size": tokenizer.vocab_size,
        "tokenizer_sha256": sha256(folder / "tokenizer.model"),
        "train": as_split([write_shard(train, tokenizer, folder / "train.bin")]),
        "validation": as_split([write_shard(validation, tokenizer, folder / "validation.bin")]),
    }
    write_json(folder / "shards.json", shards)
    write_json(folder / "manifest.json", make_manifest(folder, shards, tokenizer, 32))
