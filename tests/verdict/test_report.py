"""What a verdict says in words: one sentence, three lines, one table, the rest behind a fold."""

import itertools
import re

import pandas as pd
import pytest

from bitnet.verdict.headline import OPTIMIZERS, below, headline, result
from bitnet.verdict.outcomes import MEANINGS, named
from bitnet.verdict.report import FOLD, markdown
from tests.helpers.tables import (
    FIVE_HIGH,
    FIVE_LOW,
    LIMITS,
    LOSS,
    OUTCOMES,
    QUESTION,
    TWINS,
    WARMUP,
    cell,
    other,
    twin,
    verdict,
)

HEALTHY = OUTCOMES["no effect (nothing to fix)"].assign(Optimizer="adamw")
VOCABULARY = ("collapsed", "switch", "twin", "seed")
JARGON = (*VOCABULARY, "trunk", "arm", "TOST", "Holm", "PDR", "recovering", "diverse")


def lines(*rows, question=QUESTION) -> list[str]:
    return below(verdict(*rows, question=question), question, LIMITS)


def test_the_sentence_says_where_what_and_what_came_of_it():
    assert headline(verdict(OUTCOMES["helps"], TWINS["no"], HEALTHY), QUESTION) == (
        "At hidden size 256 under Adam with coupled L2, setting Stage-2 weight decay to 0 let "
        "models stuck on a few words begin to recover, without finishing."
    )
    question = other(QUESTION, treatment=0.01)
    rows = OUTCOMES["fixed"].replace({"Stage2WD": {0.0: 0.01}})
    assert "weight decay to 0.01 let" in headline(verdict(rows, question=question), question)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("weights", ["ternary", "full_precision"])
def test_no_sentence_is_over_thirty_words_or_speaks_the_vocabulary(optimizer, weights):
    place = {"optimizer": optimizer, "weights": weights}
    stage2 = other(QUESTION, headline={**QUESTION.headline, **place})
    warmup = other(WARMUP, headline={**WARMUP.headline, **place})
    questions = [stage2, warmup, other(stage2, **LOSS), other(warmup, **LOSS)]
    fields = verdict(OUTCOMES["fixed"]).iloc[0].to_dict() | {
        "Optimizer": optimizer,
        "Weights": weights,
        "HiddenSize": 1024,
    }
    states = ("collapsed 5/5", "diverse 5/5", "diverged 5/5")
    for question, outcome, before, sign in itertools.product(
        questions, MEANINGS, states, (1.0, -1.0)
    ):
        row = fields | {"Outcome": named(outcome, question), "TrunkStates": before}
        row |= {"ControlStates": before, f"Delta{row['Primary']}": sign}
        text = headline(pd.DataFrame([row]), question)
        assert len(text.split()) <= 30, text
        assert len(re.findall(r"\.(?![0-9])", text)) == 1, text  # one sentence
        assert not re.search(rf"\b({'|'.join(JARGON)})", text), text


def test_a_study_without_its_headline_cell_says_so():
    cells = verdict(OUTCOMES["fixed"].assign(HiddenSize=512))
    assert not cells["Headline"].any()
    assert headline(cells, QUESTION) == (
        "No answer: the runs it needs were not made (hidden_size 256, optimizer adam, weights "
        "ternary)."
    )
    assert len(below(cells, QUESTION, LIMITS)) == 1


def test_three_lines_say_twin_recommendation_and_how_sure():
    twins, advice, sure = lines(OUTCOMES["fixed"], TWINS["no"], HEALTHY)
    assert twins == (
        "In the full-precision twin (the same model without ternary weights) the same change did "
        "the same. Is getting stuck due to ternary weights: no. Is the effect: no."
    )
    assert advice == (
        "Recommended: adam with WD 0; adamw with WD 0 or WD 0.05, which ended at a loss of 4.00 "
        "nats with 89 distinct predictions."
    )
    assert sure == "How sure: high. Seeds (trainings from different random starts) compared: 5."
    other_twin = lines(OUTCOMES["fixed"], TWINS["yes"])[0]
    assert "the same change changed nothing" in other_twin
    assert other_twin.endswith("ternary weights: yes. Is the effect: yes.")


def test_lines_without_a_twin_a_survivor_or_a_claim():
    twins, advice, sure = lines(OUTCOMES["no verdict"])
    assert twins.startswith("No full-precision twin (the same model without ternary weights)")
    assert advice == "Recommended: nothing yet; too few trainings can be compared."
    _, advice, _ = lines(OUTCOMES["stays collapsed"])
    assert advice.startswith("Recommended: nothing that was tried; in no setting did most")
    unjudged = lines(OUTCOMES["no verdict"], twin(OUTCOMES["no verdict"]))[0]
    assert "the same change cannot be judged: too few trainings" in unjudged
    assert "How sure: nothing is claimed." in sure and sure.endswith("2; fewer than 5 are few.")


