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
    "wd_fix": (80, "84e353821e0d"),
    "quick": (24, "2d97902f498a"),
    "arithmetic": (2, "def2d899af1d"),
    "arithmetic_cpu": (1, "fdb5b9685226"),
    "arithmetic_quick": (2, "0cac52b3706c"),
    "arithmetic_seeds": (10, "c000baad3537"),
    "decay_2x2": (48, "8649109bc142"),
    "diagnostics": (168, "fbb779eabe91"),
    "diagnostics_quick": (168, "1da035c9604d"),
    "dose": (36, "5ad06c4c1715"),
    "fineweb95m": (1, "692577ff33ed"),
    "fineweb95m_pilot": (1, "316f911bd9fb"),
    "legacy": (36, "ae15cb88e76e"),
    "legacy_quick": (8, "d8f3dec509c0"),
    "legacy_sample": (36, "ae15cb88e76e"),
    "long": (24, "e362df63a634"),
    "phase": (128, "4786f7a89b52"),
    "phase_quick": (72, "5fdd5b156fb5"),
    "pilot_quick": (1, "a394faaea9b2"),
    "portable": (4, "1f7d4b1fb5d0"),
    "pretraining_quick": (1, "8b7f3114f4e4"),
    "price": (72, "1ffd735c8522"),
    "reach": (84, "13ea46185ac0"),
    "scaling": (96, "bddf15b0ee45"),
    "scaling_quick": (36, "d3c3aa436f03"),
    "scaling_quick_sample": (36, "d3c3aa436f03"),
    "tinystories": (2, "6d2b225b6873"),
    "tinystories_quick": (2, "8cc30e796379"),
    "warmup": (24, "9b0a31c6466e"),
    "wd_check_sample": (4, "b9b3cd115756"),
    "wd_fix_cpu": (40, "91891cfc056e"),
    "wd_fix_sample": (160, "138dc397bce5"),
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


def test_a_likeness_that_cannot_be_printed_is_escaped():
    with pytest.raises(ValueError) as error:
        complete({"a": {"base": "wd_fix"}, "\xa0wd_fix": {}}, "a")
    assert (
        str(error.value).endswith(r"did you mean '\xa0wd_fix'?") and str(error.value).isprintable()
    )
