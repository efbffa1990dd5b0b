"""Tables of the findings: what each cell is the mean of."""

import pandas as pd

from bitnet.claims.findings import by_optimizer
from tests.claims.test_printed import long_run


def test_finished_runs_are_read_at_the_switch_and_at_the_end_of_each_arm():
    def arm(seed, decay, counts, **columns):
        return long_run(seed, [20] * 7, Stage2WD=decay, UniquePredictions=counts, **columns)

    rows = [
        arm(0, 0.0, [9, 9, 9, 9, 2, 9, 40]),
        arm(1, 0.0, [9, 9, 9, 9, 4, 9, 60]),
        arm(0, 0.05, [9, 9, 9, 9, 2, 9, 7]),
        arm(0, 0.0, [9, 9, 9, 9, 99, 9, 99], Variant="lr5e-4"),
        arm(0, 0.0, [9, 9, 9, 9, 80, 9, 90], Optimizer="adamw", Weights="full_precision"),
    ]
    lines = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in by_optimizer(pd.concat(rows)).splitlines()[2:]
    ]
    adam, adamw = sorted(lines)
    assert adam[:4] == ["adam", "ternary", "2", "3.0"]  # two trunks
    assert adam[5] == "7.0" and adam[7] == "50.0"
    assert adamw[:4] == ["adamw", "twin", "1", "80.0"] and adamw[5:7] == ["-", "-"]
