"""A question of one's own in config.yaml: what is read, handed on and refused."""

import copy
import re

import pytest
import yaml

from bitnet.config.question import Question
from bitnet.config.study import Study
from bitnet.config.validate import check
from bitnet.evaluation.metrics import MEASURED
from tests.helpers.project import ROOT, copy_project, jobs, project_config, snakemake
from tests.helpers.tables import (
    LOSS,
    QUESTION,
    WARMUP,
    other,
)
from workflow.scripts import error_rates

CONFIG = project_config()
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())


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


def test_snakemake_builds_the_study_like_any_other(tmp_path):
    project = copy_project(tmp_path)
    found = jobs(snakemake(project, "-n", "warmup"))
    assert found["train_trunk"] == found["train_branch"] == found["evaluate"] == 24
    assert found["verdict"] == found["figures"] == found["report"] == found["warmup"] == 1
