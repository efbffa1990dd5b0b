"""Report on the stories experiment: losses and their references, quality of texts, samples."""

import math
from collections.abc import Mapping

import pandas as pd

from bitnet.common.markdown import bullets, fill, number, table
from bitnet.experiments.rules import (
    BROKEN,
    END,
    HELD_OUT,
    KNOWN_SHARE,
    REPEATING_SHARE,
    REPEATS,
    STUCK_LOSS,
    by_weights,
    of_losses,
    outcome,
    word,
)
from bitnet.experiments.runs import Samples

ORIGINAL = "7 at the start, 1.5 to 2.0 at the end"  # the original notes' loss
# Validation loss in nats per token of full-precision LLaMA-like models on TinyStories
# (karpathy/llama2.c, README): parameters, vocabulary, loss.
LLAMA2C = (("260K", 512, 1.297), ("15M", 32_000, 1.072), ("42M", 32_000, 0.847))
LLAMA2C += (("110M", 32_000, 0.760),)
QUALITY = {  # column: key of the quality of samples
    "Texts": "texts",
    "Words": "words",
    "Distinct2": "distinct_2",
    "SeqRep4": "seq_rep_4",
    "AllNovel": "all_novel",
    "AllCopied": "all_copied",
    "Copied4Grams": "copied",
    "Ended": "ended",
    "KnownWords": "known_words",
    "Sentences": "sentences",
    "Grammatical": "grammatical",
    "Agreeing": "agreeing",
}
COUNTS = ("Texts", "Words", "Sentences")  # the others are shares
ORDERS = ("unigram", "bigram", "trigram")
PARTS = (HELD_OUT, "untrained", "at the switch", END)


def bits_per_byte(losses: Mapping) -> list[float]:
    """Bits per UTF-8 byte at the probe, from mean losses in nats per token."""
    scale = losses["positions"] / math.log(2) / losses["bytes"]
    return [loss * scale for loss in losses["nats"]]


def scores(runs: Mapping[str, Samples]) -> pd.DataFrame:
    """Table with one row per run and part (held-out text, untrained, ...): quality and losses."""
    rows = []
    for name, run in runs.items():
        recipe, losses = run.recipe, run.losses
        bits, best = bits_per_byte(losses), run.best_possible
        for part in _parts(run.quality):
            quality = run.quality[part]
            rows.append(
                {
                    "Run": name,
                    "Weights": recipe.model.weights,
                    "Seed": recipe.training.seed,
                    "Part": part,
                    **{column: quality.get(key, math.nan) for column, key in QUALITY.items()},
                    "VocabSize": recipe.model.vocab_size,
                    "FirstLoss": losses["nats"][0],
                    "LastLoss": losses["nats"][-1],
                    "LastBitsPerByte": bits[-1],
                    "BestPossibleBitsPerByte": best["bits_per_byte"] if best else math.nan,
                    **{
                        f"{order.capitalize()}Loss": run.references[order]["loss"]
                        for order in ORDERS
                    },
                }
            )
    return pd.DataFrame(rows)


def complaints(run: Samples) -> list[str]:
    """Reasons why a run fails, one line each; empty if it passes."""
    losses, references = run.losses["nats"], run.references
    wrong = of_losses(losses, references["unigram"]["loss"], run.diverged)
    if not wrong and losses[-1] >= references["bigram"]["loss"]:
        bigram = references["bigram"]["loss"]
        wrong.append(
            f"loss {losses[-1]:.2f} at the end is no better than the bigram's {bigram:.2f}"
        )
    if END not in run.quality:
        return wrong or ["no texts"]
    return wrong + list(run.quality[END]["failures"])


def judge(runs: Mapping[str, Samples]) -> dict:
    """Outcome of the experiment as `rules.outcome` returns it: passed, complaints, reason."""
    return outcome(by_weights(runs, complaints))


def markdown(runs: Mapping[str, Samples], title: str) -> str:
    """The report as Markdown: outcome, losses, quality of texts, notes, samples."""
    rows, found = scores(runs), judge(runs)
    return "\n\n".join(
        [
            f"# Stories: {title}: {word(found)}",
            fill(f"**{word(found)}**: {found['reason']}."),
            "## Loss",
            _loss_table(runs),
            bullets(_beside(runs)),
            "## What they write",
            *_samples(runs),
            _quality_table(rows),
            "## How it is measured",
            bullets(_notes(next(iter(runs.values())))),
            "",
        ]
    )