@pytest.mark.parametrize("name", OUTCOMES)
def test_above_the_fold_every_word_is_explained_where_it_first_stands(name):
    rows = [OUTCOMES[name], twin(OUTCOMES[name]), HEALTHY]
    text = markdown(verdict(*rows), QUESTION, LIMITS, "quick", picture="figures/a.svg")
    above, _ = text.split(FOLD)
    flat = " ".join(above.split())
    assert "![What was measured over the steps of training](figures/a.svg)" in above
    for word, meaning in {
        "collapsed": "Collapsed: under 10 distinct predictions, or no better than always guessing",
        "switch": "Switch: the step at which weight decay changes",
        "twin": "twin (the same model without ternary weights)",
        "seed": "Seeds (trainings from different random starts)",
        "diverse": "diverse: over 50",
        "recovering": "recovering: between",
    }.items():
        first = flat.lower().index(word)
        assert flat.lower().index(meaning.lower()) <= first, word
    for word in ("TOST", "Holm", "trunk", "PDR", "interval", "nan"):
        assert word not in above
    assert above.index(" twin") < above.index("Recommended") < above.index("How sure")
    assert above.index("How sure") < above.index("![") < above.index("| cell")


def test_states_and_counts_stand_in_cells_of_their_own():
    rows = [OUTCOMES["helps"], TWINS["no"]]
    text = markdown(verdict(*rows), QUESTION, LIMITS, "quick")
    table = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.split("\n") if "|" in line
    ]
    header, _, *cells = table[: 2 + len(rows)]
    expected = ["cell", "at the switch", "with WD 0.05", "count", "with WD 0", "count", "outcome"]
    assert header == expected
    assert [
        "256 adam ternary",
        "collapsed",
        "collapsed",
        "8.2",
        "recovering",
        "22.0",
        "helps",
    ] in cells
    assert not re.search(r"[0-9]/[0-9]+ [0-9.]+", text)


def test_states_that_differ_between_seeds_are_counted():
    rows = cell(8, [8, 9, 7, 8, 9], [88, 92, 80, 45, 89])
    text = markdown(verdict(rows), QUESTION, LIMITS, "quick")
    assert "| diverse 4/5 | 78.8  |" in text
    assert "treatment: diverse 4/5, recovering 1/5" in text


def test_the_legend_says_when_the_rule_was_written_and_where_the_first_one_is():
    flat = " ".join(markdown(verdict(OUTCOMES["fixed"]), QUESTION, LIMITS, "quick").split())
    assert "Rule 2, written in November 2026, before any run of 10,000 steps or more." in flat
    assert "is the column OutcomeRule1 of verdict.csv" in flat


def test_the_markdown_has_aligned_tables_that_fit_a_terminal():
    parts = [OUTCOMES["fixed"], TWINS["no"], OUTCOMES["harmful"].assign(HiddenSize=512), HEALTHY]
    text = markdown(verdict(*parts), QUESTION, LIMITS, "Weight decay")
    blocks = [block.split("\n") for block in text.split("\n\n") if block.startswith("|")]
    assert [len(block) - 2 for block in blocks] == [4, 4, 4, 5, 3]
    assert all(len({len(line) for line in block}) == 1 for block in blocks)  # of one width
    assert max(map(len, text.split("\n"))) <= 110
    assert text.startswith("# Weight decay\n\nAt hidden size 256")


def test_a_twin_is_called_so_beside_ternary_cells_alone():
    alone = markdown(verdict(TWINS["no"]), QUESTION, LIMITS, "x")
    assert "| 256 adam full_precision |" in alone and "Twin:" not in alone
    assert result(verdict(TWINS["no"]).iloc[0], QUESTION).startswith("let models stuck")


def test_a_recovery_that_neither_arm_keeps_is_not_the_treatments():
    brief = [[8, 8, 8, 8, end, 40, 4] for end in FIVE_HIGH]
    text = headline(verdict(cell(8, brief, brief)), QUESTION)
    assert text.endswith("changed little: models recovered only for a while either way.")
    text = headline(verdict(cell(8, FIVE_LOW, brief)), QUESTION)
    assert text.endswith("let models recover only for a while; they got stuck again.")
