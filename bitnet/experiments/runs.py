"""Measurements of one run in a sanity experiment: answers to arithmetic, or sampled stories.

The scripts `answers` and `samples` write these as JSON; the reports read them.
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
    """What both experiments hold of a run; ValueError in one line for JSON of another form."""

    recipe: Recipe
    trained: Mapping[str, Any]
    """TRAINED of the metadata that training wrote beside the weights."""
    code: str
    """Fingerprint of the script that measured."""
    losses: Mapping[str, Any]
    """`step` and mean losses of each evaluation (nats a token), and the positions they are of."""
    best_possible: Any
    """The reference `best_possible`, or its loss; None where it is not known."""
    weights: Mapping[str, Any] = field(default_factory=dict)
    """Histograms of the latent weights by part; empty where the run diverged."""

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """Read what `to_dict` gives."""
        try:
            recipe = Recipe.from_json(json.dumps(fields["recipe"]))
            return cls(**{**fields, "recipe": recipe})
        except (TypeError, KeyError) as error:
            raise ValueError(f"not {cls.__name__.lower()} of a run: {error}") from None

    def to_dict(self) -> dict[str, Any]:
        """All fields as JSON can hold them."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        return {**values, "recipe": json.loads(self.recipe.to_json())}

    @property
    def diverged(self) -> bool:
        """Whether its loss or gradient became NaN or infinite."""
        return self.trained["diverged"]


@dataclass(frozen=True, kw_only=True)
class Answers(MeasuredRun):
    """Held-out arithmetic put to a run."""

    problems: Sequence[Sequence]
    """(a, operator, b), the five examples first."""
    written: Sequence[str]
    """An answer each; empty where the run diverged."""
    unigram: float
    """Loss of token frequencies, nats a token."""


@dataclass(frozen=True, kw_only=True)
class Samples(MeasuredRun):
    """Stories that a run wrote, by part: before training, at the switch, at the end."""

    references: Mapping[str, Mapping]
    """Losses of unigram, bigram and trigram."""
    prompts: Sequence[str]
    greedy: Mapping[str, Sequence[str]]
    """The likeliest continuation of each prompt."""
    drawn: Mapping[str, Sequence[str]]
    """The first texts drawn at temperature 1, word for word."""
    quality: Mapping[str, Mapping]
    """What `sample_quality.measured` gives."""
