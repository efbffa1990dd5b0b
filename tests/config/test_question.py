"""A question of one's own: any axis, any column, judged by the same rule, in words that fit."""

import copy
import re

import numpy as np
import pandas as pd
import pytest
import yaml

from bitnet.config.question import Question
from bitnet.config.study import Study
from bitnet.config.validate import check
from bitnet.evaluation.metrics import MEASURED
from bitnet.figures.draw import draw
from bitnet.figures.rows import ends, prepared
from bitnet.report.page import page
from bitnet.verdict.cells import armed
from bitnet.verdict.headline import headline
from bitnet.verdict.report import markdown
from bitnet.verdict.rule import judge
from bitnet.verdict.wording import LEADS, MEANINGS, asked, lead, meanings
from tests.helpers.figures import lines, texts
from tests.helpers.project import ROOT, copy_project, jobs, project_config, snakemake
from tests.helpers.tables import (
    FIVE_HIGH,
    FIVE_LOW,
    LIMITS,
    OUTCOMES,
    QUESTION,
    cell,
    other,
    run,
    twin,
    verdict,
)
from workflow.scripts import error_rates

CONFIG = project_config()
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
WARMUP = Question.from_dict(
    {
        "axis": "warmup_steps",
        "treatment": 100,
        "control": 0,
        "default": 100,
        "headline": {**QUESTION.headline, "stage2_weight_decay": 0},
    }
)
LOSS = {"metric": {"column": "ValLoss", "better": "lower", "margin": 0.1}}


def renamed(rows: pd.DataFrame, column: str, treatment, control) -> pd.DataFrame:
    """Arms of Stage-2 WD 0 and 0.05 as arms of another axis, all with Stage-2 WD 0."""
    arms = np.where(rows["Stage2WD"] == 0, treatment, control)
    return rows.assign(Stage2WD=0.0, **{column: arms})


def warmed(rows: pd.DataFrame) -> pd.DataFrame:
    """Arms of warm-up: the study's own 100 goes without saying."""
    return renamed(rows, "Variant", "base", "warmup0")


def put(path: str, value) -> dict:
    config = copy.deepcopy(CONFIG)
    *parents, last = path.split("/")
    block = config
    for key in parents:
        block = block[key]
    if value is None:
        del block[last]
    else:
        block[last] = value
    return config


# --- the same numbers, whatever the arms are called ---

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


# --- another metric ---


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
    assert "Stage-2 WD 0 instead of 0.05 made MutualInformation better" in text
    assert "ΔMutualInformation +2" in text and "ratio of MutualInformation" not in text
    assert "WD 0.05: MutualInformation" in text and "Better is higher." in text


def test_a_margin_of_counts_is_a_ratio():
    rows = cell(8, [30, 31, 30, 32, 30], [45, 46, 45, 48, 45])  # half as many more
    wide = {"column": "UniquePredictions", "better": "higher", "margin": 2.0}
    assert verdict(rows)["Outcome"][0] == "helps"
    assert verdict(rows, question=other(QUESTION, metric=wide))["Outcome"][0] == "no effect"


# --- words ---


def test_words_fit_the_axis_and_the_metric():
    cells = verdict(warmed(OUTCOMES["fixed"]), question=WARMUP)
    text = headline(cells, WARMUP)
    assert text.startswith("warmup_steps 100 instead of 0 prevented degenerate decoding (hidden")
    assert "diverse 5/5 with warmup_steps 100" in text and "WD" not in text
    whole = " ".join(markdown(cells, WARMUP, LIMITS, "Warm-up").split())
    assert "| warmup_steps 0: count" in whole and "**prevented**: most runs with" in whole
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
    names = {verdict(one, question=question)["Outcome"][0] for one in rows}
    assert names <= meanings(question).keys()
    assert all("{" not in lead(name, question) for name in meanings(question))
    assert all("{" not in text for text in meanings(question).values())


