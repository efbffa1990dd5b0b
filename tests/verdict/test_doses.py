"""Values of an axis beside the two arms: a table of all, each against the control."""

import pandas as pd
import pytest

from bitnet.verdict.doses import doses, section
from tests.helpers.tables import FIVE_HIGH, FIVE_LOW, LIMITS, QUESTION, cell, run


def dosed() -> pd.DataFrame:
    """A collapsed control, a fix at 0, the same at 0.001 and nothing at 0.01."""
    more = {0.001: [80, 84, 78, 90, 86], 0.01: [8, 7, 9, 8, 9]}
    runs = [run(s, d, 8, counts[s]) for d, counts in more.items() for s in range(5)]
    return pd.concat([cell(8, FIVE_LOW, FIVE_HIGH), *runs])


def test_every_value_is_compared_with_the_control_as_the_treatment_is():
    found = doses(dosed(), LIMITS, QUESTION).set_index("Dose")
    assert found["Outcome"].to_dict() == {0.0: "fixed", 0.001: "fixed", 0.01: "stays collapsed"}
    # 10 is the floor of an effective count: ratios by hand
    assert found.loc[0.01, "DeltaUniquePredictions"] == pytest.approx(0)
    assert found.loc[0.001, "TreatmentUnique"] == pytest.approx((80 + 84 + 78 + 90 + 86) / 5)


def test_the_table_has_a_line_a_value_and_the_control():
    text = section(doses(dosed(), LIMITS, QUESTION), QUESTION)
    first = [line.split("|")[2].strip() for line in text.splitlines()[4:]]
    assert text.startswith("## Every value of WD\n") and first == ["0", "0.001", "0.01", "0.05"]
    assert "| stays collapsed" in text.splitlines()[6] and "nan" not in text


def test_a_study_of_two_values_has_no_such_table():
    assert doses(cell(8, FIVE_LOW, FIVE_HIGH), LIMITS, QUESTION).empty


def test_a_value_of_few_seeds_decides_nothing():
    few = pd.concat([cell(8, FIVE_LOW, FIVE_HIGH), run(0, 0.001, 8, 80)])
    found = doses(few, LIMITS, QUESTION).set_index("Dose")
    assert found["Outcome"].to_dict() == {0.0: "fixed", 0.001: "no verdict"}
