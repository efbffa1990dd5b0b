"""Each stage of a study that is judged has the evaluations that the verdict's end is made of."""

import copy
import re

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from bitnet.config.study import Study
from bitnet.config.validate import check
from tests.helpers.project import ROOT, project_config

CONFIG = project_config()
SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())


def refusal(evaluations=3, **training) -> str:
    """The line that `quick` with these keys is refused with; empty if it is not."""
    config = copy.deepcopy(CONFIG)
    config["studies"]["quick"]["training"] |= training
    try:
        Study.of(config, "quick").check_ends(evaluations)
    except ValueError as error:
        assert "\n" not in str(error)
        return str(error)
    return ""


def changed(study: str, **keys) -> dict:
    """The config with other keys of a study."""
    config = copy.deepcopy(CONFIG)
    config["studies"][study] |= keys
    return config


def test_quick_without_its_own_evaluate_every_is_refused():
    # Of 2,000 steps, half before the switch: 500 leaves 1500 and 2000; 499: 1497, 1996 and 2000.
    quick = CONFIG["studies"]["quick"]["training"]
    line = "^studies.quick: evaluate_every is 1000; allowed: at most 499, for 3 evaluations in each"
    with pytest.raises(ValueError, match=line):
        check(changed("quick", training={**quick, "evaluate_every": 1000}), SCHEMA)
    assert refusal(evaluate_every=500) and not refusal(evaluate_every=499)


def test_step_0_counts_for_no_stage_and_the_switch_for_the_first():
    steps = {"steps": 100, "warmup_steps": 0, "wd_switch": 50, "evaluate_every": 100}
    assert refusal(**steps, evaluate_at=[0, 20, 60, 80])  # 20, 50 | 60, 80, 100
    assert not refusal(**steps, evaluate_at=[10, 20, 60, 80])
    assert refusal(**steps, evaluate_at=[10, 20, 80])


def test_a_stage_of_too_few_steps_is_refused_without_a_number():
    line = refusal(steps=4, warmup_steps=0, evaluate_at=[])
    assert (
        "evaluate_every is 200; allowed: none for 3 evaluations in each stage of steps = 4" in line
    )


def test_every_switch_of_a_grid_is_asked():
    config = changed("quick", variants=[{"wd_switch": 1990}])  # with 4: 1992, 1996 and 2000
    with pytest.raises(ValueError, match="quick: evaluate_every is 200; allowed: at most 4,"):
        check(config, SCHEMA)


def test_an_experiment_has_no_verdict_and_may_have_fewer():
    training = CONFIG["studies"]["arithmetic_quick"]["training"]
    check(changed("arithmetic_quick", training={**training, "evaluate_every": 6000}), SCHEMA)


@settings(max_examples=30, deadline=None)
@given(
    steps=st.integers(2, 40),
    share=st.floats(0.1, 0.9),
    every=st.integers(1, 50),
    at=st.lists(st.integers(0, 2), max_size=2),
    least=st.integers(1, 4),
)
def test_up_to_the_number_named_all_pass_and_the_next_does_not(steps, share, every, at, least):
    switch = min(max(int(steps * share), 1), steps - 1)

    def enough(every: int) -> bool:
        read = [s for s in range(1, steps + 1) if s % every == 0 or s in (*at, switch, steps)]
        return min(sum(s <= switch for s in read), sum(s > switch for s in read)) >= least

    said = refusal(
        evaluations=least,
        steps=steps,
        warmup_steps=0,
        wd_switch=switch,
        evaluate_every=every,
        evaluate_at=at,
    )
    assert bool(said) != enough(every)
    if said:
        named = re.search("at most ([0-9]+),", said)
        most = int(named[1]) if named else 0
        assert all(map(enough, range(1, most + 1))) and not enough(most + 1)
