"""The ledger: each claim supported, refuted, left open or untested by constructed studies."""

import json
import re

import pandas as pd
import pytest

from bitnet.claims.evidence import Evidence
from bitnet.claims.ledger import CLAIMS, OUTCOMES, agreed, decide, ledger, markdown
from tests.helpers.diverged import with_diverged
from tests.helpers.tables import FIVE_HIGH, FIVE_LOW, LIMITS, QUESTION, cell, other
from tests.helpers.tables import OUTCOMES as CELLS

SICK = cell(8, FIVE_LOW, FIVE_HIGH, control_loss=6.0, treatment_loss=4.7)
CURED = cell(8, FIVE_HIGH, FIVE_HIGH)
LOST = cell(8, FIVE_LOW, FIVE_LOW)
WELL = cell(80, [90, 91, 92, 90, 93], [91, 90, 92, 93, 90])
SMOOTH = {"Variant": "smooth0.1"}
SHORT = {claim.text.split(" (")[0]: claim.text for claim in CLAIMS}

HEADLINE = {**QUESTION.headline, **{"peak_lr": 1.5e-3}}


def evidence(*rows) -> Evidence:
    return Evidence(pd.concat(rows), other(QUESTION, headline=HEADLINE), LIMITS)


def outcome(claim: str, *studies: Evidence) -> str:
    [wanted] = [known for known in CLAIMS if known.text == SHORT[claim]]
    found = decide(wanted, {f"study{i}": study for i, study in enumerate(studies)})
    return agreed([said for said, _ in found.values()], wanted.exists)


def started(rows: pd.DataFrame, **values) -> pd.DataFrame:
    """The same runs, with other values at step 0."""
    first = rows["Step"] == 0
    return rows.assign(**{k: rows[k].mask(first, v).astype(float) for k, v in values.items()})


def at_the_switch(counts, **columns) -> pd.DataFrame:
    """Five runs whose trunks count as said."""
    runs = [cell(count, [9], [9], **columns).assign(Seed=i) for i, count in enumerate(counts)]
    return pd.concat(runs)


def clipped(counts, loss) -> pd.DataFrame:
    """Five runs with clipping whose trunks have such counts and such a loss."""
    rows = at_the_switch(counts, Variant="clip0.1")
    return rows.assign(ValLoss=rows["ValLoss"].mask(rows["Step"] <= 300, loss))


TRUNKS = [8, 9, 7, 8, 9]
BASE = at_the_switch(TRUNKS)


def beside(counts, **columns) -> Evidence:
    return evidence(BASE, at_the_switch(counts, **columns))


TWIN_WELL = WELL.assign(Weights="full_precision")
WITH_TWIN = [SICK, SICK.assign(Weights="full_precision")]
HEALTHY = WELL.assign(Optimizer="adamw")
LARGE = {"HiddenSize": 512}
LEGACY = started(SICK.assign(VocabSize=50_257, Unique20=2.0, Loss=10.3), Unique20=20)
FALL = "Counts fall from 20 to 2 by the switch"
FIXES = "Stage-2 weight decay 0 instead of 0.05 fixes it"
RATES = "Larger models need a less aggressive learning rate"
NOISE = cell(1_840, FIVE_LOW, FIVE_HIGH)  # counts of rounding in a dead model
DEAD = NOISE.assign(ValLoss=NOISE["ValLoss"].mask(NOISE["Step"] <= 300, 7.62))


def rates(small: tuple, large: tuple) -> Evidence:
    """Two sizes, each at a rate of 1.5e-3 and of 5e-4."""
    kinds = zip((*small, *large), (1.5e-3, 5e-4) * 2, (256, 256, 512, 512), strict=True)
    return evidence(*(rows.assign(PeakLR=rate, HiddenSize=size) for rows, rate, size in kinds))


