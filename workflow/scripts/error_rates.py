"""How often the verdict's rule errs, in studies drawn from a generator fitted to a measured one.

    python -m workflow.scripts.error_rates --inputs results/quick/h64_*.csv --question \\
        '{"treatment": 0, "control": 0.05, "headline": {"hidden_size": 64, "optimizer": "adam", \\
        "weights": "ternary"}}' --csv error_rates.csv --markdown error_rates.md

writes error_rates.provenance.json beside the output. Each CSV needs its own record beside it. The
same --seed gives the same numbers.
"""

import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np
import pandas as pd
from scipy.stats import t as student
from tqdm import tqdm

from bitnet.common.files import write_text
from bitnet.common.markdown import WIDTH, table
from bitnet.config.thresholds import Thresholds
from bitnet.verdict.cells import CELL, EFFECTS
from bitnet.verdict.error_rates.generator import FittedCell, fit
from bitnet.verdict.error_rates.proposal import STAYS
from bitnet.verdict.error_rates.rates import (
    ANSWERS,
    CLAIM,
    LEVEL,
    PROPOSED,
    column,
    differences,
    rates,
)
from bitnet.verdict.error_rates.scenarios import FIX, NULL, TRIFLE, TRUTHS, scenarios
from bitnet.verdict.rule import judge
from workflow.helpers.cli import log, parsed, run
from workflow.helpers.tables import judging_flags, original, read_tables, seal

SEEDS = (3, 5, 10)
DRAWN = 5000  # seeds, to show how well the generator fits
TABLES = {  # heading: truths, outcomes
    "Nothing differs": ((NULL, TRIFLE), ("fixed", CLAIM, "no effect", STAYS, "inconclusive")),
    "A fix": ((FIX,), ("fixed", "helps", "no effect", STAYS, "inconclusive")),
    "Specific to ternary weights?": (TRUTHS, [f"ternary {answer}" for answer in ANSWERS]),
}


def main(argv: list[str] | None = None) -> None:
    """Write the shares of outcomes as a table and as text."""
    parser = judging_flags(__doc__, "a study")
    parser.add_argument("--draws", type=int, default=1000, help="studies a scenario and size")
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    args = parsed(parser, argv)
    if args.draws < 1 or args.seed < 0:
        raise ValueError(f"--draws is {args.draws}, --seed {args.seed}; allowed: from 1, from 0")
    question, thresholds = original(args.question), Thresholds(**json.loads(args.thresholds))
    rows, _ = read_tables(args.inputs)
    cells = judge(rows, thresholds, question)  # refuses what is no study
    chosen = [tuple(key) for key in cells.loc[cells["Headline"], CELL].itertuples(index=False)]
    if not chosen:
        raise ValueError(f"results hold no runs of the headline cell {dict(question.headline)}")
    fitted = fit(rows, question)
    found = scenarios(fitted, chosen[0], thresholds)
    plan, lines = list(product(range(len(found)), SEEDS)), []
    for place, seeds in tqdm(plan, desc="scenarios", disable=None):
        rng = np.random.default_rng([args.seed, place, seeds])
        lines.append(rates(found[place], chosen[0], seeds, args.draws, rng, thresholds))
        log.info("%s: %s, %d seeds", found[place].truth, found[place].name, seeds)
    shares = pd.DataFrame(lines)
    write_text(args.csv, shares.to_csv(index=False, float_format="%.6g"))
    fits = [
        fit_of(row, cell, thresholds, np.random.default_rng([args.seed, len(found), place]))
        for place, (row, cell) in enumerate(
            zip(cells.to_dict("records"), fitted.values(), strict=True)
        )
    ]
    write_text(args.markdown, markdown(shares, fits, args.title))
    seal(args, "error_rates", draws=args.draws, seed=args.seed)


def fit_of(
    row: Mapping, cell: FittedCell, thresholds: Thresholds, rng: np.random.Generator
) -> list[str]:
    """Cell, and mean ± standard deviation of its differences between arms, measured and drawn."""
    name, seeds = f"{row['HiddenSize']} {row['Optimizer']} {row['Weights']}", row["Seeds"]
    mean, sd = differences(cell, DRAWN, rng, thresholds)
    shown = [name]
    for i, effect in ((EFFECTS.index(effect), effect) for effect in (row["Primary"], "ValLoss")):
        half = (row[f"Delta{effect}High"] - row[f"Delta{effect}Low"]) / 2  # of the t-interval
        measured = half * math.sqrt(seeds) / student.ppf((1 + thresholds.confidence) / 2, seeds - 1)
        shown += [f"{row[f'Delta{effect}']:+.3f} ± {measured:.3f}", f"{mean[i]:+.3f} ± {sd[i]:.3f}"]
    return shown


def markdown(shares: pd.DataFrame, fits: Sequence[Sequence[str]], title: str) -> str:
    """Shares of draws in percent, a row a scenario, the numbers of seeds beside each other.

    fits: rows of `fit_of`.
    """
    draws, sizes = shares["Draws"].iloc[0], " / ".join(map(str, shares["Seeds"].unique()))
    words = (
        f"Percent of {draws:,} drawn studies with {sizes} seeds; the CSV file beside this one has "
        f"all outcomes, with Wilson intervals ({LEVEL:.0%}, at most ± {_widest(shares):.1f}). Of "
        "several cells: studies in which at least one has the outcome. A claim: fixed, helps, "
        "harmful."
    )
    blocks = [f"# Error rates of the verdict, fitted to {title}", textwrap.fill(words, WIDTH)]
    for prefix, rule in (("", "rule in force"), (PROPOSED, "rule proposed")):
        for heading, (truths, names) in TABLES.items():
            shown = [name for name in names if prefix or name != STAYS]
            columns = [column(prefix + name) for name in shown]
            told = shares[shares["Truth"].isin(truths) & shares[columns[0]].notna()]
            groups = told.groupby(["Truth", "Scenario"], sort=False)
            mixed = truths is TRUTHS  # elsewhere the heading says what is true
            lines = [
                [f"{truth}: {name}" if mixed else name, *_cells(rows[columns])]
                for (truth, name), rows in groups
            ]
            if lines:
                blocks += [f"## {heading} ({rule})", table(["scenario", *shown], lines)]
    arms = [f"{what}, {how}" for what in ("Δ ln", "ΔValLoss") for how in ("measured", "drawn")]
    blocks += ["## The fit: differences between arms, mean ± sd of a seed"]
    blocks += [table(["cell", *arms], fits)]
    return "\n\n".join(blocks) + "\n"


def _cells(shares: pd.DataFrame) -> list[str]:
    """Of each outcome its percentages, a seed number after the other: '1.6 / 1.1 / 0'."""
    return [" / ".join(f"{100 * s:.1f}".removesuffix(".0") for s in shares[c]) for c in shares]


def _widest(shares: pd.DataFrame) -> float:
    """Half of the widest interval, percent."""
    lows = [name for name in shares if name.endswith("Low")]
    return max(50 * (shares[low.removesuffix("Low") + "High"] - shares[low]).max() for low in lows)


if __name__ == "__main__":
    run(main)
