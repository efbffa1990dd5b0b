"""Tables of docs/sanity.md: the numbers of the files that they are made of, at their places."""

import math

import pandas as pd

from bitnet.experiments import tables
from bitnet.experiments.rules import END


def lines(text: str) -> list[list[str]]:
    return [[field.strip() for field in line.strip("|").split("|")] for line in text.splitlines()]


def test_each_seed_has_its_right_answers_by_weights_and_operator():
    rows = [
        {"Seed": seed, "Weights": kind, "Operator": op, "Right": right, "Problems": 40}
        for seed, kind, op, right in [
            (1, "ternary", "+", 31),
            (1, "ternary", "-", 32),
            (1, "ternary", "all", 63),
            (1, "full_precision", "+", 33),
            (1, "full_precision", "-", 34),
            (0, "ternary", "+", 35),
            (0, "ternary", "-", 36),
            (0, "full_precision", "+", 37),
            (0, "full_precision", "-", 38),
        ]
    ]
    header, _, first, second = lines(tables.by_seed(pd.DataFrame(rows)))
    assert header == ["seed", "ternary, +", "ternary, -", "twin, +", "twin, -"]
    assert first == ["0", "35/40", "36/40", "37/40", "38/40"]
    assert second == ["1", "31/40", "32/40", "33/40", "34/40"]


def test_stories_are_those_at_the_end():
    row = {"LastBitsPerByte": 0.5, "BestPossibleBitsPerByte": 0.25, "KnownWords": 0.999}
    row |= {"Grammatical": 0.5, "Agreeing": 0.25}
    rows = [
        {"Weights": "ternary", "Part": "untrained", **row, "Grammatical": 0},
        {"Weights": "ternary", "Part": END, **row},
        {"Weights": "full_precision", "Part": END, **row, "LastBitsPerByte": math.nan},
    ]
    _, _, *found = lines(tables.stories(pd.DataFrame(rows)))
    assert found[0] == ["ternary", "0.500", "0.250", "100%", "50%", "25%"]
    assert found[1][:2] == ["twin", "-"] and len(found) == 2


def test_a_fault_has_its_outcome_with_exact_answers_or_with_a_reason():
    said = {"outcome": "fail", "reason": "loss stuck", "loss": 1.5}
    exact = {"exact": {"+": 0.25, "-": 0.031, "all": 0.1}}
    header, _, line = lines(tables.faults({"all codes 0": {**said, **exact}}))
    assert header == ["fault", "outcome", "+", "-", "loss"]
    assert line == ["all codes 0", "fail", "25.0%", "3.1%", "1.50"]
    header, _, line = lines(tables.faults({"all codes 0": said}))
    assert header == ["fault", "outcome", "loss", "reason"] and line[-1] == "loss stuck"
