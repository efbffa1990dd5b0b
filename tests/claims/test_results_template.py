"""The original's results template, filled in from constructed studies whose answers are known."""

import re
from dataclasses import replace

import pandas as pd
import pytest

from bitnet.claims.results_template import results_template
from bitnet.evaluation.record import RunRecord
from tests.helpers.diverged import with_diverged
from tests.helpers.recipes import recipe
from tests.helpers.tables import FIVE_HIGH, FIVE_LOW, LIMITS, OUTCOMES, QUESTION, cell, run

PROTOCOL = {"steps": 600, "batch_size": 4, "sequence_length": 50}


def record(**changes) -> RunRecord:
    fields = {
        "data": "d",
        "environment": {"device": "Some GPU"},
        "lineage": {"train": {"recipe": recipe(**PROTOCOL)}},
        "tokens_per_second": 1000,
        "training_tokens": 40_000,
        "peak_memory_mib": 1_234,
    }
    return RunRecord.from_dict(fields | changes)


def filled(*cells, **records) -> str:
    rows = pd.concat(cells)
    return results_template(rows, records or {"h256_wd0": record()}, QUESTION, LIMITS, "a study")


def row(text: str, heading: str, label: str) -> list[str]:
    """Cells of the line of a section's table that begins with this label."""
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    lines = [[c.strip() for c in line.strip("|").split("|")] for line in section.splitlines()]
    [found] = [line for line in lines if line[0] == label]
    return found


def test_a_fix_passes_at_each_size_and_is_called_one():
    larger = cell(8, FIVE_LOW, [45, 48, 46, 47, 44], HiddenSize=512)
    text = filled(OUTCOMES["fixed"], larger)
    _, count, _, outcome = row(text, "Sizes", "hidden 256")
    assert count == "88.8 (80.0 to 95.0)"  # the mean of 88, 92, 80, 95, 89
    assert outcome == "pass 5/5 (diverse 5/5)"
    assert row(text, "Sizes", "hidden 512")[-1] == "neither 5/5 (recovering 5/5)"
    assert "Fix works: yes (outcome: fixed)." in text and "Confidence: High." in text
    assert "consistent across sizes? no" in text


@pytest.mark.parametrize("name, said", [("helps", "no: it helps"), ("harmful", "no (outcome")])
def test_less_than_a_fix_is_not_called_one(name, said):
    assert f"Fix works: {said}" in filled(OUTCOMES[name])


CONTEXTS, PROBE = "of 20 random contexts", "of N = 4,096 held-out positions"


def test_counts_are_read_where_the_reports_looked_and_stand_beside_what_was_expected():
    rows = OUTCOMES["fixed"].assign(Step=lambda r: r["Step"] * 10_000 // 600, SwitchStep=5_000)
    text, heading = filled(rows.assign(Unique20=3.0)), "Counts on the way"
    header = row(text, heading, "step")
    assert header == ["step", "5,000", "10,000"]  # of 5,000, 6,000 ... those that were read
    # The reports counted 20 contexts at 10,000 steps: Unique20 stands under what they expected.
    assert row(text, heading, f"expected, {CONTEXTS}")[1:] == ["about 2", ""]
    assert row(text, heading, f"hidden 256, {CONTEXTS}")[1:] == ["3.0", "3.0"]
    assert row(text, heading, f"expected, {PROBE}")[1:] == ["", ""]
    assert row(text, heading, f"hidden 256, {PROBE}")[1:] == ["8.0", "88.8"]
    lines = text.splitlines()
    [above] = [i for i, line in enumerate(lines) if line.startswith(f"| expected, {CONTEXTS}")]
    assert lines[above + 1].startswith(f"| hidden 256, {CONTEXTS}")


@pytest.mark.parametrize("seeds", [1, 3])
def test_a_fix_whose_runs_crash_does_not_work(seeds):
    for where in ("treatment, all", "both arms, all", "trunks, all"):
        text = filled(with_diverged(where, seeds))
        assert f"Fix works: no: WD 0 diverged in {seeds}/{seeds} (" in text
        assert row(text, "Sizes", "hidden 256")[1:3] == ["-", f"0 of {seeds}"]
        assert f"0 of {seeds} seeds; {seeds} diverged" in " ".join(text.split())


def test_what_some_runs_did_at_their_crash_is_no_part_of_a_mean():
    text = filled(with_diverged("treatment, some", 3))
    assert "WD 0 diverged in 1/3" in text
    assert row(text, "Sizes", "hidden 256")[1] == "60.0 (40.0 to 80.0)"  # of 40, 80 and the lost
    assert row(text, "Counts on the way", f"hidden 256, {PROBE}")[-1] == "60.0"


def test_a_recovery_that_does_not_last_fails():
    lost = run(0, 0.0, 8, 80)
    lost.loc[lost["Step"] > 400, "UniquePredictions"] = 3
    rows, limits = pd.concat([lost, run(0, 0.05, 8, 8)]), replace(LIMITS, final_evaluations=2)
    text = results_template(rows, {"h256_wd0": record()}, QUESTION, limits, "a study")
    assert row(text, "Sizes", "hidden 256")[-1] == "fail 1/1 (temporary 1/1)"
    assert "0 of 1 seeds; the lowest count after the switch is 3." in " ".join(text.split())


def test_what_passes_without_the_fix_is_listed():
    healthy = cell(80, FIVE_HIGH, FIVE_HIGH, Optimizer="adamw")
    text = filled(OUTCOMES["fixed"], healthy)
    section = text.split("## Controls under the same checks")[1]
    found = {
        tuple(c.strip() for c in line.strip("|").split("|"))
        for line in section.splitlines()
        if line.startswith("| 256")
    }
    assert ("256", "adamw", "ternary", "", "0.05", "pass 5/5") in found
    assert ("256", "adam", "ternary", "", "0.05", "fail 5/5") in found


def test_duration_and_epochs_are_arithmetic_and_crashes_are_named():
    text = filled(OUTCOMES["fixed"], h256_wd0=record(), h256_wd0_seed1=record(diverged=True))
    assert "at most 1,234 MiB" in text
    assert "2.0 minutes at 1,000 tokens/s" in text  # 600 x 4 x 50 = 120,000 tokens
    assert re.search(r"40,000 tokens; a run trains on 120,000 \(3\.00 epochs\)", text)
    assert "Issues met: diverged: h256_wd0_seed1." in text
