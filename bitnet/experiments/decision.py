"""Decision table of the two sanity experiments: what to do next, by their two outcomes.

The table is that of the original notes. The full-precision twins refine it: if a twin fails too,
the cause is not the ternary weights.
"""

from collections.abc import Mapping

import pandas as pd

from bitnet.common.markdown import bullets, fill, table
from bitnet.experiments.rules import TWIN, word

TABLE = {  # (arithmetic, stories): meaning, advice
    ("pass", "pass"): (
        "the infrastructure works",
        "a larger model that talks gibberish has a vocabulary too large for it, the wrong data or "
        "too few steps: train the 95M configuration on TinyStories, or ten times longer, or 200M "
        "parameters and more for 32,000 pieces",
    ),
    ("pass", "fail"): (
        "the basic machinery works, language does not come out of it",
        "check data pipeline, tokenizer and learning rate, then the latent weights' histograms",
    ),
    ("fail", "pass"): (
        "unexpected: language works and arithmetic does not",
        "check the arithmetic recipe (steps, learning rate) before the implementation",
    ),
    ("fail", "fail"): (
        "the infrastructure has bugs",
        "check quantisation, straight-through gradients, data pipeline and latent weights, in this "
        "order",
    ),
}
WHERE = {  # by whether the twin fails too
    True: "the full-precision twin fails as well: look at data, optimizer and length of training, "
    "not at quantisation",
    False: "the full-precision twin passes: look at quantisation and straight-through gradients",
}


def decision(arithmetic: Mapping, stories: Mapping) -> tuple[str, str]:
    """Meaning and advice for two outcomes as `bitnet.experiments.rules.outcome` returns them."""
    return TABLE[word(arithmetic), word(stories)]


def rows(records: Mapping[str, Mapping]) -> pd.DataFrame:
    """Table with one row per experiment: Experiment, Study, Outcome (pass or fail), Reason.

    records: the records of the reports by experiment.
    """
    return pd.DataFrame(
        {
            "Experiment": name,
            "Study": record["title"],
            "Outcome": word(record["outcome"]),
            "Reason": record["outcome"]["reason"],
        }
        for name, record in records.items()
    )


def markdown(records: Mapping[str, Mapping]) -> str:
    """The decision as Markdown. records: those of the reports `arithmetic` and `stories`."""
    found = {name: record["outcome"] for name, record in records.items()}
    means, then = decision(found["arithmetic"], found["stories"])
    advice = [
        f"{name} fails; {WHERE[bool(outcome['complaints'][TWIN])]}."
        for name, outcome in found.items()
        if not outcome["passed"] and TWIN in outcome["complaints"]
    ]
    experiments = rows(records)
    lines = [
        [*pair, means, "<- here" if pair == tuple(map(word, found.values())) else ""]
        for pair, (means, _) in TABLE.items()
    ]
    reasons = [
        f"{r['Experiment']} ({r['Study']}): {r['Reason']}." for _, r in experiments.iterrows()
    ]
    return "\n\n".join(
        [
            "# Is it broken, or is the task too hard?",
            fill(f"**{means[0].upper()}{means[1:]}**: {then}."),
            bullets([*reasons, *advice]),
            table(["arithmetic", "stories", "meaning", ""], lines),
            "## Latent weights",
            _weights_table(records),
            fill(
                "Shares of the latent weights that round to each ternary value; a full-precision "
                "twin's are what its weights would round to. A healthy model has all three."
            ),
            "",
        ]
    )


def _weights_table(records: Mapping[str, Mapping]) -> str:
    lines = []
    for record in records.values():
        for run, parts in record["weights"].items():
            for part, found in parts.items():
                shares = [f"{share:.1%}" for share in found["ternary"]]
                lines.append([record["title"], run, part, *shares, f"{found['count']:,}"])
    return table(["study", "run", "part", "-1", "0", "1", "weights"], lines)