SHUFFLED, UNSCALED = {"Variant": "shuffled"}, {"Optimizer": "adamw-unscaled"}
BARE = {"Optimizer": "adamw", "Stage1WD": 0.0}
CONTROLS = {  # what is changed, runs as they must be, runs as they must not
    "Control: text without order is called collapsed": (SHUFFLED, LOST, SICK),
    "Control: decay that forgets the learning rate is called collapsed": (UNSCALED, SICK, WELL),
    "Control: AdamW without weight decay is not called collapsed": (BARE, WELL, LOST),
}
DECIDED = [
    (name, evidence(SICK, rows.assign(**changes)), expected)
    for name, (changes, good, bad) in CONTROLS.items()
    for rows, expected in ((good, "supported"), (bad, "refuted"))
]
DECIDED += [
    ("Collapse happens inside stage 1, not at the switch", evidence(SICK), "supported"),
    ("Collapse happens inside stage 1, not at the switch", evidence(WELL), "refuted"),
    ("Collapse happens inside stage 1, not at the switch", evidence(HEALTHY), "not tested"),
    (
        "Loss falls while diversity collapses",
        evidence(started(SICK, ValLoss=7.6, UniquePredictions=900)),
        "supported",
    ),
    (
        "Loss falls while diversity collapses",
        evidence(started(SICK, ValLoss=3.0, UniquePredictions=900)),
        "refuted",
    ),
    ("A reduced learning rate", beside([60] * 5, PeakLR=5e-4), "supported"),
    ("A reduced learning rate", beside(TRUNKS, PeakLR=5e-4), "refuted"),
    ("A reduced learning rate", beside([60] * 5, PeakLR=5e-3), "not tested"),
    ("A reduced learning rate", evidence(WELL, WELL.assign(PeakLR=5e-4)), "inconclusive"),
    ("Label smoothing does not help", beside(TRUNKS, **SMOOTH), "supported"),
    ("Label smoothing does not help", beside([60] * 5, **SMOOTH), "refuted"),
    ("Label smoothing does not help", beside([2, 3, 2, 2, 3], **SMOOTH), "supported"),
    ("Label smoothing does not help", beside([4, 26, 3, 40, 9], **SMOOTH), "inconclusive"),
    ("Label smoothing does not help", evidence(BASE, DEAD.assign(**SMOOTH)), "supported"),
    ("Label smoothing does not help", beside(TRUNKS, Variant="clip0.1"), "not tested"),
    ("Aggressive clipping", evidence(BASE, clipped([8] * 5, 4.3)), "supported"),
    ("Aggressive clipping", evidence(BASE, DEAD.assign(Variant="clip0.1")), "supported"),
    ("Aggressive clipping", beside(TRUNKS, Variant="clip0.1"), "refuted"),
    ("Aggressive clipping", beside([20, 19, 21, 18, 22], Variant="clip0.1"), "refuted"),
    ("Aggressive clipping", evidence(BASE, clipped([20, 19, 21, 18, 22], 4.3)), "inconclusive"),
    ("Aggressive clipping", beside([4, 26, 3, 40, 9], Variant="clip0.1"), "inconclusive"),
    ("Only the learning rate matters", beside([60] * 5, PeakLR=5e-4), "supported"),
    ("Only the learning rate matters", beside([60] * 5, Optimizer="adamw"), "refuted"),
    ("Only the learning rate matters", beside([60] * 5, Variant="warmup0"), "refuted"),
    ("Only the learning rate matters", beside(TRUNKS, Variant="warmup0"), "inconclusive"),
    ("Only the learning rate matters", evidence(SICK), "not tested"),
    (FIXES, evidence(SICK), "supported"),
    (FIXES, evidence(LOST), "refuted"),
    (FIXES, evidence(WELL), "inconclusive"),  # nothing to fix
    (FIXES, evidence(CELLS["helps"]), "inconclusive"),
    ("The fix holds at every size", evidence(SICK, SICK.assign(**LARGE)), "supported"),
    ("The fix holds at every size", evidence(SICK, LOST.assign(**LARGE)), "refuted"),
    ("The fix holds at every size", evidence(SICK), "not tested"),
    ("Larger models avoid it", evidence(SICK, WELL.assign(**LARGE)), "supported"),
    ("Larger models avoid it", evidence(SICK, LOST.assign(**LARGE)), "refuted"),
    ("Larger models avoid it", evidence(WELL, SICK.assign(**LARGE)), "inconclusive"),
    ("Larger models avoid it", evidence(WELL, WELL.assign(**LARGE)), "inconclusive"),
    ("The model can be diverse", evidence(SICK), "supported"),
    ("The model can be diverse", evidence(LOST), "not shown here"),
    ("The model can be diverse", evidence(LOST, TWIN_WELL), "not shown here"),
    ("Loss is not the issue", evidence(cell(8, FIVE_LOW, FIVE_HIGH)), "supported"),
    ("Loss is not the issue", evidence(SICK), "refuted"),
    ("Loss is not the issue", evidence(WELL), "not tested"),
    ("Something is fixable", evidence(SICK), "supported"),
    ("Something is fixable", evidence(LOST), "not shown here"),
    ("Something is fixable", evidence(WELL), "not tested"),
    ("Optimisation dynamics, not architecture", evidence(*WITH_TWIN, HEALTHY), "supported"),
    (
        "Optimisation dynamics, not architecture",
        evidence(SICK, TWIN_WELL, HEALTHY),
        "refuted",
    ),
    (
        "Optimisation dynamics, not architecture",
        evidence(*WITH_TWIN, SICK.assign(Optimizer="adamw")),
        "inconclusive",
    ),
    ("Optimisation dynamics, not architecture", evidence(*WITH_TWIN), "not tested"),
    (RATES, rates((WELL, WELL), (SICK, WELL)), "supported"),
    (RATES, rates((SICK, WELL), (WELL, WELL)), "refuted"),
    (RATES, rates((SICK, WELL), (SICK, WELL)), "refuted"),
    (RATES, rates((SICK, SICK), (SICK, SICK)), "inconclusive"),  # below all that were tried
    (RATES, rates((WELL, WELL), (WELL, WELL)), "inconclusive"),  # above all that were tried
    (FALL, evidence(LEGACY), "supported"),
    (FALL, evidence(LEGACY.assign(Unique20=9.0)), "inconclusive"),  # counts of dead models
    (FALL, evidence(started(WELL.assign(VocabSize=50_257, Unique20=9.0), Unique20=20)), "refuted"),
    (FALL, evidence(SICK), "not tested"),
    ("The loss stays between 10.99 and 10.25", evidence(LEGACY), "supported"),
    ("The loss stays between 10.99 and 10.25", evidence(LEGACY.assign(Loss=6.7)), "refuted"),
]  # fmt: skip


