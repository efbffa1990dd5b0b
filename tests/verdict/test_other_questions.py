"""Other questions than that of Stage-2 weight decay: the same rule, in words that fit."""

import itertools

import numpy as np
import pandas as pd
import pytest

from bitnet.evaluation.record import RunRecord
from bitnet.figures.draw import draw
from bitnet.figures.rows import ends, prepared
from bitnet.report.page import page
from bitnet.verdict.cells import armed
from bitnet.verdict.headline import asked, below, headline, result
from bitnet.verdict.outcomes import MEANINGS, meanings
from bitnet.verdict.report import markdown
from bitnet.verdict.rule import judge
from tests.helpers.figures import lines, texts
from tests.helpers.tables import (
    FIVE_HIGH,
    FIVE_LOW,
    LIMITS,
    LOSS,
    OUTCOMES,
    QUESTION,
    WARMUP,
    cell,
    other,
    run,
    twin,
    verdict,
)


def renamed(rows: pd.DataFrame, column: str, treatment, control) -> pd.DataFrame:
    """Arms of Stage-2 WD 0 and 0.05 as arms of another axis, all with Stage-2 WD 0."""
    arms = np.where(rows["Stage2WD"] == 0, treatment, control)
    return rows.assign(Stage2WD=0.0, **{column: arms})


def warmed(rows: pd.DataFrame) -> pd.DataFrame:
    """Arms of warm-up: the study's own 100 goes without saying."""
    return renamed(rows, "Variant", "base", "warmup0")


NUMBERS = ["Seeds", "P", "HolmP", "TostP", "TostValLossP", "Detectable", "Confidence"]
NUMBERS += ["DeltaUniquePredictions", "DeltaPDR", "DeltaValLoss", "ControlUnique"]


@pytest.mark.parametrize(
    ("axis", "column", "treatment", "control"),
    [
        ("optimizer", "Optimizer", "adamw", "adam"),
        ("weights", "Weights", "full_precision", "ternary"),
        ("hidden_size", "HiddenSize", 512, 256),
        ("peak_lr", "PeakLR", 5e-4, 1.5e-3),
        ("stage1_weight_decay", "Stage1WD", 0.0, 1.0),
    ],
)
@pytest.mark.parametrize("name", ["harmful", "fixed", "helps", "inconclusive"])
def test_arms_of_any_axis_are_judged_like_those_of_stage_2(name, axis, column, treatment, control):
    rows = OUTCOMES[name]
    question = other(WARMUP, axis=axis, treatment=treatment, control=control)
    found = verdict(renamed(rows, column, treatment, control), question=question)
    expected = verdict(rows)
    pd.testing.assert_frame_equal(found[NUMBERS], expected[NUMBERS])
    assert found["Headline"].tolist() == [True] and found[column].tolist() == [control]
    assert found["Outcome"][0] == {"fixed": "prevented"}.get(name, name)


def test_arms_that_names_spell_by_a_variant_are_told_apart_from_other_variants():
    rows = pd.concat(
        [
            warmed(OUTCOMES["fixed"]),
            warmed(OUTCOMES["helps"]).replace(
                {"Variant": {"base": "clip0.1", "warmup0": "warmup0_clip0.1"}}
            ),
            warmed(OUTCOMES["harmful"]).assign(Stage2WD=0.05),
        ]
    )
    cells = verdict(rows, question=WARMUP).set_index("Variant")
    assert cells["Outcome"].to_dict() == {
        "base": "prevented",
        "clip0.1": "helps",
        "wd0.05": "harmful",
    }
    assert cells["Headline"].to_dict() == {"base": True, "clip0.1": False, "wd0.05": False}


def test_a_third_arm_changes_nothing():
    rows = warmed(OUTCOMES["fixed"])
    third = rows[rows["Variant"] == "warmup0"].assign(Variant="warmup500", UniquePredictions=1)
    found = verdict(rows, third, question=WARMUP)
    pd.testing.assert_frame_equal(found, verdict(rows, question=WARMUP))


