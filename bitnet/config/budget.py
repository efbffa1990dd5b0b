"""Cost of a training, estimated before it starts: time, tokens, passes, memory."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bitnet.common.errors import refuse
from bitnet.common.markdown import table
from bitnet.config.recipe import Recipe
from bitnet.config.speed import step_seconds
from bitnet.config.study import Study

START_SECONDS = 5  # start of a job: Python, imports, building the model
# Of the time that a job asks a cluster for. A training that takes longer goes on when it is asked
# for again; one that asks for much waits longer in the queue.
SLACK, LEAST_MINUTES = 4, 60

WHOLE_TOKENS = {"fineweb_edu": 1.3e12}  # of a data set, by its card
# Bytes per token at 32,000 pieces: 19,014,232 bytes of 4,037 documents made 4,533,384 tokens.
BYTES_A_TOKEN = {("fineweb_edu", 32_000): 4.194}
WEIGHT_BYTES = 4  # per parameter, in float32
STATE_BYTES = 12  # per parameter: its value and two moments in float32
OBSERVED_BYTES = 80_000  # of one evaluation: 4,096 positions, and each layer's norms
TRAINED_BYTES = 16  # per parameter: the same and its gradient


def stretch_seconds(recipe: Recipe, gpu: bool) -> float:
    """Expected seconds of one job: stage 1 for a trunk's recipe, stage 2 for a run's."""
    c = recipe.training
    trunk = c.stage2_weight_decay is None
    steps = c.wd_switch if trunk else c.steps - c.wd_switch
    return START_SECONDS + steps * step_seconds(recipe, gpu)


def limit_minutes(recipe: Recipe, gpu: bool) -> int:
    """Minutes that one job of a training asks a cluster for: SLACK times what it should take."""
    return math.ceil(max(LEAST_MINUTES, SLACK * stretch_seconds(recipe, gpu) / 60))


def announcement(recipes: Sequence[Recipe], gpus: str, at_once: int) -> str:
    """One line on how many trunks and branches are to train, where, how long, how much disk.

    gpus: names of the GPUs; empty: the CPU. at_once: jobs that run at the same time.
    """
    if not recipes:
        return "nothing to train"
    trunks = sum(recipe.training.stage2_weight_decay is None for recipe in recipes)
    branches = len(recipes) - trunks
    at_once = min(at_once, max(trunks, branches))  # a branch waits for its trunk
    seconds = sum(stretch_seconds(recipe, bool(gpus)) for recipe in recipes) / at_once
    return (
        f"to train: {trunks} x stage 1 and {branches} x stage 2, {at_once} at a time on "
        f"{gpus or 'the CPU'}: about {spell_duration(seconds)}, "
        f"{spell_size(sum(map(kept_bytes, recipes)))} of disk"
    )


def kept_bytes(recipe: Recipe) -> float:
    """Bytes that the files of one job take when it is done: weights, observations, a trunk's state.

    Observations of a branch begin with those of its trunk; those of a trunk are in its state too.
    """
    c, count = recipe.training, sum(recipe.model.parameters().values())
    trunk = c.stage2_weight_decay is None
    seen = OBSERVED_BYTES * len(c.evaluation_steps(0, c.wd_switch if trunk else c.steps))
    return WEIGHT_BYTES * count + seen + trunk * (STATE_BYTES * count + seen)


def spell_size(size: float) -> str:
    """A number of bytes in whole MB or GB: "12 MB", "3 GB"."""
    return f"{size / 1e9:,.0f} GB" if size >= 2e9 else f"{max(1, size / 1e6):,.0f} MB"


def spell_duration(seconds: float) -> str:
    """A duration in whole minutes, hours or days: "3 minutes", "5 hours", "4 days"."""
    for unit, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}s"
    return f"{max(1, round(seconds / 60))} minute{'s' if seconds >= 90 else ''}"


@dataclass(frozen=True)
class Corpus:
    """A study's training text: its source and, once it is tokenised, its size."""

    source: Mapping
    """Its block of `corpora` in config.yaml."""
    tokens: int | None = None
    """Counted tokens of the training shards; None before they exist."""

    def size(self, vocab_size: int) -> tuple[float | None, str]:
        """Tokens of the training text (None where unknown) and where the number is from."""
        if self.tokens is not None:
            return self.tokens, "counted"
        rate = BYTES_A_TOKEN.get((self.source["source"], vocab_size))
        if rate is None:
            return None, "not known before the text is tokenised"
        return self.source["train_bytes"] / rate, f"train_bytes / {rate}, until it is counted"