def test_the_first_question_is_worded_as_ever():
    arms = {"t": "WD 0", "c": "WD 0.05"}
    assert meanings(QUESTION) == {name: text.format(**arms) for name, text in MEANINGS.items()}
    assert lead("fixed", QUESTION) == LEADS["fixed"].format(change="Stage-2 WD 0 instead of 0.05")
    assert asked(QUESTION) == (
        "Does Stage-2 weight decay 0 instead of 0.05 fix degenerate decoding in small BitNet b1.58 "
        "models?"
    )


def test_ternary_is_no_question_where_weights_are_the_arms():
    question = other(WARMUP, axis="weights", treatment="full_precision", control="ternary")
    rows = renamed(OUTCOMES["fixed"], "Weights", "full_precision", "ternary")
    text = headline(verdict(rows, question=question), question)
    assert text.startswith("weights full_precision instead of ternary prevented")
    assert "about ternary" not in text


# --- figures and page ---


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
    html = page(rows, {"a": record}, WARMUP, LIMITS, "warmup")
    assert "Does warmup_steps 100 instead of 0 prevent" in html and 'id="claims"' not in html


# --- config.yaml ---


def test_the_study_of_warm_up_trains_both_arms_and_asks_about_them():
    study = Study.of(CONFIG, "warmup")
    names = study.runs()
    assert len(names) == 2 * 2 * 2 * 3 and {"h64_wd0", "h64_wd0_fp_warmup0_seed2"} <= {*names}
    warm, cold = (study.recipe(name).training for name in ("h64_wd0", "h64_wd0_warmup0"))
    assert (warm.warmup_steps, cold.warmup_steps, warm.stage2_weight_decay) == (100, 0, 0)
    question = study.question()
    assert question.default == 100 and question.headline["stage2_weight_decay"] == 0
    assert Question.from_json(question.to_json()) == question


def test_the_first_question_is_passed_on_as_it_is_written():
    question = Study.of(CONFIG, "quick").question()
    assert question.to_dict().keys() == {"treatment", "control", "headline"}


@pytest.mark.parametrize("question", [QUESTION, WARMUP, other(WARMUP, **LOSS)])
def test_json_holds_all_of_a_question(question):
    assert Question.from_json(question.to_json()) == question


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not a question"),
        ("[1]", "not a question"),
        ('{"treatment": 0}', "control"),
        ('{"treatment": 0, "control": 1, "spare": 2}', "spare"),
        ('{"treatment": 0, "control": 0}', "question.control is 0; allowed: another than treat"),
        ('{"treatment": 0, "control": 1, "axis": "size"}', "question.axis is 'size'; allowed: one"),
        (
            '{"treatment": 0, "control": 1, "metric": {"margin": 1}}',
            "margin is 1; allowed: above",
        ),
        ('{"treatment": 0, "control": 1, "headline": {"size": 8}}', "headline is 'size'; allowed"),
    ],
)
def test_what_is_no_question_is_refused_in_one_line(text, words):
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        Question.from_json(text)
    assert "\n" not in str(caught.value)


