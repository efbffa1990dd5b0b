"""What experiments measure of a run, as JSON and back."""

import json

import pytest

from bitnet.experiments.runs import Answers, Samples
from tests.experiments import test_arithmetic, test_decision

RUNS = {Answers: test_arithmetic.run, Samples: test_decision.run}


@pytest.mark.parametrize("kind", RUNS)
def test_json_holds_all_of_a_run(kind):
    run = RUNS[kind]()
    assert kind.from_dict(json.loads(json.dumps(run.to_dict()))) == run


@pytest.mark.parametrize("kind", RUNS)
@pytest.mark.parametrize("change", [{"spare": 1}, {"recipe": {"model": {}}}])
def test_another_form_is_refused_in_one_line(kind, change):
    fields = {**RUNS[kind]().to_dict(), **change}
    with pytest.raises(ValueError, match="not ") as caught:
        kind.from_dict(fields)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", RUNS)
def test_a_key_that_is_missing_is_named(kind):
    fields = RUNS[kind]().to_dict()
    del fields["losses"]
    with pytest.raises(ValueError, match="losses"):
        kind.from_dict(fields)
