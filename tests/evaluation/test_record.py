"""The record of a run, as JSON and back."""

import json

import pytest

from bitnet.config.recipe import Recipe
from bitnet.evaluation.record import RunRecord
from tests.helpers.recipes import recipe

FIELDS = {
    "lineage": {
        "text": {"source": {"source": "stories"}, "code": "a"},
        "train": {"recipe": recipe(seed=3), "code": "b"},
    },
    "data": "d",
    "environment": {"device": "cpu", "torch": "2.13.0"},
}


def test_json_holds_all_of_a_record():
    record = RunRecord.from_dict({**FIELDS, "seconds": 2.5, "best_possible_loss": 0.9})
    assert RunRecord.from_dict(json.loads(json.dumps(record.to_dict()))) == record


def test_what_is_recorded_has_names():
    record = RunRecord.from_dict(FIELDS)
    assert isinstance(record.recipe, Recipe) and record.recipe.training.seed == 3
    assert (record.device, record.source, record.code("train")) == (
        "cpu",
        {"source": "stories"},
        "b",
    )


@pytest.mark.parametrize(("change", "word"), [({"spare": 1}, "spare"), ({"data": None}, "data")])
def test_another_form_is_refused_in_one_line(change, word):
    fields = {key: value for key, value in {**FIELDS, **change}.items() if value is not None}
    with pytest.raises(ValueError, match=f"not the record of a run: .*{word}") as caught:
        RunRecord.from_dict(fields)
    assert "\n" not in str(caught.value)
