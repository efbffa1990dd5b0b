"""What must not matter to rule 2, or only mirror its outcome."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bitnet.verdict.outcomes import MEANINGS
from tests.helpers.tables import cell, verdict

CLAIMS_FOR = {"fixed", "helps", "recovers either way", "temporary recovery"}
MIRRORED = {  # the outcomes that swapped arms may have
    "diverges": {"control diverges"},
    "control diverges": {"diverges"},
    "no verdict": {"no verdict"},
    "stays collapsed": {"stays collapsed"},
    "harmful": CLAIMS_FOR,
    "fixed": {"harmful", "temporary recovery"},
    "helps": {"harmful", "temporary recovery"},
    "no effect": {"no effect"},
    "no effect (nothing to fix)": {"no effect (nothing to fix)"},
    # Its arms may differ, and swapped ones then say harmful; and a gain at a loss is a trade-off.
    "recovers either way": {"recovers either way", "harmful", "trade-off"},
    "trade-off": {"trade-off", "recovers either way"},
    "lower loss": {"higher loss"},
    "higher loss": {"lower loss"},
    "inconclusive": {"inconclusive"},
}
COUNTS = st.sampled_from([3, 8, 12, 30, 60, 90, 300, 2000])
ARM = st.tuples(COUNTS, st.sampled_from([1.0, 1.02, 1.3]))
LOSS = st.sampled_from([3.5, 3.99, 4.0, 4.4, 5.99])


def arm(level, spread):
    count, noise = level
    return [max(1, min(2048, round(count * noise ** ((i + spread) % 3 - 1)))) for i in range(5)]


def pair(trunk, control, treatment, losses):
    return cell(trunk, control, treatment, *losses)


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([5, 90]), ARM, ARM, st.integers(0, 2), LOSS, LOSS)
def test_swapped_arms_mirror_effects_and_outcome(trunk, one, other, spread, loss, other_loss):
    control, treatment = arm(one, 0), arm(other, spread)
    row = verdict(pair(trunk, control, treatment, (loss, other_loss))).iloc[0]
    swapped = verdict(pair(trunk, treatment, control, (other_loss, loss))).iloc[0]
    assert row["Outcome"] in MEANINGS
    assert swapped["Outcome"] in MIRRORED[row["Outcome"]]
    for name in ("UniquePredictions", "PDR", "ValLoss"):
        assert abs(row[f"Delta{name}"] + swapped[f"Delta{name}"]) < 1e-12
        assert abs(row[f"Delta{name}Low"] + swapped[f"Delta{name}High"]) < 1e-9


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([5, 90]), ARM, ARM, st.integers(0, 2), st.floats(0.001, 1.5))
def test_a_worse_loss_never_turns_a_non_claim_into_a_claim(trunk, one, other, spread, worse):
    """Neither does it turn harm into anything that speaks for the treatment."""
    losses = 4.0, 4.0
    control, treatment = arm(one, 0), arm(other, spread)
    before = verdict(pair(trunk, control, treatment, losses)).iloc[0]["Outcome"]
    after = verdict(pair(trunk, control, treatment, (4.0, 4.0 + worse))).iloc[0]["Outcome"]
    for_it = {"fixed", "helps", "lower loss"}
    assert after not in for_it or before in for_it
    if before in ("inconclusive", "no verdict"):
        assert after == before or after == "higher loss"


@settings(max_examples=10, deadline=None)
@given(ARM, ARM, st.integers(-3, 3))
def test_a_loss_added_to_every_run_and_reference_changes_nothing(one, other, added):
    rows = pair(5, arm(one, 0), arm(other, 1), (4.0, 3.9))
    shifted = rows.assign(ValLoss=rows["ValLoss"] + added, UnigramLoss=rows["UnigramLoss"] + added)
    row, moved = (verdict(table).iloc[0] for table in (rows, shifted))
    same = ["Outcome", "DeltaUniquePredictions", "P", "TostP", "Confidence"]
    assert row[same].tolist() == moved[same].tolist()
    assert abs(row["DeltaValLoss"] - moved["DeltaValLoss"]) < 1e-9


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=5, max_size=5), st.integers(1, 2048))
def test_counts_inside_the_collapse_and_of_dead_models_claim_nothing(treatment, dead):
    """Whatever they are, between arms that have the same right to be called collapsed."""
    inside = verdict(cell(5, [8, 3, 9, 2, 5], treatment, 5.0, 5.0)).iloc[0]
    died = verdict(cell(5, [8, 3, 9, 2, 5], [dead] * 5, 5.0, 7.6)).iloc[0]
    assert inside["Outcome"] == died["Outcome"] == "stays collapsed"
    assert inside["DeltaUniquePredictions"] == died["DeltaUniquePredictions"] == 0
