"""What studies share: a base under their own keys, by hand and on the studies that are shipped."""

import hashlib
from typing import Any

import pytest

from bitnet.config.load import complete, merge
from bitnet.config.study import Study
from tests.helpers.project import ROOT, project_config

BASE = {"seeds": 3, "gpu": 0, "training": {"steps": 20, "lr_switch": 5}, "grid": {"x": [1, 2]}}


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ({}, BASE),
        ({"seeds": 1}, {**BASE, "seeds": 1}),
        ({"training": {"steps": 9}}, {**BASE, "training": {"steps": 9, "lr_switch": 5}}),
        ({"grid": {"x": [3]}}, {**BASE, "grid": {"x": [3]}}),  # lists take each other's place
        ({"training": {"lr_switch": None}}, {**BASE, "training": {"steps": 20}}),
        ({"gpu": None}, {"seeds": 3, "training": BASE["training"], "grid": BASE["grid"]}),
        (
            {"training": {"compile": None}},
            {**BASE, "training": {**BASE["training"], "compile": None}},
        ),
        ({"pilot": None}, BASE),  # nothing to take back
        ({"grid": 3}, {**BASE, "grid": 3}),  # wrong, and left to the check
    ],
)
def test_own_keys_stand_over_those_of_the_base_block_by_block(own, expected):
    studies = {"base": BASE, "own": {"base": "base", **own}}
    assert complete(studies, "own") == expected
    assert studies["own"] == {"base": "base", **own} and studies["base"] is BASE


def test_a_base_may_have_a_base():
    middle = {"base": "base", "training": {"steps": 9, "lr_switch": None}}
    own = {"base": "middle", "training": {"lr_switch": 7}}
    studies: dict[str, Any] = {"own": own, "middle": middle, "base": BASE}
    assert complete(studies, "own") == {**BASE, "training": {"steps": 9, "lr_switch": 7}}


@pytest.mark.parametrize(
    ("studies", "words"),
    [
        ({"a": {"base": "b"}}, "studies.a.base is 'b'; allowed: one of a"),
        ({"a": {"base": ["a"]}}, "studies.a.base is ['a']; allowed: one of a"),
        ({"a": {"base": "b"}, "\xa0": {}}, r"allowed: one of a, '\xa0'"),
        ({"a": {"base": "a"}}, "studies.a.base is 'a'; allowed: a study that is not built on a"),
        (
            {"a": {"base": "b"}, "b": {"base": "c"}, "c": {"base": "b"}},
            "studies.c.base is 'b'; allowed: a study that is not built on c",
        ),
    ],
)
def test_a_base_that_is_no_study_or_goes_round_is_refused(studies, words):
    with pytest.raises(ValueError) as error:
        complete(studies, "a")
    assert words in str(error.value)


def test_an_override_takes_nothing_back_but_says_null():
    assert merge({"a": {"b": 1, "c": 2}}, {"a": {"b": None}}) == {"a": {"b": None, "c": 2}}


# Runs of each study, and the beginning of the sha256 of their names and recipes: an edit of a base
# must not change, unseen, what was measured by the studies built on it.
RECIPES = {
    "wd_fix": (80, "67a227b6c02c"),
    "quick": (24, "3a21d8016320"),
    "arithmetic": (2, "afb43aef86cb"),
    "arithmetic_quick": (2, "ad35ba16bec3"),
    "diagnostics": (168, "80ce6150b700"),
    "diagnostics_quick": (168, "eb7661dc6d7d"),
    "fineweb95m": (1, "736bbcc56d28"),
    "fineweb95m_pilot": (1, "48757773fd5a"),
    "legacy": (36, "7977da947761"),
    "legacy_quick": (8, "f767d4379ee8"),
    "phase": (128, "4511e7325b9a"),
    "phase_quick": (72, "55c7f4e27e82"),
    "pilot_quick": (1, "a8d0c21d2d5a"),
    "portable": (4, "51815aee079b"),
    "pretraining_quick": (1, "702fb7586158"),
    "scaling": (96, "b6dffde0cab4"),
    "scaling_quick": (36, "d3dd9d7df03d"),
    "tinystories": (2, "092a9b981d77"),
    "tinystories_quick": (2, "f293e71ce48d"),
    "warmup": (24, "295257bc5e28"),
    "wd_check_sample": (4, "9d15d49ea32b"),
    "wd_fix_cpu": (40, "bbb5fc48f98e"),
    "wd_fix_sample": (160, "f971f027713f"),
}


@pytest.mark.parametrize("name", RECIPES)
def test_a_study_is_made_of_the_recipes_that_its_results_were_made_with(name):
    study = Study.of(project_config(), name)
    lines = [f"{run} {study.recipe(run).to_json()}" for run in study.runs()]
    digest = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    assert (len(lines), digest[:12]) == RECIPES[name]


def test_no_study_is_left_out_of_the_table():
    assert set(project_config()["studies"]) == set(RECIPES)
    files = {path.stem for path in ROOT.glob("studies/*")}
    assert files == set(RECIPES) - {"wd_fix", "quick"}
