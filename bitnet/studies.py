"""Studies of config.yaml: checked, completed from the defaults, and turned into runs and recipes.

Free of torch and of file names: the pipeline asks here what to build and what it is made of.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from jsonschema import Draft202012Validator, validators
from jsonschema.exceptions import ValidationError, best_match

from bitnet import runs
from bitnet.config import ModelConfig, Recipe, TrainConfig, refuse, shorten

OF_MODEL = ("hidden_size", "weights")  # axes that shape the model; all others, the training
# Axes whose default is what the study's training block says.
PROTOCOL = (
    "optimizer",
    "peak_lr",
    "stage1_weight_decay",
    "warmup_steps",
    "gradient_clip",
    "label_smoothing",
    "shuffled",
)
CROSSED = ("hidden_size", "stage2_weight_decay", "weights")  # what variants take from the grid
OVER_STEPS = ("unique_predictions", "loss", "pdr", "mechanism")  # figures of curves
SIZES_TO_SCALE = 3  # fewer show no trend
MOST_RUNS = 10_000  # of all studies: beyond it, listing them takes minutes


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
    verdict, names, room = config["verdict"], config["studies"], MOST_RUNS
    for low, high in ORDERED:
        if verdict[low] > verdict[high]:
            raise refuse(f"verdict.{low}", verdict[low], f"at most {high} = {verdict[high]}")
    for key, others in (("main_study", [*names]), ("study", ["auto", *names])):
        if config[key] not in others:
            raise refuse(key, config[key], _one_of(others))
    for ledger, scopes in config["claims"].items():
        for scope in scopes:
            name, _, corpus = scope.partition("@")
            if name not in names or (corpus and corpus not in config["corpora"]):
                allowed = f"{_one_of(names)}, on @ one of {', '.join(config['corpora'])}"
                raise refuse(f"claims.{ledger}", scope, allowed)
    if config.get("corpus", next(iter(config["corpora"]))) not in config["corpora"]:
        raise refuse("corpus", config["corpus"], _one_of(config["corpora"]))
    for name in names:
        try:
            room -= Study.of(config, name).check(room)
        except ValueError as error:
            raise ValueError(f"studies.{name}: {error}") from None


ORDERED = (
    ("collapsed_below", "diverse_above"),
    ("blind_collapsed_share", "blind_diverse_share"),
)
RULES = {  # of a schema, in words
    "title": "{}",
    "type": "{}",
    "enum": "{}",
    "minimum": "at least {}",
    "exclusiveMinimum": "above {}",
    "maximum": "at most {}",
    "exclusiveMaximum": "below {}",
    "minItems": "of at least {}",
    "maxItems": "of at most {}",
    "minProperties": "of at least {} keys",
    "maxProperties": "of at most {} keys",
    "uniqueItems": "without repeats",
    "not": "none of {}",
}


def _explain(error: ValidationError) -> str:
    key = ".".join(map(str, error.absolute_path)) or "config"
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        odd = min(set(error.instance) - set(known), key=str)
        return f"{key} has the unknown key {shorten(repr(odd), 80)}; allowed: {', '.join(known)}"
    if error.validator == "required":
        missing = next(name for name in error.validator_value if name not in error.instance)
        return f"{key}.{missing} is missing; allowed: only with a value"
    if "propertyNames" in error.absolute_schema_path:
        key = f"a key of {key}"
    allowed = [
        text.format(_words(error.schema[rule]))
        for rule, text in RULES.items()
        if rule in error.schema and not (rule == "type" and "title" in error.schema)
    ]
    return str(refuse(key, error.instance, ", ".join(allowed)))


def _one_of(names: Iterable[str]) -> str:
    return f"one of {shorten(', '.join(names))}"


def _words(rule) -> str:
    if isinstance(rule, Mapping):  # what a `not` is about
        return ", ".join(rule["enum"]) if "enum" in rule else rule["pattern"]
    return " or ".join(map(str, rule)) if isinstance(rule, list) else str(rule)


def _finite(value, key: str) -> None:
    """YAML's .nan passes every comparison of a schema; -0.0 is a 0 that is spelled otherwise."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _finite(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for inner in value:
            _finite(inner, key)
    elif isinstance(value, float) and (not math.isfinite(value) or str(value) == "-0.0"):
        raise refuse(key, value, "a finite number, 0 without a sign")


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
            raise refuse("study", name, _one_of(config["studies"]))
        own, base = config["studies"][name], config["defaults"]
        merged = {**base, **own}
        for block in ("model", "training"):
            merged[block] = {**base.get(block, {}), **own.get(block, {})}
        corpus = corpus or merged["corpus"]
        if corpus not in config["corpora"]:
            raise refuse("corpus", corpus, _one_of(config["corpora"]))
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
            "weights": model["weights"],
            "seed": 0,
            "lr_switch": training["lr_switch"] or training["steps"] // 2,
            "wd_switch": training["wd_switch"] or training["steps"] // 2,
            **{key: training[key] for key in PROTOCOL},
        }

    def grids(self) -> list[dict[str, Sequence]]:
        """Values of every axis: of the grid, and of each variant at the grid's sizes and arms."""
        alone = {key: [value] for key, value in self.axis_defaults().items()}
        alone["seed"] = range(self.settings["seeds"])
        grid = self.settings["grid"]
        kept = {key: grid[key] for key in CROSSED if key in grid}
        variants = [
            {**alone, **kept, **{key: [value] for key, value in variant.items()}}
            for variant in self.settings.get("variants", [])
        ]
        return [{**alone, **grid}, *variants]

    def runs(self) -> list[str]:
        """Names of all runs of the grid and of the variants, a seed after the other."""
        defaults, keys = self.axis_defaults(), [axis.key for axis in runs.AXES]
        values = [
            dict(zip(keys, point, strict=True))
            for axes in self.grids()
            for point in product(*(axes[key] for key in keys))
        ]
        values.sort(key=lambda v: v["seed"])
        return [runs.spell(v, defaults) for v in values]

    def varied(self, key: str) -> int:
        """How many values of an axis the grid holds."""
        return len(self.grids()[0][key])

    def figures(self) -> list[str]:
        """Names of the figures that show what the grid varies."""
        if self.varied("peak_lr") > 1 and self.varied("stage1_weight_decay") > 1:
            return ["phase"]
        scaling = ["scaling"] * (self.varied("hidden_size") >= SIZES_TO_SCALE)
        return [*OVER_STEPS, *scaling]

    def check(self, room: int) -> int:
        """How many runs the grid has.

        ValueError in one line for more than `room`, for a recipe that cannot be, and for a
        question about what the grid does not have: it would be trained and never answered.
        """
        grids, question = self.grids(), self.question()
        count = sum(math.prod(map(len, axes.values())) for axes in grids)
        if count > room:
            raise refuse("grid x seeds", f"{count} runs", f"at most {MOST_RUNS} in all studies")
        names = self.runs()
        if len(set(names)) < count:
            twice = next(name for name, times in Counter(names).items() if times > 1)
            raise refuse(
                "grid and variants",
                f"{twice} twice",
                "each run once, by values that differ as floats",
            )
        for name in names[: count // len(grids[0]["seed"])]:  # seeds differ in nothing to check
            self.recipe(name)
        asked = [(arm, "stage2_weight_decay", question[arm]) for arm in ("treatment", "control")]
        asked += [(f"headline.{axis}", axis, v) for axis, v in question["headline"].items()]
        for key, axis, value in asked:
            if value not in grids[0][axis]:
                raise refuse(f"question.{key}", value, f"{axis} of the grid, {grids[0][axis]}")
        if question["treatment"] == question["control"]:
            raise refuse("question.control", question["control"], "another than treatment")
        return count

    def trunk(self, run: str) -> str:
        """Name of the trunk that a run branches from."""
        return runs.trunk_of(run, self.axis_defaults())

    def recipe(self, name: str) -> Recipe:
        """Recipe of a run or of a trunk; ValueError in one line for a name or value it refuses."""
        values = runs.parse(name, self.axis_defaults())
        training = dict(self.settings["training"])
        scale = values["peak_lr"] / training["peak_lr"]
        model = {**self.settings["model"], "vocab_size": self.settings["vocab_size"]}
        model |= {key: values.pop(key) for key in OF_MODEL}
        training |= {
            **values,
            "switch_lr": training["switch_lr"] * scale,
            "final_lr": training["final_lr"] * scale,
            "evaluate_at": tuple(training["evaluate_at"]),
        }
        return Recipe(ModelConfig(**model), TrainConfig(**training, threads=self.threads))

    @property
    def threads(self) -> int:
        """CPU threads of one training."""
        return self.settings["threads"]

    def question(self) -> dict:
        """What the verdict compares; the headline cell complete."""
        question, training = dict(self.settings["question"]), self.settings["training"]
        own = {key: training[key] for key in ("peak_lr", "stage1_weight_decay")}
        question["headline"] = {**own, **question["headline"]}
        return question
