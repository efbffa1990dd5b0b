"""The arithmetic corpus: problems like `12-7=5`, and which of them are held out of training.

A corpus may pad its numbers with zeros to equal lengths and write answers from their last digit
(`12-07=500`): that is easier to learn, because each digit depends on the
two operands' digits in one place and on a carry from the digit before it (Lee et al. 2023,
"Teaching Arithmetic to Small Transformers", section 3). `Form` writes and reads both ways. A share
of the training problems may be drawn from those of one digit.

Operands are whole numbers from 0, division is integer division (`20÷6=3`, never by 0), results may
be negative. A pair of operands is held out as a whole: in either order, with every operator. So a
model that answers a held-out problem has calculated: it cannot have memorised the problem or its
mirror image. Free of torch.

    >>> next(problems({"source": "arithmetic"}, "train"))
    '67+24=91'
"""

import hashlib
import math
import operator
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import NamedTuple

import numpy as np

OPERATORS: dict[str, Callable[[int, int], int]] = {
    "+": operator.add,
    "-": operator.sub,
    "×": operator.mul,
    "÷": operator.floordiv,
}
EQUALS = "="
LARGEST_OPERAND, VALIDATION_SHARE = 100, 0.05  # defaults of a corpus
AT_ONCE = 4096  # problems drawn together
BUCKETS = 2**32  # resolution of the split by hash


class Problem(NamedTuple):
    """A problem `a op b`."""

    a: int
    op: str
    b: int

    @property
    def question(self) -> str:
        """The problem in plain notation: `12-7=`."""
        return f"{self.a}{self.op}{self.b}{EQUALS}"

    @property
    def answer(self) -> str:
        """The right answer in plain notation: `5`."""
        return str(OPERATORS[self.op](self.a, self.b))


class Form(NamedTuple):
    """How a corpus writes its problems; without arguments in plain notation."""

    operand_digits: int = 1
    """Least digits of an operand, with zeros in front."""
    answer_digits: int = 1
    """Least digits of an answer, with zeros in front."""
    reverse: bool = False
    """Whether the digits of answers are written from the last to the first, a minus before them."""

    @classmethod
    def of(cls, source: Mapping) -> "Form":
        """Form of a corpus (keys pad and reverse): padded, all answers have as many digits.

        source: the corpus's block of config.yaml.
        """
        reverse, largest = (
            source.get("reverse", False),
            source.get("largest_operand", LARGEST_OPERAND),
        )
        if not source.get("pad", False):
            return cls(reverse=reverse)
        extremes = [(largest, largest), (0, largest), (largest, 1)]
        answers = [OPERATORS[op](a, b) for op in operators_of(source) for a, b in extremes]
        return cls(len(str(largest)), max(len(str(abs(answer))) for answer in answers), reverse)

    def question(self, problem: Problem) -> str:
        """The prompt of a model: `12-07=`."""
        a, b = (f"{operand:0{self.operand_digits}}" for operand in (problem.a, problem.b))
        return f"{a}{problem.op}{b}{EQUALS}"

    def answer(self, problem: Problem) -> str:
        """The right completion of a prompt: `500`."""
        return self._written(int(problem.answer))

    def read(self, completion: str) -> str:
        """The answer that a completion gives, in plain notation; behind a `?` what is no answer."""
        digits = completion.removeprefix("-")
        if digits.isdecimal() and digits.isascii():
            number = int(digits[::-1] if self.reverse else digits)
            answer = -number if digits != completion else number
            if self._written(answer) == completion:
                return str(answer)
        return f"?{completion}"

    def _written(self, answer: int) -> str:
        digits = f"{abs(answer):0{self.answer_digits}}"
        return "-" * (answer < 0) + (digits[::-1] if self.reverse else digits)


# The examples of the original notes: always held out, so that a right answer shows something.
EXAMPLES = (
    Problem(5, "+", 3),
    Problem(12, "-", 7),
    Problem(8, "×", 6),
    Problem(20, "÷", 4),
    Problem(15, "+", 25),
)
_EXAMPLE_PAIRS = {(min(p.a, p.b), max(p.a, p.b)) for p in EXAMPLES}


def operators_of(source: Mapping) -> list[str]:
    """Operators of a corpus."""
    return list(source.get("operators", OPERATORS))


