"""Tables of docs/sanity.md: the numbers of the files that they are made of, at their places."""

import pandas as pd

from bitnet.experiments import tables


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
    alone = [row for row in rows if row["Weights"] == "ternary"]  # no twin was trained
    assert lines(tables.by_seed(pd.DataFrame(alone)))[2] == ["0", "35/40", "36/40"]


def test_a_fault_has_its_outcome_with_exact_answers_or_with_a_reason():
    said = {"outcome": "fail", "reason": "loss stuck", "loss": 1.5}
    exact = {"exact": {"+": 0.25, "-": 0.031, "all": 0.1}}
    header, _, line = lines(tables.faults({"all codes 0": {**said, **exact}}))
    assert header == ["fault", "outcome", "+", "-", "loss"]
    assert line == ["all codes 0", "fail", "25.0%", "3.1%", "1.50"]
    header, _, line = lines(tables.faults({"all codes 0": said}))
    assert header == ["fault", "outcome", "loss", "reason"] and line[-1] == "loss stuck"
