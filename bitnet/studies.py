"""Studies of config.yaml: checked, completed from the defaults, and turned into runs and recipes.

Free of torch and of file names: the pipeline asks here what to build and what it is made of.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError, best_match

from bitnet import runs
from bitnet.config import ModelConfig, Recipe, TrainConfig, refuse


def _is_integer(_, value) -> bool:
    """1e3 is a number of steps to JSON schema, and a float to the code that counts them."""
    return isinstance(value, int) and not isinstance(value, bool)


Validator = validators.extend(
    Draft202012Validator,
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine("integer", _is_integer),
)


def check(config: Mapping, schema: Mapping) -> None:
    """ValueError in one line, naming key, value and what is allowed, for a config to be refused."""
    error = best_match(Validator(schema).iter_errors(config))
    if error is not None:
        raise ValueError(_explain(error))
    _finite(config, "")
    names = config["studies"]
    if config["main_study"] not in names:
        raise refuse("main_study", config["main_study"], f"one of {', '.join(names)}")
    if config["study"] not in ("auto", *names):
        raise refuse("study", config["study"], f"auto or one of {', '.join(names)}")
    if config.get("corpus", next(iter(config["corpora"]))) not in config["corpora"]:
        raise refuse("corpus", config["corpus"], f"one of {', '.join(config['corpora'])}")
    for name in names:
        try:
            study = Study.of(config, name)
            for run in study.runs():
                study.recipe(run)
        except ValueError as error:
            raise ValueError(f"studies.{name}: {error}") from None


RULES = {  # of a schema, in words
    "type": "{}",
    "enum": "{}",
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minItems": "of at least {}",
    "minLength": "of at least {} characters",
    "minProperties": "of at least {} keys",
    "uniqueItems": "without repeats",
    "pattern": "matching {}",
}


def _explain(error: ValidationError) -> str:
    key = ".".join(str(part) for part in error.absolute_path) or "config"
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        odd = sorted(set(error.instance) - set(known), key=str)
        return f"{key} has the unknown key {str(odd[0])!r}; allowed: {', '.join(known)}"
    if error.validator == "required":
        return f"{key}: {error.message}; allowed: only with it"
    allowed = [
        text
        for rule, text in RULES.items()
        if rule in error.schema
        for text in [text.format(_words(error.schema[rule]))]
    ]
    return f"{key} is {_shorten(error.instance)}; allowed: {', '.join(allowed)}"


def _words(rule) -> str:
    return " or ".join(map(str, rule)) if isinstance(rule, list) else str(rule)


def _shorten(value) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _finite(value, key: str) -> None:
    """YAML's .nan and .inf pass every comparison of a schema."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _finite(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for inner in value:
            _finite(inner, key)
    elif isinstance(value, float) and not math.isfinite(value):
        raise refuse(key, value, "a finite number")


@dataclass(frozen=True)
class Study:
    """One question: its data, its protocol, its grid, and how it is judged."""

    name: str
    corpus: str
    settings: Mapping

    @classmethod
    def of(cls, config: Mapping, name: str, corpus: str | None = None) -> "Study":
        """A study of the config, completed from the defaults; on another corpus if asked."""
        if name not in config["studies"]:
            raise refuse("study", name, f"one of {', '.join(config['studies'])}")
        own, base = config["studies"][name], config["defaults"]
        merged = {**base, **own}
        for block in ("model", "training"):
            merged[block] = {**base.get(block, {}), **own.get(block, {})}
        corpus = corpus or merged["corpus"]
        if corpus not in config["corpora"]:
            raise refuse("corpus", corpus, f"one of {', '.join(config['corpora'])}")
        return cls(name, corpus, merged)

    @property
    def tokenizer(self) -> str:
        """Label of the tokenizer, unique to what makes it: bpe2048, or stem-size of a file."""
        if self.settings["tokenizer"] == "bpe":
            return f"bpe{self.settings['vocab_size']}"
        return f"{Path(self.settings['tokenizer']).stem}-{self.settings['vocab_size']}"

    @property
    def sequence_length(self) -> int:
        """Tokens of a training window, and of a window of the probe."""
        return self.settings["training"]["sequence_length"]

    def axis_defaults(self) -> dict:
        """What a run's name need not say."""
        model, training = self.settings["model"], self.settings["training"]
        return {
            "hidden_size": None,
            "stage2_weight_decay": None,
            "optimizer": training["optimizer"],
            "weights": model["weights"],
            "peak_lr": training["peak_lr"],
            "seed": 0,
        }

    def runs(self) -> list[str]:
        """Names of all runs of the grid, a seed after the other."""
        axes = {**self.settings["grid"], "seed": range(self.settings["seeds"])}
        defaults = self.axis_defaults()
        points = product(*(axes.get(axis.key, [defaults[axis.key]]) for axis in runs.AXES))
        keys = [axis.key for axis in runs.AXES]
        values = [dict(zip(keys, point, strict=True)) for point in points]
        values.sort(key=lambda v: v["seed"])
        return [runs.spell(v, defaults) for v in values]

    def trunk(self, run: str) -> str:
        """Name of the trunk that a run branches from."""
        return runs.trunk_of(run, self.axis_defaults())

    def recipe(self, name: str) -> Recipe:
        """Recipe of a run or of a trunk; ValueError in one line for a name or value it refuses."""
        values = runs.parse(name, self.axis_defaults())
        training = dict(self.settings["training"])
        scale = values["peak_lr"] / training["peak_lr"]
        training |= {
            "optimizer": values["optimizer"],
            "peak_lr": values["peak_lr"],
            "switch_lr": training["switch_lr"] * scale,
            "final_lr": training["final_lr"] * scale,
            "stage2_weight_decay": values["stage2_weight_decay"],
            "seed": values["seed"],
            "evaluate_at": tuple(training["evaluate_at"]),
        }
        model = {
            **self.settings["model"],
            "hidden_size": values["hidden_size"],
            "weights": values["weights"],
            "vocab_size": self.settings["vocab_size"],
        }
        return Recipe(ModelConfig(**model), TrainConfig(**training, threads=self.threads))

    @property
    def threads(self) -> int:
        """CPU threads of one training."""
        return self.settings["threads"]

    def question(self) -> dict:
        """What the verdict compares; the headline cell complete with its learning rate."""
        question = dict(self.settings["question"])
        peak_lr = self.settings["training"]["peak_lr"]
        question["headline"] = {"peak_lr": peak_lr, **question["headline"]}
        return question