def test_variants_are_made_in_both_arms():
    config = put("studies/warmup/variants", [{"gradient_clip": 0.1}])
    assert {"h64_wd0_clip0.1", "h64_wd0_warmup0_clip0.1"} <= {*Study.of(config, "warmup").runs()}


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("question/axis", "steps", "axis is 'steps'; allowed: hidden_size or stage2_weight_decay"),
        ("question/axis", "seed", "axis is 'seed'"),
        ("question/axis", None, "question.treatment is 100; allowed: stage2_weight_decay of the"),
        ("question/treatment", 50, "question.treatment is 50; allowed: warmup_steps of the grid"),
        ("question/treatment", 0, "question.control is 0; allowed: another than treatment"),
        ("question/treatment", [100], "question.treatment is [100]; allowed: a value of the quest"),
        ("question/control", False, "question.control is False; allowed: warmup_steps of the"),
        ("question/metric", "ValLoss", "question.metric is 'ValLoss'; allowed: object"),
        ("question/metric", {"column": "ValLoss", "margin": 0.1}, "metric.better is missing"),
        ("question/metric", {"column": "ValLoss", "better": "lower"}, "metric.margin is missing"),
        (
            "question/metric",
            {**LOSS["metric"], "margin": 0},
            "margin is 0; allowed: number, above",
        ),
        ("question/metric", {**LOSS["metric"], "better": "less"}, "better is 'less'; allowed: low"),
        (
            "question/metric",
            {**LOSS["metric"], "column": "Step"},
            "column is 'Step'; allowed: L",
        ),
        (
            "question/metric",
            {"column": "PDR", "better": "higher", "margin": 0.02},
            "question.metric.margin is 0.02; allowed: above 1, a ratio of PDR",
        ),
        ("grid/stage2_weight_decay", [0, 0.05], "headline.stage2_weight_decay is None; allowed"),
        ("grid/warmup_steps", [0, 1000], "warmup_steps is 1000; allowed: 0 to 999"),
        ("grid/warmup_steps", [0.5, 100], "warmup_steps.0 is 0.5; allowed: integer"),
    ],
)
def test_a_question_that_cannot_be_answered_is_refused_in_one_line(path, value, words):
    with pytest.raises(ValueError) as error:
        check(put(f"studies/warmup/{path}", value), SCHEMA)
    said = str(error.value)
    assert said.startswith("studies.warmup") and words in said and "\n" not in said


def test_the_cell_of_a_headline_is_that_of_the_control():
    config = put("studies/warmup/question/axis", "optimizer")
    config["studies"]["warmup"]["question"] |= {"treatment": "adam", "control": "adamw"}
    with pytest.raises(ValueError, match=r"headline.optimizer is 'adam'; allowed: the control"):
        check(config, SCHEMA)


def test_claims_and_error_rates_are_of_the_first_question_alone():
    with pytest.raises(ValueError, match="quick is 'warmup'"):
        check(put("claims/quick", ["warmup"]), SCHEMA)
    config = put("studies/quick/question/metric", LOSS["metric"])
    with pytest.raises(ValueError, match="quick is 'quick'"):
        check(config, SCHEMA)
    files = ["--inputs", "none.csv", "--csv", "rates.csv", "--markdown", "rates.md"]
    with pytest.raises(ValueError, match="allowed: one of stage2_weight_decay and UniquePred"):
        error_rates.main([*files, "--question", WARMUP.to_json()])


def test_a_metric_is_a_measured_column_that_training_is_not_told():
    question = SCHEMA["$defs"]["study"]["properties"]["question"]["properties"]
    told = {"Step", "LR", "WD", "UniqueTargets"}
    assert set(question["metric"]["properties"]["column"]["enum"]) == set(MEASURED) - told


def test_an_arm_is_split_from_a_variant_that_holds_its_letters():
    rows = pd.DataFrame({"Variant": ["switchlr900_switchwd900"], "Stage2WD": [0.0]})
    question = other(WARMUP, axis="lr_switch", default=1000)
    found = armed(rows, question).iloc[0]
    assert (found["Arm"], found["Variant"]) == (900, "switchwd900")


def test_snakemake_builds_the_study_like_any_other(tmp_path):
    project = copy_project(tmp_path)
    found = jobs(snakemake(project, "-n", "warmup"))
    assert found["train_trunk"] == found["train_branch"] == found["evaluate"] == 24
    assert found["verdict"] == found["figures"] == found["report"] == found["warmup"] == 1


def test_the_order_of_rows_changes_nothing():
    rows = pd.concat([warmed(OUTCOMES["fixed"]), twin(warmed(OUTCOMES["helps"]))])
    shuffled = rows.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(
        judge(shuffled, LIMITS, WARMUP), judge(rows, LIMITS, WARMUP), check_exact=True
    )