def test_without_a_shared_trunk_the_control_says_what_there_is_to_prevent():
    """Trunks of the treatment were never collapsed, so nothing could be fixed at the switch."""
    sick = [run(s, 0.05, 5, FIVE_LOW[s]) for s in range(5)]
    well = [run(s, 0.0, 300, FIVE_HIGH[s]) for s in range(5)]
    rows = pd.concat([*sick, *well])
    row = verdict(warmed(rows), question=WARMUP).iloc[0]
    assert row["Outcome"] == "prevented" and row["TrunkStates"] == "collapsed 5/10, diverse 5/10"
    assert row["Confidence"] == "High" and "not one trunk" not in row["Note"]
    equal = cell(5, [80] * 5, [80] * 5)  # collapsed at the switch, not at the end
    row = verdict(warmed(equal), question=WARMUP).iloc[0]
    assert row["Outcome"] == "no effect (nothing to prevent)"


def lossy(control: float, treatment: float) -> pd.DataFrame:
    """Five seeds of equal counts whose losses differ, with a little spread."""
    spread = np.array([0.0, 0.01, -0.01, 0.02, -0.02])
    return cell(80, FIVE_HIGH, FIVE_HIGH, control + spread, treatment - spread / 2)


@pytest.mark.parametrize(
    ("control", "treatment", "better", "margin", "outcome"),
    [
        (4.0, 3.5, "lower", 0.1, "helps"),
        (3.5, 4.0, "lower", 0.1, "harmful"),
        (4.0, 3.5, "higher", 0.1, "harmful"),
        (4.0, 3.5, "lower", 0.6, "inconclusive"),  # within the margin, but losses are not equal
        (4.0, 4.0, "lower", 0.1, "no effect (nothing to fix)"),
    ],
)
def test_another_metric_is_judged_by_its_own_sign_and_margin(
    control, treatment, better, margin, outcome
):
    metric = {"column": "ValLoss", "better": better, "margin": margin}
    limits = LIMITS.__class__(equivalence_loss=0.1)
    question = other(QUESTION, metric=metric)
    rows = lossy(control, treatment)
    row = verdict(rows, question=question, limits=limits).iloc[0]
    assert row["Outcome"] == outcome and row["Primary"] == "ValLoss"
    assert row["DeltaValLoss"] == pytest.approx(treatment - control)


def test_a_metric_that_is_in_no_verdict_yet_gets_its_columns():
    """MutualInformation 1 with the control, 3 with the treatment: a difference of 2, by hand."""
    rows = OUTCOMES["no effect"].assign(ValLoss=4.0)
    rows = rows.assign(MutualInformation=np.where(rows["Stage2WD"] == 0, 3.0, 1.0))
    metric = {"column": "MutualInformation", "better": "higher", "margin": 0.5}
    question = other(QUESTION, metric=metric)
    row = verdict(rows, question=question).iloc[0]
    assert row["DeltaMutualInformation"] == 2 and row["Outcome"] == "helps"
    assert (row["ControlMutualInformation"], row["TreatmentMutualInformation"]) == (1, 3)
    text = " ".join(markdown(verdict(rows, question=question), question, LIMITS, "x").split())
    assert "setting Stage-2 weight decay to 0 made MutualInformation better." in text
    assert "| ΔMutualInformation [95%] |" in text and "| +2 [+2, +2] " in text
    assert "ratio of MutualInformation" not in text and "Better is higher." in text
    assert "| with WD 0.05 | MutualInformation | with WD 0 | MutualInformation |" in text


def test_a_margin_of_counts_is_a_ratio():
    rows = cell(8, [30, 31, 30, 32, 30], [45, 46, 45, 48, 45])  # half as many more
    wide = {"column": "UniquePredictions", "better": "higher", "margin": 2.0}
    assert verdict(rows)["Outcome"][0] == "helps"
    assert verdict(rows, question=other(QUESTION, metric=wide))["Outcome"][0] == "no effect"


def test_words_fit_the_axis_and_the_metric():
    cells = verdict(warmed(OUTCOMES["fixed"]), question=WARMUP)
    text = headline(cells, WARMUP)
    said = "setting warmup_steps to 100 kept models from getting stuck on a few words."
    assert text == f"At hidden size 256 under Adam with coupled L2, {said}"
    whole = " ".join(markdown(cells, WARMUP, LIMITS, "Warm-up").split())
    assert "| with warmup_steps 0 | count" in whole and "**prevented**: most runs with" in whole
    assert "share the seed and no trunk; Stage-2 WD is 0" in whole
    assert "| warmup_steps with adam | 100 " in whole and "**fixed**" not in whole
    assert asked(WARMUP) == (
        "Does warmup_steps 100 instead of 0 prevent degenerate decoding in small BitNet b1.58 "
        "models?"
    )
    loss = asked(other(WARMUP, **LOSS))
    assert loss.startswith("Does warmup_steps 100 instead of 0 make ValLoss lower")


