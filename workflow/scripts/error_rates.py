"""How often the verdict's rule errs, in studies drawn from a generator fitted to a measured one.

    python -m workflow.scripts.error_rates --inputs results/quick/h64_*.csv --question \\
        '{"treatment": 0, "control": 0.05, "headline": {"hidden_size": 64, "optimizer": "adam", \\
        "weights": "ternary"}}' --csv error_rates.csv --markdown error_rates.md

writes error_rates.provenance.json beside the output. Each CSV needs its own record beside it. The
same --seed gives the same numbers.
"""

import json
import textwrap
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from bitnet.error_rates import ANSWERS, CLAIM, LEVEL, PROPOSED, column, rates
from bitnet.files import write_text
from bitnet.proposal import STAYS
from bitnet.provenance import environment
from bitnet.records import record_of, write_record
from bitnet.scenarios import FIX, NULL, TRIFLE, TRUTHS, scenarios
from bitnet.simulate import fit
from bitnet.states import Thresholds
from bitnet.verdict import CELL, judge
from bitnet.verdict_text import WIDTH, table
from workflow.scripts.cli import code_of, flags, log, parsed, run
from workflow.scripts.tables import read_tables

SEEDS = (3, 5, 10)
TABLES = {  # heading: truths, outcomes
    "Nothing differs": ((NULL, TRIFLE), ("fixed", CLAIM, "no effect", STAYS, "inconclusive")),
    "A fix": ((FIX,), ("fixed", "helps", "no effect", STAYS, "inconclusive")),
    "Specific to ternary weights?": (TRUTHS, [f"ternary {answer}" for answer in ANSWERS]),
}


def main(argv: list[str] | None = None) -> None:
    """Write the shares of outcomes as a table and as text."""
    parser = flags(__doc__)
    parser.add_argument("--inputs", nargs="+", required=True, help="CSV files of runs")
    parser.add_argument("--question", required=True, help="arms and headline cell, as JSON")
    parser.add_argument("--thresholds", default="{}", help="a verdict block, as JSON")
    parser.add_argument("--title", default="a study", help="name of the study")
    parser.add_argument("--draws", type=int, default=1000, help="studies a scenario and size")
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    parser.add_argument("--csv", required=True, help="CSV file to write")
    parser.add_argument("--markdown", required=True, help="Markdown file to write")
    args = parsed(parser, argv)
    if args.draws < 1 or args.seed < 0:
        raise ValueError(f"--draws is {args.draws}, --seed {args.seed}; allowed: from 1, from 0")
    rows, _ = read_tables(args.inputs)
    question, thresholds = json.loads(args.question), Thresholds(**json.loads(args.thresholds))
    cells = judge(rows, thresholds, question)  # refuses what is no study
    chosen = [tuple(key) for key in cells.loc[cells["Headline"], CELL].itertuples(index=False)]
    if not chosen:
        raise ValueError(f"results hold no runs of the headline cell {question['headline']}")
    found = scenarios(fit(rows, question), chosen[0], thresholds)
    plan, lines = list(product(range(len(found)), SEEDS)), []
    for place, seeds in tqdm(plan, desc="scenarios", disable=None):
        rng = np.random.default_rng([args.seed, place, seeds])
        lines.append(rates(found[place], chosen[0], seeds, args.draws, rng, thresholds))
        log.info("%s: %s, %d seeds", found[place].truth, found[place].name, seeds)
    shares = pd.DataFrame(lines)
    write_text(args.csv, shares.to_csv(index=False, float_format="%.6g"))
    write_text(args.markdown, markdown(shares, args.title))
    output = Path(args.csv)
    lineage = {
        "error_rates": {
            "question": question,
            "thresholds": json.loads(args.thresholds),
            "title": args.title,
            "draws": args.draws,
            "seed": args.seed,
            "code": code_of("error_rates", args.code),
        }
    }
    write_record(record_of(output), [output, Path(args.markdown)], lineage, evaluated=environment())


def markdown(shares: pd.DataFrame, title: str) -> str:
    """Shares of draws in percent, a row a scenario, the numbers of seeds beside each other."""
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
            lines = [[": ".join(group), *_cells(rows[columns])] for group, rows in groups]
            if lines:
                blocks += [f"## {heading} ({rule})", table(["scenario", *shown], lines)]
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
