"""The record of a run: what its table was made from, by which code, where and at what cost."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from bitnet.config.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The JSON file of a run's table; ValueError in one line for JSON of another form."""

    lineage: Mapping[str, Mapping[str, Any]]
    """A part a step, from the text to the table: what it was made from, and `code`."""
    data: str
    """sha256 of the manifest's data."""
    environment: Mapping[str, str]
    """Device, versions and commit of the training."""
    diverged: bool = False
    """Whether its loss or gradient became NaN or infinite."""
    first_step: int = 0
    """Where the last piece of its training began."""
    seconds: float = 0.0
    """Of that piece."""
    tokens_per_second: float = 0.0
    peak_memory_mib: int = 0
    processes: int = 1
    trained_on: Sequence[Mapping[str, Any]] = field(default_factory=list)
    """Device, processes, `compiled` and precision of each piece of the training, with its first
    step."""
    training_tokens: int = 0
    """Tokens that there are to train on."""
    seen_in_training: Mapping[str, int] = field(default_factory=dict)
    """Of the probe's windows `of`, how many have `run` tokens in a row of the training text."""
    best_possible_loss: float | None = None
    """The least loss that any model can reach on the text, nats a token; None where unknown."""
    sources: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Name, size and sha256 of the files that its text came from, by split; empty if from none."""
    evaluated: Mapping[str, str] = field(default_factory=dict)
    """Versions and commit of the evaluation."""
    files: Mapping[str, str] = field(default_factory=dict)
    """sha256 of each file that the record speaks for."""

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> "RunRecord":
        """Read a record."""
        try:
            return cls(**fields)
        except TypeError as error:
            raise ValueError(f"not the record of a run: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON can hold them."""
        return {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}

    @cached_property
    def recipe(self) -> Recipe:
        """What its training was asked for."""
        return Recipe.from_json(json.dumps(self.lineage["train"]["recipe"]))

    @property
    def device(self) -> str:
        """What it was trained on; several devices in order, as "NVIDIA A100, then NVIDIA H100"."""
        return str(self.environment.get("device", ""))

    @property
    def source(self) -> Mapping[str, Any]:
        """The block of corpora that its text was made from; empty where it is not recorded."""
        return self.lineage.get("text", {}).get("source", {})

    def code(self, part: str) -> str:
        """Fingerprint of the code of a step ("train", "evaluate", ...)."""
        return self.lineage[part]["code"]
