"""The reports' printed numbers beside those of runs at the same steps."""

import pandas as pd

from bitnet.claims.printed import COUNTS, beside
from tests.claims.test_results_template import filled
from tests.helpers.tables import LIMITS, cell, run


def long_run(seed: int, counts: list[int], **columns) -> pd.DataFrame:
    """A run read at steps 0, 1, 1,000, ... 6,000 and 10,000."""
    steps = [0, 1000, 2000, 3000, 5000, 6000, 10_000]
    changes = {"Step": steps, "Unique20": counts, "SwitchStep": 5000}
    return run(seed, 0.0, 8, 90).assign(**changes | columns)


def test_means_stand_beside_what_was_printed_at_the_same_step():
    ours = [long_run(s, [20, 16 + s, 4, 2, 2, 7, 11 + s]) for s in range(2)]
    twin = long_run(0, [20, 1, 2, 2, 2, 2, 4], Weights="full_precision")
    text = beside(pd.concat([*ours, twin]), LIMITS)
    lines = [[c.strip() for c in line.strip("|").split("|")] for line in text.splitlines()]
    found = {line[0]: line[1:] for line in lines if len(line) > 3}
    assert found["1,000"] == ["16", "-", "16.5", "8.0", "4.00", "1.0", "8.0", "4.00"]
    assert found["5,000"][:3] == ["2", "10.34", "2.0"]
    assert found["10,000"][:3] == ["13", "-", "11.5"] and found["10,000"][5] == "4.0"
    assert found["4,000"][2:] == ["-"] * 6  # nothing was read there
    assert "means of 2 seeds" in text and "a count of 13, the last printed one" in text
    assert "would be recovering if" in text  # 10 to 50


def test_only_runs_of_as_many_steps_at_a_size_and_rate_that_were_printed_are_compared():
    assert beside(cell(8, [8], [90]), LIMITS) == ""  # 600 steps
    assert beside(long_run(0, [2] * 7, HiddenSize=64), LIMITS) == ""
    reduced = beside(long_run(0, [2] * 7, PeakLR=5e-4), LIMITS)
    assert "| 3,000 | 14" in reduced and "| 5,000" not in reduced
    assert "## Beside" not in filled(cell(8, [8], [90]))


def test_no_printed_count_exceeds_what_twenty_contexts_can_give():
    assert all(0 < count <= 20 for counts in COUNTS.values() for count in counts.values())
