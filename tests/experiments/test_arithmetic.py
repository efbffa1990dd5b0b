"""Arithmetic: right problems, pairs of operands that no training sees, exact matches counted."""

import math
import re
from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch

from bitnet.data.arithmetic import (
    EXAMPLES,
    Form,
    Problem,
    answer_positions,
    entropy_rate,
    examination,
    problems,
    split_problems,
)
from bitnet.data.corpora import Documents
from bitnet.data.tokenizer import Tokenizer
from bitnet.data.tokenizer_training import train_characters
from bitnet.experiments.arithmetic import complaints, judge, markdown, scores
from bitnet.experiments.runs import Answers
from bitnet.inference import completions
from tests.helpers.recipes import recipe

FULL = {"source": "arithmetic", "seed": 0}
SMALL = {"source": "arithmetic", "operators": ["+", "-"], "largest_operand": 20}
SMALL |= {"validation_share": 0.15}
WRITTEN = {**SMALL, "largest_operand": 50, "pad": True, "reverse": True}
LINE = re.compile(r"(\d+)([-+×÷])(\d+)=(-?\d+)")


def parsed(text: str) -> tuple[int, str, int, int]:
    a, op, b, c = LINE.fullmatch(text).groups()
    return int(a), op, int(b), int(c)


@pytest.mark.parametrize("source", [FULL, SMALL])
def test_every_problem_is_right_by_pythons_own_arithmetic(source):
    largest = source.get("largest_operand", 100)
    kinds = Counter()
    for text in islice(Documents(source, "train"), 5000):
        a, op, b, c = parsed(text)
        assert 0 <= a <= largest and 0 <= b <= largest
        right = {"+": a + b, "-": a - b, "×": a * b, "÷": a // b if b else None}[op]
        assert c == right, text
        kinds[op] += 1
    assert set(kinds) == set(source.get("operators", "+-×÷"))
    each = 5000 / len(kinds)
    assert all(abs(n - each) < 5 * math.sqrt(each) for n in kinds.values())


@pytest.mark.parametrize("source", [FULL, SMALL])
def test_no_pair_of_operands_is_in_both_splits_in_either_order(source):
    def pairs(split):
        read = map(parsed, islice(problems(source, split), 20_000))
        return {frozenset((a, b)) for a, _, b, _ in read}

    train, validation = pairs("train"), pairs("validation")
    assert not train & validation
    found = split_problems(source, "validation").values()
    listed = {frozenset((p.a, p.b)) for of_operator in found for p in of_operator}
    assert validation <= listed and not train & listed


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_so_many_training_problems_more_have_one_digit_and_held_out_ones_are_as_they_were(share):
    plain = [*islice(problems(FULL, "validation"), 200)]
    source = {**FULL, "one_digit_share": share}
    assert [*islice(problems(source, "validation"), 200)] == plain
    read = [parsed(text) for text in islice(problems(source, "train"), 5000)]
    found = np.mean([max(a, b) < 10 for a, _, b, _ in read])
    expected = share + (1 - share) * 100 / 101**2
    assert found == pytest.approx(expected, abs=0.03)
    held = {p for each in split_problems(source, "validation").values() for p in each}
    assert not held & {Problem(a, op, b) for a, op, b, _ in read}


def test_the_splits_together_are_all_problems():
    both = [split_problems(FULL, split) for split in ("train", "validation")]
    assert sum(len(found["+"]) for found in both) == 101 * 101
    assert sum(len(found["÷"]) for found in both) == 101 * 100  # never by 0
    assert len(both[1]["+"]) == pytest.approx(0.05 * 101 * 101, rel=0.2)


def test_the_examples_of_the_notes_are_held_out_and_right():
    held = {p for found in split_problems(FULL, "validation").values() for p in found}
    assert set(EXAMPLES) <= held
    assert [p.answer for p in EXAMPLES] == ["8", "5", "48", "5", "40"]


def test_a_seed_repeats_its_problems_and_another_holds_out_others():
    assert [*islice(problems(FULL, "train"), 50)] == [*islice(problems(FULL, "train"), 50)]
    other = split_problems({**FULL, "seed": 1}, "validation")
    assert other != split_problems(FULL, "validation")


def test_the_examination_has_2000_problems_or_all_there_are_as_many_of_each_operator():
    chosen = examination(FULL, 2000)
    assert len(set(chosen)) == 2000 and set(Counter(p.op for p in chosen).values()) == {500}
    everything = [p for found in split_problems(SMALL, "validation").values() for p in found]
    assert sorted(examination(SMALL, 2000)) == sorted(everything)


def test_the_entropy_rate_is_that_of_a_corpus_small_enough_to_count():
    # Operands 0 and 1, only +: four problems of equal chance, each 5 characters, start and end.
    tiny = {"operators": ["+"], "largest_operand": 1, "validation_share": 0.0}
    assert entropy_rate(tiny) == pytest.approx(math.log(4) / 7)


def test_answer_positions_are_the_characters_between_equals_and_end():
    # 1 = start, 2 = end, 9 = equals; the window begins inside a problem.
    ids = np.array([[4, 2, 1, 3, 9, 5, 6, 2, 1, 9, 7]])
    found = answer_positions(ids, equals=9, end=2)
    assert found.tolist() == [[0, 0, 0, 0, 1, 1, 0, 0, 0, 1]]
    inside = np.array([[9, 5, 2, 1, 4]])
    assert answer_positions(inside, 9, 2).tolist() == [[1, 0, 0, 0]]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Tokenizer:
    path = tmp_path_factory.mktemp("characters") / "t.model"
    train_characters(islice(problems(FULL, "train"), 3000), 32, path)
    return Tokenizer(path)


def test_the_character_tokenizer_has_32_pieces_and_one_a_character(tokenizer):
    assert tokenizer.vocab_size == 32
    for text in islice(problems(FULL, "validation"), 200):
        (ids,) = tokenizer.encode_documents([text])
        assert len(ids) == len(text) + 2 and tokenizer.decode(ids) == text
    sizes = tokenizer.piece_bytes()
    assert sizes[tokenizer.model.piece_to_id("×")] == 2 and sizes[1:].sum() == 10 + 3 + 2 * 2


@pytest.mark.parametrize(
    ("text", "size", "words"),
    [("abc", 5, "vocab_size is 5; allowed: at least 6"), ("a \u2581b", 32, "a text that holds")],
)
def test_a_text_that_characters_cannot_spell_is_refused(tmp_path, text, size, words):
    with pytest.raises(ValueError, match=words):
        train_characters([text], size, tmp_path / "t.model")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem(12, "-", 7), "12-07=500"),
        (Problem(7, "-", 12), "07-12=-500"),
        (Problem(50, "+", 50), "50+50=001"),
        (Problem(0, "-", 50), "00-50=-050"),
    ],
)
def test_a_padded_and_reversed_problem_is_read_back_in_plain_notation(problem, text):
    form = Form.of(WRITTEN)
    assert form.question(problem) + form.answer(problem) == text
    assert form.read(text.split("=")[1]) == problem.answer
    assert Form.of(SMALL).read(problem.answer) == problem.answer


