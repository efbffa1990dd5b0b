"""Pass or fail of a sanity experiment: rules for losses and texts, written before the runs.

Thresholds were written down before the runs they judge: a loss above 5 is the original notes'
sign; the others are far from what held-out text shows of itself. An experiment passes where
nothing is wrong with its ternary models; their full-precision twins say where to look.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from bitnet.evaluation.text_quality import known_share, longest_run, words
from bitnet.experiments.runs import MeasuredRun

STUCK_LOSS = 5.0  # nats a token, at a vocabulary of thousands
REPEATS = 4  # "the the the the"
REPEATING_SHARE = 0.1  # of the texts, at most
KNOWN_SHARE = 0.9  # of the words, at least

TWIN = "full_precision"
HELD_OUT, END = "held-out text", "at the end"  # parts of what is sampled


def of_losses(losses: Sequence[float], unigram: float, diverged: bool) -> list[str]:
    """What is wrong with validation losses (nats a token, in the order of steps); empty if nothing.

    unigram: the loss of token frequencies alone, which a model that learned anything is below.
    """
    if diverged or not all(map(math.isfinite, losses)):
        return ["NaN: loss or gradient became NaN or infinite"]
    if losses[-1] > STUCK_LOSS:
        return [f"loss stuck: {losses[-1]:.2f} at the end, above {STUCK_LOSS:g}"]
    if losses[-1] >= unigram:
        return [f"loss stuck: {losses[-1]:.2f} at the end, the unigram's is {unigram:.2f}"]
    return []


def of_texts(texts: Sequence[str], known: frozenset[str] | set[str]) -> list[str]:
    """What is wrong with generated texts; empty if nothing. known: words of the training text."""
    split = [words(text) for text in texts]
    runs = [longest_run(w) for w in split]
    repeating = [run for run in runs if run[0] >= REPEATS]
    found = []
    if len(repeating) > REPEATING_SHARE * len(texts):
        times, phrase = max(repeating)
        example = " ".join(phrase)
        found.append(
            f"repetition: {len(repeating)} of {len(texts)} texts say a phrase {REPEATS} times or "
            f"more in a row (`{example}`, {times} times)"
        )
    share, count = known_share(split, known)
    if share < KNOWN_SHARE:
        found.append(f"gibberish: {share:.0%} of {count} words are words of the training text")
    return found


def by_weights(
    runs: Mapping[str, MeasuredRun], complaints: Callable[[MeasuredRun], Sequence[str]]
) -> dict[str, list[str]]:
    """What is wrong with runs, each line with the run's name, by the kind of their weights."""
    found: dict[str, list[str]] = {}
    for name, run in runs.items():
        lines = [f"{name}: {line}" for line in complaints(run)]
        found.setdefault(run.recipe.model.weights, []).extend(lines)
    return found


def outcome(complaints: Mapping[str, Sequence[str]]) -> dict:
    """`passed` and `reason` from what is wrong with the models of each kind of weights.

    complaints: by kind, `ternary` among them; nothing wrong is an empty list. It passes if nothing
    is wrong with ternary models; their twins tell which part to look at if something is.
    """
    ternary, twin = list(complaints["ternary"]), complaints.get(TWIN)
    if not ternary:
        reason = "nothing is wrong with ternary models"
        if twin is not None:
            reason += (
                f", though something is with their full-precision twins: {'; '.join(twin)}"
                if twin
                else " and their full-precision twins"
            )
    elif twin is None:
        reason = f"{'; '.join(ternary)} (no full-precision twin was trained)"
    elif twin:
        reason = f"{'; '.join(ternary)}; it is not the ternary weights, for the twins fail as well"
    else:
        reason = f"{'; '.join(ternary)}; the full-precision twins pass"
    return {"passed": not ternary, "complaints": dict(complaints), "reason": reason}


def word(found: Mapping) -> str:
    """pass or fail."""
    return "pass" if found["passed"] else "fail"
