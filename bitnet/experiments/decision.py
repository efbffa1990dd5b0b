"""Decision table of the two sanity experiments: what to do next, by their two outcomes.

The table is that of the original notes, and the full-precision twins refine it. Small models on a
small corpus (the size "quick") say whether the machinery works, and nothing about the 95M model.
"""

from collections.abc import Mapping

import pandas as pd

from bitnet.common.markdown import bullets, fill, table
from bitnet.experiments.rules import TWIN, word

TABLE = {  # (arithmetic, stories): meaning, advice
    ("pass", "pass"): (
        "the infrastructure works",
        "go on to 95M. If a model of that size was not coherent, model and data were mismatched: "
        "train it on TinyStories, or ten times longer, or take 200M parameters and more for 32,000 "
        "pieces",
    ),
    ("pass", "fail"): (
        "arithmetic is learned, language is not",
        "check quantisation, straight-through gradients, data pipeline and the latent weights' "
        "histograms, in this order, before a larger model",
    ),
    ("fail", "pass"): (
        "the two contradict each other",
        "train arithmetic with another seed. If it fails again, the infrastructure has bugs; if "
        "not, nothing follows from this failure",
    ),
    ("fail", "fail"): (
        "the infrastructure has bugs",
        "check quantisation, straight-through gradients, data pipeline and the latent weights' "
        "histograms, in this order",
    ),
}
QUICK_PASS = "go on to the full size, `snakemake sanity`"  # advice where the small models pass both
WHERE = {  # by whether the twin fails too
    True: "the full-precision twin fails as well: look first at what both share, that is data, "
    "optimizer and length of training",
    False: "the full-precision twin passes: look at quantisation and straight-through gradients",
}


def decision(arithmetic: Mapping, stories: Mapping, size: str) -> tuple[str, str]:
    """Meaning and advice for two outcomes as `bitnet.experiments.rules.outcome` returns them.

    size: of the models, "full" or "quick".
    """
    means, then = TABLE[word(arithmetic), word(stories)]
    passed = arithmetic["passed"] and stories["passed"]
    return means, QUICK_PASS if passed and size == "quick" else then


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


def markdown(records: Mapping[str, Mapping], size: str) -> str:
    """The decision as Markdown.

    records: those of the reports `arithmetic` and `stories`. size: "full" or "quick".
    """
    found = {name: record["outcome"] for name, record in records.items()}
    means, then = decision(found["arithmetic"], found["stories"], size)
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