@pytest.mark.parametrize("largest", [9, 50, 100])
@pytest.mark.parametrize("operators", ["+-", "-", "÷", "+-×÷"])
def test_all_answers_of_a_padded_corpus_are_equally_long_and_read_back(largest, operators):
    source = {"largest_operand": largest, "operators": [*operators], "pad": True, "reverse": True}
    form = Form.of(source)
    assert Form.of({**source, "reverse": False}).answer(Problem(largest, operators[0], 1))
    lengths = set()
    for found in split_problems(source, "train").values():
        for p in found:
            assert form.read(form.answer(p)) == p.answer
            lengths.add(len(form.question(p) + form.answer(p).removeprefix("-")))
    assert len(lengths) == 1


@pytest.mark.parametrize(
    "odd", ["5", "50", "0500", "500-", "-05", "--500", "", "500…", "-000", "x"]
)
def test_a_completion_of_another_form_is_no_answer(odd):
    assert Form.of(WRITTEN).read(odd) == f"?{odd}"


def test_the_text_of_a_corpus_is_in_its_form():
    texts = list(islice(Documents({**WRITTEN, "source": "arithmetic"}, "train"), 500))
    assert all(re.fullmatch(r"\d\d[-+]\d\d=-?\d{3}", text) for text in texts)
    turned = [re.sub(r"\d{3}$", lambda digits: digits[0][::-1], text) for text in texts]
    for a, op, b, c in map(parsed, turned):
        assert c == (a + b if op == "+" else a - b)
    # A sum is 9 characters, start and end; 25 of 51 differences have a minus.
    length = (11 + 11 + 25 / 51) / 2
    assert entropy_rate(WRITTEN) == pytest.approx(math.log(2 * 51 * 51) / length)


