"""How often the verdict's rule errs, in studies drawn with the spread of a measured one.

    python -m workflow.scripts.error_rates --inputs results/quick/h64_*.csv --question \\
        '{"treatment": 0, "control": 0.05, "headline": {"hidden_size": 64, "optimizer": "adam", \\
        "weights": "ternary"}}' --title quick --csv error_rates.csv --markdown error_rates.md

writes error_rates.provenance.json beside the output. Each CSV needs its own record beside it. The
same --seed gives the same numbers. With --page docs/error_rates.md that page holds the same text
between its marks, and the numbers stand in the CSV file beside it.
"""

import json
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from bitnet.common.files import write_text
from bitnet.common.markdown import bullets, fill, table
from bitnet.config.thresholds import Thresholds
from bitnet.verdict.error_rates.generator import draw, fit
from bitnet.verdict.error_rates.rates import LEVEL, answers, rates
from bitnet.verdict.error_rates.scenarios import NOTHING, SCENARIOS
from bitnet.verdict.rule import judge
from workflow.helpers.cli import log, parsed, run
from workflow.helpers.tables import judging_flags, original, read_tables, seal

SEEDS = (3, 5, 10)
TOO_OFTEN = 0.05  # wrong claims where nothing differs
BEGIN, END = "<!-- written by workflow/scripts/error_rates.py -->", "<!-- end of the table -->"


def main(argv: list[str] | None = None) -> None:
    """Write the shares of right and wrong answers as a table and as text."""
    parser = judging_flags(__doc__, "a study")
    parser.add_argument("--draws", type=int, default=500, help="studies a scenario and size")
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    parser.add_argument("--page", type=Path, help="page to hold the text between its marks")
    args = parsed(parser, argv)
    if args.draws < 1 or args.seed < 0:
        raise ValueError(f"--draws is {args.draws}, --seed {args.seed}; allowed: from 1, from 0")
    question, thresholds = original(args.question), Thresholds(**json.loads(args.thresholds))
    rows, _ = read_tables(args.inputs)
    judge(rows, thresholds, question)  # refuses what is no study
    spread, lines = fit(rows, question, thresholds), []
    for place, seeds in tqdm([*product(range(len(SCENARIOS)), SEEDS)], "scenarios", disable=None):
        scenario, rng = SCENARIOS[place], np.random.default_rng([args.seed, place, seeds])
        runs = {k: draw(t, spread, args.draws, seeds, rng) for k, t in scenario.cells.items()}
        lines.append(rates(scenario, list(answers(scenario, runs, thresholds))))
        lines[-1] |= {"Seeds": seeds, "Draws": args.draws}
        log.info("%s: %s, %d seeds", scenario.group, scenario.name, seeds)
    shares = pd.DataFrame(lines).assign(Title=args.title, Spread=spread_words(spread))
    numbers = shares.to_csv(index=False, float_format="%.6g")
    text = markdown(shares)
    write_text(args.csv, numbers)
    write_text(args.markdown, f"# Error rates of the verdict\n\n{text}")
    if args.page:
        write_text(args.page.with_suffix(".csv"), numbers)
        write_text(args.page, placed(text, args.page.read_text(encoding="utf-8")))
    seal(args, "error_rates", draws=args.draws, seed=args.seed)


def spread_words(spread: np.ndarray) -> str:
    """Standard deviation of one evaluation of each kind, of what `generator.fit` found."""
    total = np.hypot(*spread).T  # (2, KINDS)
    return "; ".join(
        f"{what} {', '.join(f'{sd:.3f}' for sd in kinds)}"
        for what, kinds in zip(("ln count", "loss"), total, strict=True)
    )


def markdown(shares: pd.DataFrame) -> str:
    """Tables of right and wrong answers in percent, and the scenarios that err too often."""
    first, sizes = shares.iloc[0], " / ".join(map(str, shares["Seeds"].unique()))
    widest = max((shares[f"{c}High"] - shares[f"{c}Low"]).max() for c in ("Right", "Wrong"))
    words = (
        f"Percent of {first['Draws']:,} drawn studies with {sizes} seeds that give the right "
        f"answer, and that say something untrue; the rest say nothing, or less. Intervals "
        f"({LEVEL:.0%}, Wilson) are at most ± {50 * widest:.1f}. Spread of {first['Title']}, "
        f"collapsed, recovered, healthy: {first['Spread']} nats."
    )
    blocks, often = [fill(words)], []
    for group, rows in shares.groupby("Group", sort=False):
        lines = []
        for (name, answer), sizes_of in rows.groupby(["Scenario", "Answer"], sort=False):
            lines.append([name, answer, *(_percent(sizes_of[c]) for c in ("Right", "Wrong"))])
            if group == NOTHING and (sizes_of["Wrong"] > TOO_OFTEN).any():
                often.append(f"{name}: {lines[-1][-1]}")
        blocks += [f"### {group}", table(["truth", "right answer", "right", "wrong"], lines)]
    if often:
        heading = f"Wrong in more than {TOO_OFTEN:.0%} of studies where nothing differs:"
        blocks += [heading, bullets(often)]
    return "\n\n".join(blocks) + "\n"


def placed(text: str, page: str) -> str:
    """A page with this text between its marks; ValueError where it has none."""
    if page.count(BEGIN) != 1 or page.count(END) != 1:
        raise ValueError(f"page has not one '{BEGIN}' and one '{END}'")
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{text}\n{END}{rest.partition(END)[2]}"


def _percent(shares: pd.Series) -> str:
    """One number after the other: '1.6 / 1.1 / 0'."""
    return " / ".join(f"{100 * share:.1f}".removesuffix(".0") for share in shares)


if __name__ == "__main__":
    run(main)
