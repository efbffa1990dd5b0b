"""Pass or fail of a sanity experiment: rules for failed trainings and degenerate texts.

The thresholds were fixed before the runs: a loss above 5 is the original notes' sign of failure;
held-out text itself is far from the other thresholds. An experiment passes if no rule fires for
its ternary models; their full-precision twins show where to look for a cause.
"""

import math
from collections.abc import Callable, Mapping, Sequence

from bitnet.evaluation.text_quality import known_share, longest_run, words
from bitnet.experiments.runs import MeasuredRun

STUCK_LOSS = 5.0  # nats per token, at a vocabulary of thousands
REPEATS = 4  # times in a row, as "the the the the"
REPEATING_SHARE = 0.1  # largest allowed share of texts that repeat
KNOWN_SHARE = 0.9  # smallest allowed share of words that occur in training text

TWIN = "full_precision"
HELD_OUT, END = "held-out text", "at the end"  # names of samples
BROKEN = "What it says of ternary layers that are broken on purpose stands in docs/sanity.md."


def of_losses(losses: Sequence[float], unigram: float, diverged: bool) -> list[str]:
    """Failures in validation losses, one line each; empty if there are none.

    losses: nats per token in the order of steps. unigram: the unigram model's loss; a model that
    learned anything is below it. diverged: the training ended at a value that is not finite.
    """
    if diverged or not all(map(math.isfinite, losses)):
        return ["NaN: loss or gradient became NaN or infinite"]
    if losses[-1] > STUCK_LOSS:
        return [f"loss stuck: {losses[-1]:.2f} at the end, above {STUCK_LOSS:g}"]
    if losses[-1] >= unigram:
        return [f"loss stuck: {losses[-1]:.2f} at the end, the unigram's is {unigram:.2f}"]
    return []


def of_texts(texts: Sequence[str], known: frozenset[str] | set[str]) -> list[str]:
    """Failures in generated texts (repetition, gibberish), one line each; empty if none.

    known: all words of the training text.
    """
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
    """Failures of all runs by kind of weights ("ternary", "full_precision"), with runs' names."""
    found: dict[str, list[str]] = {}
    for name, run in runs.items():
        lines = [f"{name}: {line}" for line in complaints(run)]
        found.setdefault(run.recipe.model.weights, []).extend(lines)
    return found


def outcome(complaints: Mapping[str, Sequence[str]]) -> dict:
    """Outcome of an experiment: {"passed", "complaints", "reason"}.

    complaints: failures by kind of weights, with an entry for "ternary". The experiment passes if
    the ternary models have none; `reason` compares with the twins.
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
        reason = f"{'; '.join(ternary)}; the full-precision twins fail as well"
    else:
        reason = f"{'; '.join(ternary)}; the full-precision twins pass"
    return {"passed": not ternary, "complaints": dict(complaints), "reason": reason}


def word(found: Mapping) -> str:
    """The word "pass" or "fail" for an outcome."""
    return "pass" if found["passed"] else "fail"
