"""Names of runs: one spelling for each, both ways."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bitnet.config.recipe import OPTIMIZERS
from bitnet.config.run_names import (
    AXES,
    VARIANT,
    keys_of,
    parse,
    spell,
    spell_number,
    trunk_of,
    variant_of,
)

DEFAULTS = {
    "hidden_size": None,
    "stage2_weight_decay": None,
    "optimizer": "adam",
    "weights": "ternary",
    "peak_lr": 1.5e-3,
    "stage1_weight_decay": 0.1,
    "warmup_steps": 375,
    "gradient_clip": 1.0,
    "label_smoothing": 0.0,
    "lr_switch": 10_000,
    "wd_switch": 10_000,
    "shuffled": False,
    "seed": 0,
}


def run(hidden_size: int, stage2_weight_decay: float | None, **others) -> dict:
    return {
        **DEFAULTS,
        "hidden_size": hidden_size,
        "stage2_weight_decay": stage2_weight_decay,
        **others,
    }


SPELLINGS = {
    "h256_wd0": run(256, 0.0),
    "h256_wd0.05": run(256, 0.05),
    "h256_wd0.05_adamw": run(256, 0.05, optimizer="adamw"),
    "h512_wd0_fp_seed2": run(512, 0.0, weights="full_precision", seed=2),
    "h256_wd0_lr5e-4": run(256, 0.0, peak_lr=5e-4),
    "h256_wd0.05_adamw_fp_lr5e-4_seed2": run(
        256, 0.05, optimizer="adamw", weights="full_precision", peak_lr=5e-4, seed=2
    ),
    "h64_wd0_adamw-all_stage1wd0_seed1": run(
        64, 0.0, optimizer="adamw-all", stage1_weight_decay=0.0, seed=1
    ),
    "h64_wd0_warmup0_clip0.1_smooth0.1": run(
        64, 0.0, warmup_steps=0, gradient_clip=0.1, label_smoothing=0.1
    ),
    "h64_wd0_switchlr500_switchwd2000_shuffled": run(
        64, 0.0, lr_switch=500, wd_switch=2000, shuffled=True
    ),
    "h256_adamw_seed2": run(256, None, optimizer="adamw", seed=2),
    "h256": run(256, None),
}
numbers = st.floats(min_value=0, allow_nan=False, allow_infinity=False).map(abs)
axis_values = st.fixed_dictionaries(
    {
        "hidden_size": st.integers(1, 10**6),
        "stage2_weight_decay": st.none() | numbers,
        "optimizer": st.sampled_from(OPTIMIZERS),
        "weights": st.sampled_from(["ternary", "full_precision"]),
        "peak_lr": numbers,
        "stage1_weight_decay": numbers,
        "warmup_steps": st.integers(0, 10**6),
        "gradient_clip": numbers,
        "label_smoothing": numbers,
        "lr_switch": st.integers(1, 10**6),
        "wd_switch": st.integers(1, 10**6),
        "shuffled": st.booleans(),
        "seed": st.integers(0, 10**6),
    }
)


@pytest.mark.parametrize("name", SPELLINGS)
def test_documented_names_mean_what_is_documented(name):
    assert parse(name, DEFAULTS) == SPELLINGS[name]
    assert spell(SPELLINGS[name], DEFAULTS) == name


@given(axis_values, axis_values)
def test_any_values_come_back_from_their_name_whatever_the_defaults(values, defaults):
    name = spell(values, defaults)
    assert parse(name, defaults) == values
    assert spell(parse(name, defaults), defaults) == name


@given(axis_values, axis_values)
def test_different_values_have_different_names(values, others):
    same = values == others
    assert (spell(values, DEFAULTS) == spell(others, DEFAULTS)) == same


@given(axis_values)
def test_a_trunk_is_named_like_its_runs_without_wd(values):
    run_values = {**values, "stage2_weight_decay": 0.05}
    name = spell(run_values, DEFAULTS)
    assert trunk_of(name, DEFAULTS) == name.replace("_wd0.05", "")
    assert parse(trunk_of(name, DEFAULTS), DEFAULTS) == {**values, "stage2_weight_decay": None}


@pytest.mark.parametrize(
    ("name", "variant", "keys"),
    [
        ("h256_wd0_adamw_fp_lr5e-4_stage1wd0_seed2", "base", []),
        ("h64_wd0_clip0.1_seed1", "clip0.1", ["gradient_clip"]),
        ("h64_wd0_adamw_warmup0_shuffled", "warmup0_shuffled", ["warmup_steps", "shuffled"]),
    ],
)
def test_a_variant_is_what_a_name_says_of_axes_without_a_column(name, variant, keys):
    assert variant_of(name, DEFAULTS) == variant
    assert keys_of(variant) == keys


def test_both_arms_of_a_seed_have_one_trunk():
    arms = "h256_wd0_adamw_seed2", "h256_wd0.05_adamw_seed2"
    assert {trunk_of(arm, DEFAULTS) for arm in arms} == {"h256_adamw_seed2"}


def test_the_axis_that_equals_the_studys_default_is_left_out():
    defaults = {**DEFAULTS, "optimizer": "adamw", "weights": "full_precision", "seed": 7}
    assert parse("h64_wd0", defaults) == {
        **defaults,
        "hidden_size": 64,
        "stage2_weight_decay": 0.0,
    }
    assert spell(run(64, 0.0, seed=7), defaults) == "h64_wd0_adam_ternary"


@pytest.mark.parametrize(
    ("name", "right"),
    [
        ("h256_wd0.050", "h256_wd0.05"),
        ("h256_wd0.0", "h256_wd0"),
        ("h256_wd5e-2", "h256_wd0.05"),
        ("h0256_wd0", "h256_wd0"),
        ("h256_wd0_adam", "h256_wd0"),
        ("h256_wd0_ternary", "h256_wd0"),
        ("h256_wd0_seed0", "h256_wd0"),
        ("h256_wd0_seed02", "h256_wd0_seed2"),
        ("h256_wd0_lr1.5e-3", "h256_wd0"),
        ("h256_wd0_lr0.0005", "h256_wd0_lr5e-4"),
        ("h٢٥٦_wd0", "h256_wd0"),
    ],
)
def test_another_spelling_is_refused_with_the_right_one(name, right):
    with pytest.raises(ValueError) as caught:
        parse(name, DEFAULTS)
    assert str(caught.value) == f"run {name!r} is spelled {right!r}"


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("h256_wd0_seed2_adamw", "adamw"),  # wrong order
        ("h256_adamw_wd0", "wd0"),
        ("wd0_h256", "h256"),
        ("h256_wd0_fp_adamw", "adamw"),
        ("h256_wd0_wd0.05", "wd0.05"),  # twice
        ("h256_wd0_seed1_seed2", "seed2"),
        ("h256_wd0_sgd", "sgd"),  # unknown
        ("h256_wd0_", ""),
        ("h256__wd0", ""),
        ("h256_wd", "wd"),
        ("h256_wd-1", "wd-1"),
        ("h256_wd.05", "wd.05"),
        ("h256_wd0_seed1.5", "seed1.5"),
        ("h2.5_wd0", "h2.5"),
        ("256_wd0", "256"),
        ("H256_wd0", "H256"),
        ("h256_wd0_lrnan", "lrnan"),
        ("h256_wd0\n", "wd0\n"),
        ("", ""),
    ],
)
def test_parts_in_the_wrong_place_or_unknown_are_refused_with_what_is_allowed(name, part):
    with pytest.raises(ValueError) as caught:
        parse(name, DEFAULTS)
    message = str(caught.value)
    assert message.startswith(f"run {name!r}: {part!r} is not understood")
    assert "in this order: h, wd, adam/adamw/adam-matrices/adam-embedding/" in message
    rest = "lr, stage1wd, warmup, clip, smooth, switchlr, switchwd, ordered/shuffled, seed"
    assert message.endswith(f", ternary/fp, {rest}")
    assert "\n" not in message


def test_a_name_without_a_hidden_size_is_refused():
    for name in ("wd0", "adamw", "seed3"):
        with pytest.raises(ValueError, match=f"run '{name}': begins with h and the hidden size"):
            parse(name, DEFAULTS)


@pytest.mark.parametrize(
    ("value", "spelling"),
    [
        (0, "0"),
        (0.0, "0"),
        (0.05, "0.05"),  # 4 letters, as many as 5e-2: decimal
        (0.5, "0.5"),
        (5e-4, "5e-4"),
        (0.0015, "0.0015"),  # 1.5e-3 is as long: decimal
        (1e-3, "1e-3"),  # 4 letters against 5
        (0.001, "1e-3"),
        (1.5e-5, "1.5e-5"),
        (1, "1"),
        (10, "10"),
        (100, "100"),
        (1000, "1e3"),
        (1500, "1500"),
        (0.1, "0.1"),
        (123456.75, "123456.75"),
        (0.00099999999, "9.9999999e-4"),  # six digits of a %e would make it e-3
    ],
)
def test_a_number_has_its_shortest_spelling_and_decimal_on_ties(value, spelling):
    assert spell_number(value) == spelling


@given(numbers)
@example(0.00099999999)
@example(5e-324)
@example(1.7976931348623157e308)
def test_a_spelled_number_is_the_number(value):
    assert float(spell_number(value)) == value
    assert "_" not in spell_number(value)


@given(st.integers(1, 10**7 - 1), st.integers(-12, 12))
@example(9999999, -12)
def test_a_number_of_few_digits_is_never_longer_than_either_form(digits, exponent):
    value = float(f"{digits}e{exponent}")
    mantissa = str(digits).rstrip("0")
    point = mantissa[0] + ("." + mantissa[1:] if mantissa[1:] else "")
    scientific = f"{point}e{len(str(digits)) - 1 + exponent}"
    assert float(scientific) == value
    spelled = spell_number(value)
    assert len(spelled) <= len(scientific)
    assert spelled == scientific or "e" not in spelled


def test_axes_have_distinct_keys_columns_and_spellings():
    columns = [axis.column for axis in AXES if axis.column != VARIANT]
    assert len({axis.key for axis in AXES}) == len(AXES) and len(set(columns)) == len(columns)
    said = [axis.prefix or tuple(axis.words.values()) for axis in AXES]
    assert len(set(said)) == len(AXES)