def held_out(a: int, b: int, source: Mapping) -> bool:
    """Whether a pair of operands, in either order, belongs to the validation split.

    source: the corpus's block of config.yaml (seed, validation_share).
    """
    low, high = min(a, b), max(a, b)
    digest = hashlib.sha256(f"{source.get('seed', 0)} {low} {high}".encode()).digest()
    share = source.get("validation_share", VALIDATION_SHARE)
    chosen = int.from_bytes(digest[:4], "big") < share * BUCKETS
    return chosen or (low, high) in _EXAMPLE_PAIRS


def split_problems(source: Mapping, split: str) -> dict[str, list[Problem]]:
    """All problems of a split ("train" or "validation"), by operator, in order of operands."""
    wanted, largest = split == "validation", source.get("largest_operand", LARGEST_OPERAND)
    pairs = [
        (a, b) for a, b in product(range(largest + 1), repeat=2) if held_out(a, b, source) == wanted
    ]
    return {
        op: [Problem(a, op, b) for a, b in pairs if b or op != "÷"] for op in operators_of(source)
    }


def problems(source: Mapping, split: str) -> Iterator[str]:
    """Endless stream of solved problems of a split in the corpus's form ("12-7=5").

    It is empty if an operator has none. The operator is drawn uniformly, then one of its problems
    uniformly, by the corpus's seed; of the training problems `one_digit_share` are drawn from those
    with operands of one digit.
    """
    found = list(split_problems(source, split).values())
    if not all(found):
        return
    form = Form.of(source)
    share = source.get("one_digit_share", 0.0) if split == "train" else 0.0
    short = [[p for p in each if max(p.a, p.b) < 10] or each for each in found]
    rng = np.random.default_rng([source.get("seed", 0), split == "validation"])
    while True:
        kinds, places = rng.integers(len(found), size=AT_ONCE), rng.random(AT_ONCE)
        lots = rng.random(AT_ONCE) if share else np.ones(AT_ONCE)
        for kind, place, lot in zip(kinds, places, lots, strict=True):
            drawn = (short if lot < share else found)[kind]
            problem = drawn[int(place * len(drawn))]
            yield form.question(problem) + form.answer(problem)


def examination(source: Mapping, most: int) -> list[Problem]:
    """Held-out problems for a test: at most `most`, about equally many of each operator."""
    rng = np.random.default_rng([source.get("seed", 0), most])
    kinds = sorted(split_problems(source, "validation").values(), key=len)
    chosen: list[Problem] = []
    for place, found in enumerate(kinds):  # larger kinds take what smaller ones leave
        count = min(len(found), (most - len(chosen)) // (len(kinds) - place))
        chosen += [found[i] for i in sorted(rng.permutation(len(found))[:count])]
    return chosen


def entropy_rate(source: Mapping) -> float:
    """Entropy of the corpus in nats per token: a lower bound of every model's loss.

    Operands are drawn anew for each problem, so only answers are predictable. The entropy is that
    of problems from both splits: no model knows which pairs are held out. A token is a character,
    or the start or the end of a problem.
    """
    both = [split_problems(source, split) for split in ("train", "validation")]
    by_operator = [[*both[0][op], *both[1][op]] for op in both[0]]
    form = Form.of(source)
    lengths = [
        np.mean([len(form.question(p) + form.answer(p)) + 2 for p in found])
        for found in by_operator
    ]
    choices = [math.log(len(by_operator) * len(found)) for found in by_operator]
    return float(np.mean(choices) / np.mean(lengths))


def answer_positions(ids: np.ndarray, equals: int, end: int) -> np.ndarray:
    """Mask of the targets that are characters of an answer, for windows ids (count, length + 1).

    Returns (count, length) bool: True for a target between EQUALS and the end of its problem, both
    excluded. `equals` and `end` are token ids. An answer whose EQUALS lies before its window is
    not marked.
    """
    inside = np.zeros((len(ids), ids.shape[1] - 1), dtype=bool)
    open_answer = ids[:, 0] == equals
    for column in range(1, ids.shape[1]):
        token = ids[:, column]
        inside[:, column - 1] = open_answer & (token != end) & (token != equals)
        open_answer = (open_answer & (token != end)) | (token == equals)
    return inside