def _parts(found: Mapping) -> list[str]:
    """The parts that were sampled, in the order of training."""
    return [part for part in PARTS if part in found]


def _loss_table(runs: Mapping[str, Samples]) -> str:
    lines = []
    for name, run in runs.items():
        losses, bits = run.losses, bits_per_byte(run.losses)
        cells = [losses["nats"][0], losses["nats"][-1], bits[0], bits[-1]]
        weights = run.recipe.model.weights
        lines.append([name, weights, *(number(value, ".3f") for value in cells)])
    first = next(iter(runs.values()))
    scale = bits_per_byte({**first.losses, "nats": [1.0]})[0]
    for order in ORDERS:
        loss = first.references[order]["loss"]
        lines.append([order, "", "", number(loss, ".3f"), "", number(loss * scale, ".3f")])
    if best := first.best_possible:
        floor = best["bits_per_byte"]
        cells = ["", number(floor / scale, ".3f"), "", number(floor, ".3f")]
        lines.append(["best possible", "", *cells])
    header = [
        "run",
        "weights",
        "nats, start",
        "nats, end",
        "bits a byte, start",
        "bits a byte, end",
    ]
    return table(header, lines)


def _beside(runs: Mapping[str, Samples]) -> list[str]:
    first = next(iter(runs.values()))
    size, losses = first.recipe.model.vocab_size, first.losses
    published = ", ".join(f"{loss:.3f} ({name}, {vocab:,})" for name, vocab, loss in LLAMA2C)
    lines = [
        f"Nats a token at a vocabulary of {size:,}, N = {losses['positions']:,} held-out positions "
        f"of {losses['bytes']:,} bytes. Losses a token compare only at one vocabulary.",
        f"The original notes' loss on TinyStories: {ORIGINAL}, at a vocabulary of 2,048.",
        f"llama2.c on TinyStories, full precision (parameters, vocabulary): {published}.",
    ]
    if best := first.best_possible:
        lines.append(
            f"Best possible: the exact probability that the grammar gives to {best['stories']} "
            f"held-out stories ({best['bytes']:,} bytes). The probe's windows begin inside "
            "stories, so a little more than it is needed there."
        )
    return lines


def _quality_table(rows: pd.DataFrame) -> str:
    shown = [column for column in QUALITY if rows[column].notna().any()]
    lines = []
    first = rows["Run"].iloc[0]
    for _, row in rows.iterrows():
        own = row["Part"] != HELD_OUT
        if not own and row["Run"] != first:
            continue  # held-out text is the same for all
        cells = [
            f"{row[column]:,.0f}" if column in COUNTS else number(row[column], ".3f")
            for column in shown
        ]
        lines.append([row["Run"] if own else "", row["Part"], *cells])
    return table(["run", "", *shown], lines)


def _notes(run: Samples) -> list[str]:
    lines = [
        "Texts are drawn from the models' own distribution (temperature 1), half of them behind "
        f"`{run.prompts[0]}`, half from the start of a document.",
        "Distinct2: different pairs of words over all pairs; SeqRep4: repeated 4-word phrases over "
        "all in a text. AllNovel, AllCopied: texts of whose 4-word phrases none, or each one, "
        "stands in the training text; Copied4Grams: mean share that does. Ended: texts whose end "
        "was reached. KnownWords: words that stand in the training text.",
        f"It passes if the loss is finite, at most {STUCK_LOSS:g} and below the bigram's, at most "
        f"{REPEATING_SHARE:.0%} of the texts say a phrase {REPEATS} times in a row, and "
        f"{KNOWN_SHARE:.0%} of the words are words of the training text. {BROKEN}",
    ]
    if run.best_possible:
        lines.append(
            "Grammatical: sentences that a rule of the grammar can have made. Agreeing: those that "
            "besides speak of the hero, friend, thing, ... that the text has introduced."
        )
    return lines


def _samples(runs: Mapping[str, Samples]) -> list[str]:
    """One sample a model, of the last part it was sampled at: the likeliest text."""
    blocks = []
    for name, run in runs.items():
        part, prompt = _parts(run.greedy)[-1], run.prompts[0]
        lines = [line for line in run.greedy[part][0].splitlines() if line.strip()]
        quoted = "\n>\n".join(fill(f"> {line}", indent="> ") for line in lines)
        blocks += [f"{name}, {part}, greedy after `{prompt}`:", quoted]
    return blocks
