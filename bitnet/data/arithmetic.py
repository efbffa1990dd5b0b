"""The arithmetic corpus: problems like `12-7=5`, and the pairs of operands that are held out.

Operands are whole numbers from 0, division is whole (`20÷6=3`, never by 0), results may be
negative. A pair of operands is held out as a whole: in either order, with every operator. So a
right answer to a held-out problem is calculated, neither remembered nor turned round. Free of
torch.

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
LARGEST_OPERAND, VALIDATION_SHARE = 100, 0.05  # where a corpus does not say
AT_ONCE = 4096  # problems drawn together
BUCKETS = 2**32  # of the hash that holds pairs out


class Problem(NamedTuple):
    """a op b."""

    a: int
    op: str
    b: int

    @property
    def question(self) -> str:
        """What a model is given: `12-7=`."""
        return f"{self.a}{self.op}{self.b}{EQUALS}"

    @property
    def answer(self) -> str:
        """What it has to write: `5`."""
        return str(OPERATORS[self.op](self.a, self.b))


# The examples of the notes that began this: always held out, so that they show something.
EXAMPLES = (
    Problem(5, "+", 3),
    Problem(12, "-", 7),
    Problem(8, "×", 6),
    Problem(20, "÷", 4),
    Problem(15, "+", 25),
)
_EXAMPLE_PAIRS = {(min(p.a, p.b), max(p.a, p.b)) for p in EXAMPLES}


def held_out(a: int, b: int, source: Mapping) -> bool:
    """Whether a pair of operands, in either order, belongs to the validation split."""
    low, high = min(a, b), max(a, b)
    digest = hashlib.sha256(f"{source.get('seed', 0)} {low} {high}".encode()).digest()
    share = source.get("validation_share", VALIDATION_SHARE)
    chosen = int.from_bytes(digest[:4], "big") < share * BUCKETS
    return chosen or (low, high) in _EXAMPLE_PAIRS


def split_problems(source: Mapping, split: str) -> dict[str, list[Problem]]:
    """All problems of one split of an arithmetic corpus, by operator, in order of operands."""
    wanted, largest = split == "validation", source.get("largest_operand", LARGEST_OPERAND)
    pairs = [
        (a, b) for a, b in product(range(largest + 1), repeat=2) if held_out(a, b, source) == wanted
    ]
    return {
        op: [Problem(a, op, b) for a, b in pairs if b or op != "÷"]
        for op in source.get("operators", OPERATORS)
    }


def problems(source: Mapping, split: str) -> Iterator[str]:
    """An endless stream of solved problems: an operator, then a pair, each equally likely."""
    found = list(split_problems(source, split).values())
    if not all(found):
        return
    rng = np.random.default_rng([source.get("seed", 0), split == "validation"])
    while True:
        kinds, places = rng.integers(len(found), size=AT_ONCE), rng.random(AT_ONCE)
        for kind, place in zip(kinds.tolist(), places.tolist(), strict=True):
            problem = found[kind][int(place * len(found[kind]))]
            yield problem.question + problem.answer


def examination(source: Mapping, most: int) -> list[Problem]:
    """Held-out problems to be solved: all, or at most `most`, about as many of each operator."""
    rng = np.random.default_rng([source.get("seed", 0), most])
    kinds = sorted(split_problems(source, "validation").values(), key=len)
    chosen: list[Problem] = []
    for place, found in enumerate(kinds):  # what a small kind leaves goes to the larger ones
        count = min(len(found), (most - len(chosen)) // (len(kinds) - place))
        chosen += [found[i] for i in sorted(rng.permutation(len(found))[:count])]
    return chosen


def entropy_rate(source: Mapping) -> float:
    """Nats a token that no model can go below where operands are drawn anew for each problem.

    Of problems drawn from both splits, as held-out operands look to whoever knows everything but
    which pairs are held out. A token is a character, or the start or the end of a problem.
    """
    both = [split_problems(source, split) for split in ("train", "validation")]
    by_operator = [[*both[0][op], *both[1][op]] for op in both[0]]
    lengths = [np.mean([len(p.question + p.answer) + 2 for p in found]) for found in by_operator]
    choices = [math.log(len(by_operator) * len(found)) for found in by_operator]
    return float(np.mean(choices) / np.mean(lengths))


def answer_positions(ids: np.ndarray, equals: int, end: int) -> np.ndarray:
    """Which targets are characters of an answer, for windows ids (count, length + 1).

    Returns (count, length) bool: True at a target between EQUALS and the end of its problem, both
    left out. The rest of a problem whose EQUALS lies before the window counts as no answer.
    """
    inside = np.zeros((len(ids), ids.shape[1] - 1), dtype=bool)
    open_answer = ids[:, 0] == equals
    for column in range(1, ids.shape[1]):
        token = ids[:, column]
        inside[:, column - 1] = open_answer & (token != end) & (token != equals)
        open_answer = (open_answer & (token != end)) | (token == equals)
    return inside