@pytest.mark.parametrize(("claim", "study", "expected"), DECIDED)
def test_each_claim_is_decided_by_its_test(claim, study, expected):
    assert outcome(claim, study) == expected


def test_every_claim_is_shown_to_be_supportable_and_deniable():
    shown = {(SHORT[claim], expected) for claim, _, expected in DECIDED}
    denied = {claim.text: "not shown here" if claim.exists else "refuted" for claim in CLAIMS}
    assert {*denied.items()} | {(text, "supported") for text in denied} <= shown
    assert {expected for _, expected in shown} == set(OUTCOMES)


def test_two_seeds_decide_nothing():
    few = SICK[SICK["Seed"] < 2]
    assert outcome("Collapse happens inside stage 1, not at the switch", evidence(few)) == (
        "inconclusive"
    )


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ([], "not tested"),
        (["supported"], "supported"),
        (["supported", "inconclusive"], "supported"),
        (["supported", "refuted"], "inconclusive"),
        (["inconclusive"], "inconclusive"),
    ],
)
def test_studies_that_decide_must_agree(outcomes, expected):
    assert agreed(outcomes) == expected


def test_one_study_that_shows_it_supports_a_claim_of_existence():
    for claim in ("Something is fixable", "The model can be diverse"):
        assert outcome(claim, evidence(SICK), evidence(LOST)) == "supported"
        assert outcome(claim, evidence(LOST), evidence(LOST)) == "not shown here"
    few = evidence(SICK[SICK["Seed"] < 2])
    assert outcome("The model can be diverse", few) == "inconclusive"


def test_diverged_trunks_decide_nothing_and_are_said():
    claim = next(c for c in CLAIMS if c.text.startswith("Collapse happens inside"))
    for where, said, expected in (
        ("trunks, all", "trunks diverged 3/3 at the switch (0 seeds)", "inconclusive"),
        (
            "trunks, some",
            "trunks collapsed 2/3, diverged 1/3 at the switch (2 seeds)",
            "inconclusive",
        ),
    ):
        study = evidence(with_diverged(where, 3))
        assert decide(claim, {"a": study})["a"] == (expected, said)
        assert not any("nan" in text for text in ledger({"a": study})["Figure"])


def test_a_treatment_that_crashes_fixes_nothing():
    study = evidence(with_diverged("treatment, all", 3))
    assert outcome(FIXES, study) == "refuted"
    assert outcome(FIXES, evidence(with_diverged("control, all", 3))) == "inconclusive"


def test_the_order_of_rows_changes_nothing():
    study = evidence(SICK, HEALTHY, at_the_switch([60] * 5, Variant="clip0.1"))
    shuffled = Evidence(study.rows.sample(frac=1, random_state=0), study.question, LIMITS)
    pd.testing.assert_frame_equal(ledger({"a": study}), ledger({"a": shuffled}))


def test_the_text_lists_every_claim_with_its_figure_and_file():
    found = ledger({"small": evidence(SICK), "large": evidence(WELL)})
    text = markdown(found, {"small": "results/small/verdict.md", "large": "results/verdict.md"})
    assert all(claim.text in " ".join(text.split()) for claim in CLAIMS)
    flat = re.sub(r"\s+", " ", text)
    assert "small: supported. trunks collapsed 5/5 at the switch (5 seeds)." in flat
    assert "large: refuted. trunks diverse 5/5" in flat and "See results/small/verdict.md." in flat
    assert "Not tested by these studies." in flat


def test_a_claim_that_two_studies_decide_differently_is_open():
    assert outcome(FIXES, evidence(SICK), evidence(LOST)) == "inconclusive"
    assert outcome(FIXES, evidence(SICK), evidence(LOST.assign(**LARGE))) == "supported"


def test_the_table_is_plain_data():
    table = ledger({"a": evidence(SICK)})
    assert list(table.columns) == [
        "Claim", "Confidence", "Test", "Outcome", "Study", "There", "Figure",
    ]  # fmt: skip
    assert table["Outcome"].isin(OUTCOMES).all() and json.loads(table.to_json(orient="records"))
