"""Tables of docs/sanity.md, from the numbers of reports and of layers broken on purpose."""

from collections.abc import Mapping

import pandas as pd

from bitnet.common.markdown import number, table
from bitnet.experiments.arithmetic import ALL

KINDS = {"ternary": "ternary", "full_precision": "twin"}


def by_seed(scores: pd.DataFrame) -> str:
    """Exact answers of each seed, for each kind of weights and operator, as Markdown.

    scores: the table of `arithmetic.scores`.
    """
    own = scores[scores["Operator"] != ALL]
    trained = [kind for kind in KINDS if kind in set(own["Weights"])]
    pairs = [(kind, op) for kind in trained for op in own["Operator"].unique()]
    cells = own.set_index(["Seed", "Weights", "Operator"])
    lines = []
    for seed in sorted(own["Seed"].unique()):
        lines.append([str(seed)])
        for kind, op in pairs:
            seen = cells.loc[(seed, kind, op)]
            lines[-1].append(f"{seen['Right']:.0f}/{seen['Problems']:.0f}")
    return table(["seed", *(f"{KINDS[kind]}, {op}" for kind, op in pairs)], lines)


def faults(found: Mapping[str, Mapping]) -> str:
    """What an experiment says of a layer with each fault, as Markdown.

    found: `faults` of the file that `benchmarks.faults` writes: by fault, the outcome and its
    reason, the loss at the end in nats, and for arithmetic the share of exact answers.
    """
    operators = list(next(iter(found.values())).get("exact", {}))
    operators = [op for op in operators if op != ALL]
    lines = []
    for fault, seen in found.items():
        exact = [number(seen["exact"][op], ".1%") for op in operators]
        lines.append([fault, seen["outcome"], *exact, number(seen["loss"], ".2f")])
        lines[-1] += [] if operators else [seen["reason"]]
    header = ["fault", "outcome", *operators, "loss"] + ["reason"] * (not operators)
    return table(header, lines)
