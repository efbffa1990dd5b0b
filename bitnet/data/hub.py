"""Data sets of the Hugging Face hub, streamed through `datasets` at a pinned revision."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from bitnet.common.errors import CorpusError, one_line

RETRIES = 5  # after a stream breaks off, with doubled pauses; the hub's client retries opening


@dataclass(frozen=True)
class HubDataset:
    """A data set on the hub, pinned to a commit.

    If it has no validation split, documents are assigned to one by hash.
    """

    path: str
    revision: str
    name: str | None = None
    has_validation: bool = True


HUB = {
    "tinystories": HubDataset("roneneldan/TinyStories", "f54c09fd23315a6f9c86f9dc80f725de7d8f9c64"),
    "fineweb_edu": HubDataset(
        "HuggingFaceFW/fineweb-edu",
        "87f09149ef4734204d70ed1d046ddc9ca3f2b8f9",
        name="sample-10BT",
        has_validation=False,
    ),
    "wikitext2": HubDataset(
        "Salesforce/wikitext",
        "b08601e04326c79dfdd32d625aee71d232d685c3",
        name="wikitext-2-raw-v1",
    ),
}


def open_hub(dataset: HubDataset, split: str):
    """A split as a streaming IterableDataset, before anything is downloaded."""
    from datasets import load_dataset
    from huggingface_hub.utils import logging

    logging.set_verbosity_error()  # our own error is one line
    return load_dataset(
        dataset.path, name=dataset.name, split=split, revision=dataset.revision, streaming=True
    )


class HubTexts:
    """Texts of a hub stream that resumes behind the last text after a network fault.

    position: the `position` of an earlier stream, a state that JSON can hold. This one begins
    there and does not read earlier files of the data set again.
    """

    def __init__(self, open_stream: Callable, dataset: HubDataset, position: dict | None = None):
        self._open, self._dataset, self._start, self._stream = open_stream, dataset, position, None

    @property
    def position(self) -> dict | None:
        """State of the stream, None before its first text."""
        return self._stream.state_dict() if self._stream is not None else self._start

    def __iter__(self) -> Iterator[str]:
        """Texts; CorpusError where the hub cannot be reached or fails more than RETRIES times."""
        begun, failures = self._start is not None, 0
        while True:
            try:
                at, self._stream = self.position, self._open()
                if at is not None:
                    self._stream.load_state_dict(at)
                for row in self._stream:
                    begun, failures = True, 0
                    yield row["text"]
                return
            except Exception as error:  # datasets, httpx and fsspec each raise classes of their own
                failures += 1
                if not begun or failures > RETRIES:
                    raise CorpusError(
                        f"the hub does not give {self._dataset.path} ({one_line(error)}); without "
                        "a hub choose a corpus whose source is stories (built in) or files"
                    ) from None
                time.sleep(2.0 ** (failures - 1))