def verification(
    study: Study, run: str, corpus: Corpus, pilot: Mapping | None, gpu: bool
) -> list[tuple[str, str, str]]:
    """Rows (figure, value, where it is from) on shape, text, memory and time of a run.

    pilot: the measurements of a pilot (tokens_per_second, device), or None. ValueError in one line
    where the training would pass over its text more often than `expect.passes` allows.
    """
    recipe = study.recipe(run)
    return [
        *_model(recipe),
        *_text(recipe, corpus, study.settings["expect"].get("passes")),
        *_machine(recipe, study.settings["processes"]),
        _hours(recipe, pilot, gpu),
    ]


def show(study: str, rows: list[tuple[str, str, str]]) -> str:
    """The rows of `verification` as a Markdown table with a headline, for a terminal."""
    return f"{study}, by arithmetic:\n{table(('figure', 'value', 'from'), rows)}"


def _model(recipe: Recipe) -> list[tuple[str, str, str]]:
    model, c = recipe.model, recipe.training
    parts = model.parameters()
    count = sum(parts.values())
    shape = f"{model.num_layers} x {model.hidden_size}, {model.num_heads} / {model.num_kv_heads}"
    return [
        ("shape", shape, f"layers x hidden, heads; feed-forward {model.intermediate_size}"),
        *((part.replace("_", "-"), f"{size:,}", "parameters") for part, size in parts.items()),
        ("parameters", f"{count:,}", "their sum"),
        ("tokens", f"{c.tokens:,}", f"{c.steps:,} x {c.batch_size} x {c.sequence_length:,}"),
        ("tokens a parameter", f"{c.tokens / count:.1f}", "about 20 is compute-optimal"),
    ]


def _text(recipe: Recipe, corpus: Corpus, most: float | None) -> list[tuple[str, str, str]]:
    c, (size, why) = recipe.training, corpus.size(recipe.model.vocab_size)
    # In order no token is both the last target of a window and the first input of the next.
    needed = c.tokens + (c.windows == "in_order") * c.steps * c.batch_size
    rows = []
    if whole := WHOLE_TOKENS.get(corpus.source["source"]):
        share = f"{needed / whole:.2%}"
        rows.append(("of the whole data set", share, f"of {whole:,.0f} tokens"))
    if size is None:
        return [*rows, ("training text", "?", why)]
    passes = needed / size
    if most is not None and passes > most:
        told = f"{passes:.2f} passes over {size:,.0f} tokens ({why})"
        raise refuse("expect.passes", most, f"at least {told}; or raise train_bytes of the corpus")
    if c.windows != "random":
        seen = f"{min(1, passes):.0%} of the text is seen, none of it twice before all of it once"
    else:  # share of the text drawn at least once
        seen = f"windows drawn at random: {1 - math.exp(-passes):.0%} of the text is seen"
    return [
        *rows,
        ("training text", f"{size:,.0f}", f"tokens, {why}"),
        ("passes", f"{passes:.2f}", seen),
    ]


def _machine(recipe: Recipe, processes: int) -> list[tuple[str, str, str]]:
    c, count = recipe.training, sum(recipe.model.parameters().values())
    pieces = f"{processes} processes, {c.accumulate} micro-batches each"
    return [
        ("sequences at once", str(c.micro_batch(processes)), pieces),
        ("weights file", f"{4 * count / 1e6:,.0f} MB", "float32"),
        ("checkpoint", f"{STATE_BYTES * count / 1e6:,.0f} MB", "weights and Adam's moments"),
        ("memory", f"{TRAINED_BYTES * count / 1e9:.1f} GB", "and activations (docs/fineweb95m.md)"),
    ]


def _hours(recipe: Recipe, pilot: Mapping | None, gpu: bool) -> tuple[str, str, str]:
    if pilot:
        seconds = recipe.training.tokens / pilot["tokens_per_second"]
        return ("time", spell_duration(seconds), f"the pilot's speed on {pilot['device']}")
    seconds = recipe.training.steps * step_seconds(recipe, gpu)
    return ("time", spell_duration(seconds), "a guess: no pilot has measured it")