class Calculator:
    """Stands in for a model: the right answer, but that + is out by one and ÷ never ends."""

    device = torch.device("cpu")

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer, self.context = tokenizer, 64

    def cache(self, batch_size: int):
        return type("Cache", (), {"length": 0, "texts": [""] * batch_size})()

    def next_logits(self, ids, cache):
        cache.length += ids.shape[1]
        cache.texts = [
            text + self.tokenizer.decode(row)
            for text, row in zip(cache.texts, ids.tolist(), strict=True)
        ]
        logits = torch.zeros(len(ids), 32)
        for row, text in enumerate(cache.texts):
            question, written = re.match(r"(.*=)(.*)", text).groups()
            a, op, b = re.match(r"(\d+)(.)(\d+)", question).groups()
            answer = Problem(int(a), op, int(b)).answer
            answer = {"+": str(int(answer) + 1), "÷": "1" * 99}.get(op, answer)
            left = answer[len(written) :]
            end = self.tokenizer.model.eos_id()
            logits[row, self.tokenizer.model.piece_to_id(left[0]) if left else end] = 1
        return logits


def test_answers_are_read_greedily_to_the_end_of_the_problem(tokenizer):
    asked = [Problem(5, "+", 3), Problem(12, "-", 77), Problem(8, "×", 6), Problem(20, "÷", 4)]
    assert completions.answers(Calculator(tokenizer), tokenizer, asked, Form()) == [
        "9",
        "-65",
        "48",
        "?11111111…",
    ]


def run(weights: str = "ternary", wrong: int = 0, **change) -> Answers:
    """What the script finds of a run: 100 problems with + and 100 with -, `wrong` of + wrong."""
    asked = [Problem(i, op, 7) for op in "+-" for i in range(100)]
    written = [p.answer for p in [*EXAMPLES, *asked]]
    for i in range(wrong):
        written[len(EXAMPLES) + i] = "x"
    losses = {"step": [0, 9], "all": [3.4, 0.9], "answer": [3.3, 0.1], "train": [3.4, 0.9]}
    losses |= {"positions": 4096, "answer_positions": 700}
    fields = {
        "recipe": recipe(weights),
        "trained": {"diverged": False, "data": "d"},
        "code": "c",
        "problems": [list(p) for p in [*EXAMPLES, *asked]],
        "written": written,
        "losses": losses,
        "unigram": 2.4,
        "best_possible": 0.8,
        "weights": {},
    }
    return Answers.from_dict({**fields, **change})


def test_exact_matches_are_counted_by_operator_without_the_examples():
    rows = scores({"a": run(wrong=4)}).set_index("Operator")
    assert rows.loc["+", ["Right", "Problems"]].tolist() == [96, 100]
    assert rows.loc["all", ["Right", "Problems"]].tolist() == [196, 200]
    # Wilson's interval of 96 of 100, by its formula with z = 1.96
    assert rows.loc["+", "ExactLow"] == pytest.approx(0.9016, abs=1e-3)
    assert rows.loc["+", "ExactHigh"] == pytest.approx(0.9843, abs=1e-3)


@pytest.mark.parametrize(("wrong", "passes"), [(0, True), (5, True), (6, False)])
def test_95_percent_of_each_operator_pass(wrong, passes):
    found = judge({"a": run(wrong=wrong), "b": run("full_precision")})
    assert found["passed"] is passes
    assert passes or "94 of 100 held-out problems with + are right" in found["reason"]


def test_multiplication_is_measured_and_not_judged():
    asked = [Problem(i, "×", 7) for i in range(50)]
    found = run(problems=[list(p) for p in [*EXAMPLES, *asked]], written=["1"] * 55)
    assert complaints(found) == [] and scores({"a": found})["Right"].tolist() == [0, 0]


def test_the_twin_says_where_to_look():
    both = judge({"a": run(wrong=50), "b": run("full_precision", wrong=50)})
    assert not both["passed"] and "the full-precision twins fail as well" in both["reason"]
    alone = judge({"a": run(wrong=50), "b": run("full_precision")})
    assert not alone["passed"] and "the full-precision twins pass" in alone["reason"]


def test_a_diverged_run_and_one_that_never_ends_an_answer_fail():
    nan = run(written=[], trained={"diverged": True, "data": "d"})
    assert "NaN" in judge({"a": nan})["reason"]
    endless = run()
    endless.written[10:60] = ["1…"] * 50
    assert any("25% of answers do not end" in line for line in complaints(endless))


def test_the_report_prints_the_five_examples_and_every_n():
    text = markdown({"h128_wd0": run(wrong=4), "h128_wd0_fp": run("full_precision")}, "arithmetic")
    assert text.splitlines()[0] == "# Arithmetic: arithmetic: pass" and "**pass**" in text
    assert "truncates" in text  # what a pass does not show
    assert "96/100 = 96.0% [90.2%, 98.4%]" in text and "4,096" in text
    for example in ("5+3=8", "12-7=5", "8×6=48", "20÷4=5", "15+25=40"):
        assert example in text
    assert text.count("outside what was taught") == 2  # × and ÷
