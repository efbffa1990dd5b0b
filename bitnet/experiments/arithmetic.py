"""Report on the arithmetic experiment: share of exact answers per operator, losses, examples."""

from collections.abc import Mapping

import pandas as pd
from statsmodels.stats.proportion import proportion_confint

from bitnet.common.markdown import bullets, fill, number, table
from bitnet.data.arithmetic import EXAMPLES, OPERATORS, Problem
from bitnet.experiments.rules import BROKEN, by_weights, of_losses, outcome, word
from bitnet.experiments.runs import Answers

# Only operators that a column-by-column method solves decide the outcome. Products of two-digit
# numbers are known to be too hard for small transformers (Dziri et al. 2023), so × and ÷ are only
# reported.
JUDGED = ("+", "-")
EXACT = 0.95  # required share of exact answers to held-out problems
UNFINISHED_SHARE = 0.1  # largest allowed share of answers without an end
ORIGINAL = "3.5 at the start, 0.5 at the end"  # the original notes' loss
ALL = "all"


def graded(run: Answers) -> pd.DataFrame:
    """Table with one row per held-out problem of a run: Operator, Question, Written, Right.

    The five examples at the beginning are left out: a corpus that covers them has them among its
    other problems too. Empty for a run that diverged.
    """
    problems = [Problem(*parts) for parts in run.problems]
    rows = [
        {
            "Operator": p.op,
            "Question": p.question,
            "Written": written,
            "Right": written == p.answer,
        }
        for p, written in zip(problems, run.written, strict=bool(run.written))
    ]
    columns = ["Operator", "Question", "Written", "Right"]
    return pd.DataFrame(rows, columns=columns).iloc[len(EXAMPLES) :]


def scores(runs: Mapping[str, Answers]) -> pd.DataFrame:
    """Table with one row per run and operator, and one for ALL operators together.

    Exact answers with their Wilson interval (95 %), and the run's losses in nats per token.
    """
    rows = []
    for name, run in runs.items():
        answers, recipe, losses = graded(run), run.recipe, run.losses
        for op in [*(op for op in OPERATORS if op in set(answers["Operator"])), ALL]:
            own = answers if op == ALL else answers[answers["Operator"] == op]
            right, count = int(own["Right"].sum()), len(own)
            low, high = proportion_confint(right, max(count, 1), method="wilson")
            rows.append(
                {
                    "Run": name,
                    "Weights": recipe.model.weights,
                    "Seed": recipe.training.seed,
                    "Operator": op,
                    "Right": right,
                    "Problems": count,
                    "Exact": right / max(count, 1),
                    "ExactLow": low,
                    "ExactHigh": high,
                    "FirstLoss": losses["all"][0],
                    "LastLoss": losses["all"][-1],
                    "BestPossibleLoss": run.best_possible,
                    "UnigramLoss": run.unigram,
                    "FirstAnswerLoss": losses["answer"][0],
                    "LastAnswerLoss": losses["answer"][-1],
                }
            )
    return pd.DataFrame(rows)


def complaints(run: Answers) -> list[str]:
    """Reasons why a run fails, one line each; empty if it passes."""
    wrong = of_losses(run.losses["all"], run.unigram, run.diverged)
    answers = graded(run)
    if answers.empty:
        return wrong or ["no answers"]
    unfinished = answers["Written"].str.endswith("…").mean()
    if unfinished > UNFINISHED_SHARE:
        wrong.append(f"{unfinished:.0%} of answers do not end")
    for op in JUDGED:
        own = answers[answers["Operator"] == op]
        if len(own) and own["Right"].mean() < EXACT:
            wrong.append(
                f"{own['Right'].sum()} of {len(own)} held-out problems with {op} are right, "
                f"{EXACT:.0%} are asked for"
            )
    return wrong


def judge(runs: Mapping[str, Answers]) -> dict:
    """Outcome of the experiment as `rules.outcome` returns it: passed, complaints, reason."""
    return outcome(by_weights(runs, complaints))


def markdown(runs: Mapping[str, Answers], title: str) -> str:
    """The report as Markdown: outcome, tables of exact answers, losses and examples, notes."""
    rows, found = scores(runs), judge(runs)
    last = next(iter(runs.values())).losses
    notes = [
        "Held out are pairs of operands, in either order and with every operator. Answers are "
        "decoded greedily and right if every character is; [ ] is the Wilson interval, 95 %. They "
        "are shown in plain notation, whatever the corpus's; behind a ? stands what is no number.",
        f"It passes if {EXACT:.0%} are right of each of {' and '.join(JUDGED)}, if answers end, "
        "and if the loss is finite and below the unigram's. × and ÷ are measured and do not count.",
        "A pass does not show that the quantisers round: training can learn around one that "
        f"truncates. Unit tests of the quantisers show it. {BROKEN}",
        f"Losses are nats a token at {last['positions']:,} held-out positions, of which "
        f"{last['answer_positions']:,} are characters of answers. The original notes' loss was "
        f"{ORIGINAL}, of text that is not known. Operands are drawn at random here, so no model "
        "can go below the best possible on all tokens; on answers it can go to 0.",
    ]
    return "\n\n".join(
        [
            f"# Arithmetic: {title}: {word(found)}",
            fill(f"**{word(found)}**: {found['reason']}."),
            "## Held-out problems answered right",
            _exact_table(rows),
            "## Loss",
            _loss_table(rows),
            "## The five examples",
            _example_table(runs),
            "## How it is measured",
            bullets(notes),
            "",
        ]
    )


def _exact_table(rows: pd.DataFrame) -> str:
    operators = [op for op in rows["Operator"].unique() if op != ALL]  # which do not all count
    lines = []
    for name, own in rows.groupby("Run", sort=False):
        by_operator = own.set_index("Operator")
        lines.append([name, own["Weights"].iloc[0]])
        for op in operators:
            r = by_operator.loc[op]
            lines[-1].append(
                f"{r['Right']:.0f}/{r['Problems']:.0f} = {r['Exact']:.1%} "
                f"[{r['ExactLow']:.1%}, {r['ExactHigh']:.1%}]"
            )
    return table(["run", "weights", *operators], lines)


def _loss_table(rows: pd.DataFrame) -> str:
    columns = ["FirstLoss", "LastLoss", "BestPossibleLoss", "UnigramLoss"]
    columns += ["FirstAnswerLoss", "LastAnswerLoss"]
    shown = ["all, start", "all, end", "best possible", "unigram", "answers, start", "answers, end"]
    own = rows[rows["Operator"] == ALL]
    lines = [
        [r["Run"], r["Weights"], *(number(r[column], ".3f") for column in columns)]
        for _, r in own.iterrows()
    ]
    return table(["run", "weights", *shown], lines)


def _example_table(runs: Mapping[str, Answers]) -> str:
    asked = [p for run in runs.values() for p in run.problems[len(EXAMPLES) :]]
    taught, largest = {op for _, op, _ in asked}, max(max(a, b) for a, _, b in asked)
    lines = []
    for place, problem in enumerate(EXAMPLES):
        cells = [run.written[place] if run.written else "-" for run in runs.values()]
        inside = problem.op in taught and max(problem.a, problem.b) <= largest
        note = "held out" if inside else "outside what was taught"
        lines.append([f"{problem.question}{problem.answer}", *cells, note])
    return table(["example", *runs, ""], lines)
