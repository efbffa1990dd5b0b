"""Measurements of one run in a sanity experiment: answers to arithmetic, or samples of stories.

The scripts `answers` and `samples` write them as JSON; the reports read them.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from bitnet.config.recipe import Recipe

TRAINED = ("code", "data", "environment", "diverged")


@dataclass(frozen=True, kw_only=True)
class MeasuredRun:
    """Fields that both experiments measure of a run."""

    recipe: Recipe
    trained: Mapping[str, Any]
    """The keys TRAINED of the metadata in the weights file."""
    code: str
    """Fingerprint of the script that measured."""
    losses: Mapping[str, Any]
    """`step` and mean losses (nats per token) of each evaluation, and the number of positions."""
    best_possible: Any
    """The reference `best_possible`, or its loss; None where it is not known."""
    weights: Mapping[str, Any] = field(default_factory=dict)
    """Histograms of the latent weights by part; empty where the run diverged."""

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """An object from the mapping of `to_dict`; ValueError for wrong keys or types."""
        try:
            recipe = Recipe.from_json(json.dumps(fields["recipe"]))
            return cls(**{**fields, "recipe": recipe})
        except (TypeError, KeyError) as error:
            raise ValueError(f"not {cls.__name__.lower()} of a run: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """All fields as values that JSON can hold."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {**values, "recipe": json.loads(self.recipe.to_json())}

    @property
    def diverged(self) -> bool:
        """Whether the run's loss or gradient became NaN or infinite."""
        return self.trained["diverged"]


@dataclass(frozen=True, kw_only=True)
class Answers(MeasuredRun):
    """A run's answers to held-out arithmetic problems."""

    problems: Sequence[Sequence]
    """(a, operator, b), the five examples first."""
    written: Sequence[str]
    """One answer per problem; empty where the run diverged."""
    unigram: float
    """Loss of the unigram model, nats per token."""


@dataclass(frozen=True, kw_only=True)
class Samples(MeasuredRun):
    """Stories that a run wrote, by part: before training, at the switch, at the end."""

    references: Mapping[str, Mapping]
    """Losses (nats per token) and diversity of unigram, bigram and trigram."""
    prompts: Sequence[str]
    greedy: Mapping[str, Sequence[str]]
    """The likeliest continuation of each prompt."""
    drawn: Mapping[str, Sequence[str]]
    """The first texts sampled at temperature 1, unchanged."""
    quality: Mapping[str, Mapping]
    """The result of `sample_quality.measured`."""
