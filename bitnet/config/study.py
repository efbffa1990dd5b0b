"""Studies of the config: completed from the defaults, and turned into runs and recipes.

Free of torch and of file names: the pipeline asks here what to build and what it is made of.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product, takewhile
from pathlib import Path

from bitnet.common.errors import one_of, refuse
from bitnet.config import run_names
from bitnet.config.question import AXIS, STAGE2, Question
from bitnet.config.recipe import MOST_EVALUATIONS, ModelConfig, Recipe, TrainConfig

OF_MODEL = ("hidden_size", "weights")  # axes of the model's config; all others: the training's
# Axes whose default value is in the study's training block.
PROTOCOL = (
    "optimizer",
    "peak_lr",
    "stage1_weight_decay",
    "warmup_steps",
    "gradient_clip",
    "label_smoothing",
    "shuffled",
)
SHAPE = (  # keys that determine the number of parameters
    "vocab_size",
    "hidden_size",
    "num_layers",
    "num_heads",
    "num_kv_heads",
    "intermediate_ratio",
    "tie_embeddings",
    "linear_norms",
)
LENGTH = ("steps", "batch_size", "sequence_length")  # what the number of tokens follows from
CROSSED = ("hidden_size", "stage2_weight_decay", "weights")  # what variants take from the grid
OVER_STEPS = ("unique_predictions", "loss", "pdr", "mechanism")  # figures of curves
TRAINED = {"bpe": 300, "characters": 4}  # tokenizers made here, and their smallest vocabularies
SIZES_TO_SCALE = 3  # fewer show no trend


@dataclass(frozen=True)
class Study:
    """A study: its data, its training protocol, its grid of runs, and its question."""

    name: str
    corpus: str
    settings: Mapping

    @classmethod
    def of(cls, config: Mapping, name: str, corpus: str | None = None) -> "Study":
        """A study of the config, completed from the defaults.

        corpus: replaces the study's own. ValueError in one line for an unknown study or corpus.
        """
        if name not in config["studies"]:
            raise refuse("study", name, one_of(config["studies"], name))
        own, base = config["studies"][name], config["defaults"]
        merged = {**base, **own}
        for block in ("model", "training", "anomalies"):
            merged[block] = {**base.get(block, {}), **own.get(block, {})}
        corpus = corpus or merged["corpus"]
        if corpus not in config["corpora"]:
            raise refuse("corpus", corpus, one_of(config["corpora"], corpus))
        return cls(name, corpus, merged)

    @property
    def tokenizer(self) -> str:
        """Label of the tokenizer in file names: "bpe2048", or "stem-size" for a file."""
        if self.settings["tokenizer"] in TRAINED:
            return f"{self.settings['tokenizer']}{self.settings['vocab_size']}"
        return f"{Path(self.settings['tokenizer']).stem}-{self.settings['vocab_size']}"

    @property
    def sequence_length(self) -> int:
        """Tokens of a training window, and of a window of the probe."""
        return self.settings["training"]["sequence_length"]

    def axis_defaults(self) -> dict:
        """Default value of each axis, by key: the value of runs whose name leaves the axis out.

        hidden_size and stage2_weight_decay are None here: every run's name states them.
        """
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
        """Values of every axis, by key: first of the grid, then of each variant.

        A variant is crossed with the grid's sizes, weights and arms.
        """
        alone = {key: [value] for key, value in self.axis_defaults().items()}
        alone["seed"] = range(self.settings["seeds"])
        grid, own = self.settings["grid"], self.settings.get("question", {})
        crossed = {*CROSSED, own.get("axis", STAGE2)}
        kept = {key: grid[key] for key in grid if key in crossed}
        variants = [
            {**alone, **kept, **{key: [value] for key, value in variant.items()}}
            for variant in self.settings.get("variants", [])
        ]
        return [{**alone, **grid}, *variants]

    def runs(self) -> list[str]:
        """Names of all runs of the grid and of the variants, sorted by seed."""
        defaults, keys = self.axis_defaults(), [axis.key for axis in run_names.AXES]
        values = [
            dict(zip(keys, point, strict=True))
            for axes in self.grids()
            for point in product(*(axes[key] for key in keys))
        ]
        values.sort(key=lambda v: v["seed"])
        return [run_names.spell(v, defaults) for v in values]

    def varied(self, key: str) -> int:
        """Number of values of an axis (by key) in the grid."""
        return len(self.grids()[0][key])

    def figures(self) -> list[str]:
        """Names of the figures to draw, chosen by the axes that the grid varies."""
        arms = self.settings.get("question", {}).get("axis", STAGE2)
        plane = [self.varied(key) > 1 and key != arms for key in ("peak_lr", "stage1_weight_decay")]
        if all(plane):
            return ["phase"]
        if self.chooses_rates:
            return ["price"]
        sizes = self.varied("hidden_size") if arms != "hidden_size" else 1
        scaling = ["scaling"] * (sizes >= SIZES_TO_SCALE)
        return [*OVER_STEPS, *scaling]

    @property
    def chooses_rates(self) -> bool:
        """Whether arms are compared at each one's best learning rate too."""
        if "question" not in self.settings:
            return False
        return self.question().chooses_rates(self.varied("peak_lr"))

    def count(self) -> int:
        """How many runs there are, without listing them."""
        return sum(math.prod(map(len, axes.values())) for axes in self.grids())

    def check(self) -> None:
        """ValueError in one line for a recipe that cannot be, and for a question about what the
        grid does not have: it would be trained and never answered.
        """
        grids, names = self.grids(), self.runs()
        if len(set(names)) < len(names):
            twice = next(name for name, times in Counter(names).items() if times > 1)
            raise refuse(
                "grid and variants",
                f"{twice} twice",
                "each run once, by values that differ as floats",
            )
        processes, nodes = self.settings["processes"], self.settings["nodes"]
        if processes % nodes:
            raise refuse("processes", processes, f"a multiple of nodes = {nodes}")
        for name in names[
            : len(names) // len(grids[0]["seed"])
        ]:  # seeds differ in nothing to check
            self.recipe(name).training.micro_batch(processes)
        if ("question" in self.settings) == ("experiment" in self.settings):
            given = [key for key in ("question", "experiment") if key in self.settings]
            raise refuse("question or experiment", given, "one of them")
        self._check_expected(self.recipe(names[0]))
        least = TRAINED.get(self.settings["tokenizer"], 1)
        if self.settings["vocab_size"] < least:
            raise refuse(
                "vocab_size",
                self.settings["vocab_size"],
                f"at least {least} with the tokenizer {self.settings['tokenizer']}",
            )
        if "question" in self.settings:
            self._check_question(grids[0])

    def check_ends(self, evaluations: int) -> None:
        """ValueError in one line where a stage has fewer evaluations than 'the end' is made of.

        evaluations: `final_evaluations` of the verdict. Step 0 is in no stage, the switch in
        stage 1.
        """
        names = self.runs()
        trained = [
            self.recipe(name).training for name in names[: len(names) // self.varied("seed")]
        ]
        switches = {c.wd_switch: c for c in trained}.values()  # else all evaluate at the same steps

        def enough(every: int) -> bool:
            cs = (replace(c, evaluate_every=every) for c in switches)
            return all(
                len(c.evaluation_steps(*stage)) >= evaluations
                for c in cs
                for stage in ((1, c.wd_switch), (c.wd_switch + 1, c.steps))
            )

        every, steps = trained[0].evaluate_every, trained[0].steps
        if enough(every):
            return
        least = -(-steps // MOST_EVALUATIONS)
        # A larger one may do by chance, where the last steps of a stage are multiples of it.
        most = sum(1 for _ in takewhile(enough, range(least, every))) + least - 1
        why = f"for {evaluations} evaluations in each stage"
        allowed = f"at most {most}, {why}" if most >= least else f"none {why} of steps = {steps}"
        raise refuse("evaluate_every", every, allowed)

    def _check_expected(self, recipe: Recipe) -> None:
        model, c, expected = recipe.model, recipe.training, self.settings.get("expect", {})
        comes_to = {
            "parameters": (sum(model.parameters().values()), model, SHAPE),
            "tokens": (c.tokens, c, LENGTH),
        }
        for key, (found, block, of) in comes_to.items():
            if expected.get(key, found) != found:
                parts = ", ".join(f"{name} {getattr(block, name)}" for name in of)
                raise refuse(f"expect.{key}", expected[key], f"{found}, which is that of {parts}")

    def _check_question(self, grid: Mapping[str, Sequence]) -> None:
        question = self.question()
        arms, headline = question.axis.key, question.headline
        asked = [(arm, arms, question.value(arm)) for arm in ("treatment", "control")]
        asked += [(f"headline.{axis}", axis, v) for axis, v in headline.items()]
        if not question.shares_trunk:  # if the grid has several, the headline must name one
            asked.append((f"headline.{STAGE2}", STAGE2, headline.get(STAGE2)))
        for key, axis, value in asked:
            kinds = [(v, type(v) is bool) for v in grid[axis]]  # to Python, True is 1
            if (value, type(value) is bool) not in kinds:
                raise refuse(f"question.{key}", value, f"{axis} of the grid, {grid[axis]}")

    def trunk(self, run: str) -> str:
        """Name of the trunk that a run branches from; ValueError for an invalid name."""
        return run_names.trunk_of(run, self.axis_defaults())

    def recipe(self, name: str) -> Recipe:
        """Recipe of a run or a trunk; ValueError in one line for an invalid name or value."""
        values = run_names.parse(name, self.axis_defaults())
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

    def question(self) -> Question:
        """The study's question with a complete headline cell.

        ValueError in one line for a study without a question.
        """
        if "question" not in self.settings:
            raise refuse("study", self.name, "one with a question: this one is an experiment")
        fields, training = dict(self.settings["question"]), self.settings["training"]
        own = {key: training[key] for key in ("peak_lr", "stage1_weight_decay")}
        if (key := fields.get("axis", STAGE2)) != STAGE2:
            fields["default"] = self.axis_defaults()[key]
            decays = self.settings["grid"][STAGE2]
            own |= {STAGE2: decays[0]} if len(decays) == 1 else {}
            own |= {key: fields["control"]} if AXIS[key].column != run_names.VARIANT else {}
        return Question.from_dict({**fields, "headline": {**own, **fields["headline"]}})