@pytest.mark.parametrize(
    "question", [QUESTION, WARMUP, other(QUESTION, **LOSS), other(WARMUP, **LOSS)]
)
def test_every_outcome_has_its_words_in_every_kind_of_question(question):
    rows = [rows if question.shares_trunk else warmed(rows) for rows in OUTCOMES.values()]
    found = [verdict(one, question=question).iloc[0] for one in rows]
    assert {row["Outcome"] for row in found} <= meanings(question).keys()
    for row, name in itertools.product(found, meanings(question)):
        assert "{" not in result({**row, "Outcome": name}, question)
    assert all("{" not in text for text in meanings(question).values())


def test_the_first_question_is_worded_as_ever():
    arms = {"t": "WD 0", "c": "WD 0.05"}
    assert meanings(QUESTION) == {name: text.format(**arms) for name, text in MEANINGS.items()}
    assert asked(QUESTION) == (
        "Does Stage-2 weight decay 0 instead of 0.05 fix degenerate decoding in small BitNet b1.58 "
        "models?"
    )


def test_ternary_is_no_question_where_weights_are_the_arms():
    question = other(WARMUP, axis="weights", treatment="full_precision", control="ternary")
    rows = renamed(OUTCOMES["fixed"], "Weights", "full_precision", "ternary")
    text = headline(verdict(rows, question=question), question)
    assert text.startswith(
        "At hidden size 256 under Adam with coupled L2, full-precision weights kept"
    )
    lines = below(verdict(rows, question=question), question, LIMITS)
    assert len(lines) == 2 and not any("ternary weights" in line for line in lines)


def test_arms_have_their_colours_from_the_first_step_and_no_trunk():
    rows = pd.concat([warmed(OUTCOMES["fixed"]), twin(warmed(OUTCOMES["helps"]))])
    figure = draw("unique_predictions", rows, LIMITS, "", WARMUP)
    curves = lines(figure.axes[0])
    assert list(curves["warmup_steps 0 ternary mean"].get_xdata()) == list(range(0, 700, 100))
    assert curves["warmup_steps 100 ternary mean"].get_ydata()[-1] == pytest.approx(88.7, abs=0.2)
    assert not any(name.startswith("trunk") for name in curves)
    assert {"warmup_steps 0", "warmup_steps 100"} <= texts(figure)
    assert "before the switch" not in texts(figure) and len(figure.axes) == 1
    assert set(ends(prepared(rows, WARMUP), LIMITS)["When"]) == {
        "end, warmup_steps 0",
        "end, warmup_steps 100",
    }
    for name in ("mechanism", "scaling", "phase", "loss", "pdr"):
        draw(name, rows, LIMITS, "", WARMUP)


def test_the_page_of_another_question_decides_no_claims():
    record = {
        "data": "0",
        "seconds": 1.0,
        "tokens_per_second": 1,
        "environment": {"device": "cpu"},
        "lineage": {"text": {}, "train": {}, "evaluate": {}},
    }
    rows = warmed(OUTCOMES["fixed"])
    html = page(rows, {"a": RunRecord(**record)}, WARMUP, LIMITS, "warmup")
    assert "Does warmup_steps 100 instead of 0 prevent" in html and 'id="claims"' not in html


def test_an_arm_is_split_from_a_variant_that_holds_its_letters():
    rows = pd.DataFrame({"Variant": ["switchlr900_switchwd900"], "Stage2WD": [0.0]})
    question = other(WARMUP, axis="lr_switch", default=1000)
    found = armed(rows, question).iloc[0]
    assert (found["Arm"], found["Variant"]) == (900, "switchwd900")


def test_the_order_of_rows_changes_nothing():
    rows = pd.concat([warmed(OUTCOMES["fixed"]), twin(warmed(OUTCOMES["helps"]))])
    shuffled = rows.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(
        judge(shuffled, LIMITS, WARMUP), judge(rows, LIMITS, WARMUP), check_exact=True
    )
