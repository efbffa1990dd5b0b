"""config.yaml: what it says, and that nothing wrong gets past it."""

import copy
import dataclasses
import re

import pytest
import yaml

from bitnet.config.study import Study
from bitnet.config.validate import check
from tests.helpers.project import ROOT, project_config

SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())
FILES = [ROOT / "Snakefile", *ROOT.glob("workflow/*/*.smk")]
RULES = [name for file in FILES for name in re.findall(r"(?m)^ *rule (\w+):", file.read_text())]
RULES += ["figures"]  # which a loop names


@pytest.fixture
def config():
    return project_config()


def put(config: dict, path: str, value) -> dict:
    changed = copy.deepcopy(config)
    *parents, last = path.split("/")
    block = changed
    for key in parents:
        block = block[key]
    block[last] = value
    return changed


def test_the_config_that_is_shipped_is_accepted(config):
    check(config, SCHEMA)


def test_the_main_study_is_the_question_as_it_was_asked(config):
    study = Study.of(config, "wd_fix")
    names = study.runs()
    assert len(names) == 2 * 2 * 2 * 2 * 5 == len(set(names))
    assert {"h256_wd0", "h256_wd0.05", "h512_wd0_adamw_fp_seed4"} <= set(names)
    recipe = study.recipe("h256_wd0")
    assert recipe.model.num_layers == 4 and recipe.model.vocab_size == 2048
    assert recipe.training.optimizer == "adam" and recipe.model.weights == "ternary"
    assert (recipe.training.steps, recipe.training.batch_size) == (20_000, 16)
    assert recipe.training.sequence_length == 128 and study.corpus == "tinystories"
    asked = {5_000, 6_000, 9_000, 10_000, 11_000, 15_000, 20_000}
    assert asked <= set(recipe.training.evaluation_steps(0, 20_000))


def test_every_study_but_legacy_reads_its_text_in_epochs(config):
    studies = [Study.of(config, name) for name in config["studies"]]
    ordered = {s.name for s in studies if s.recipe(s.runs()[0]).training.windows != "epochs"}
    assert ordered == {"legacy", "legacy_quick", "legacy_sample"}


def test_a_trunk_differs_from_its_runs_in_stage_2_weight_decay_alone(config):
    study = Study.of(config, "quick")
    trunk = study.recipe(study.trunk("h64_wd0.05_adamw_seed2")).to_json()
    run = study.recipe("h64_wd0.05_adamw_seed2").to_json()
    assert trunk.replace('decay":null', 'decay":0.05') == run


def test_a_run_with_its_own_learning_rate_scales_the_whole_schedule(config):
    training = Study.of(config, "wd_fix").recipe("h256_wd0_lr5e-4").training
    assert training.peak_lr == 5e-4
    assert training.switch_lr == pytest.approx(5e-4 * 2 / 3)
    assert training.final_lr == pytest.approx(5e-6)


def test_variants_are_made_one_at_a_time_at_every_size_arm_and_weights_of_the_grid(config):
    study = Study.of(config, "diagnostics")
    names = study.runs()
    arms, weights, seeds = 2, 2, 3
    assert len(set(names)) == len(names) == (4 + 10) * arms * weights * seeds
    assert {"h256_wd0_fp_clip0.1_seed2", "h256_wd0.05_adamw_stage1wd0", "h256_wd0_shuffled"} <= {
        *names
    }
    base, changed = (study.recipe(name) for name in ("h256_wd0", "h256_wd0_clip0.1"))
    different = [
        key
        for key, value in dataclasses.asdict(changed.training).items()
        if value != getattr(base.training, key)
    ]
    assert different == ["gradient_clip"] and changed.model == base.model


@pytest.mark.parametrize("name", ["legacy", "legacy_sample"])
def test_the_legacy_study_is_the_protocol_of_the_original_script(config, name):
    recipe = Study.of(config, name).recipe("h256_wd0.05")
    model, training = recipe.model, recipe.training
    assert (model.num_layers, model.num_heads, model.num_kv_heads) == (4, 4, 4)
    assert model.intermediate_size == 512 and not model.tie_embeddings
    assert model.activation == "relu2" and model.vocab_size >= 30_000
    assert model.linear_norms and model.fused_qkv and model.initialization == "pytorch"
    assert training.batch_size * (training.sequence_length + 1) == 128
    assert training.windows == "in_order" and training.lr_lag and training.warmup_steps == 375
    assert training.final_lr == pytest.approx(training.peak_lr / 1_000)
    assert (training.steps, training.wd_switch, training.lr_switch) == (10_000, 5_000, 5_000)
    assert training.switch_lr == pytest.approx(training.peak_lr * 2 / 3)
    asked = {1, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000, 7_000, 10_000}
    assert asked <= set(training.evaluation_steps(0, 10_000))
    assert "h256_wd0_lr5e-4" in Study.of(config, name).runs()


OVER_STEPS = ["unique_predictions", "loss", "pdr", "mechanism"]


@pytest.mark.parametrize(
    ("name", "figures"),
    [
        ("wd_fix", OVER_STEPS),  # two sizes show no trend
        ("diagnostics", OVER_STEPS),
        ("legacy", OVER_STEPS),
        ("scaling", [*OVER_STEPS, "scaling"]),
        ("phase_quick", ["phase"]),
        ("price", ["price"]),
    ],
)
def test_a_study_has_the_figures_that_show_what_its_grid_varies(config, name, figures):
    assert Study.of(config, name).figures() == figures


def test_one_axis_makes_no_plane(config):
    varied = put(config, "studies/quick/grid/peak_lr", [1e-3, 2e-3])
    assert Study.of(varied, "quick").figures() == OVER_STEPS


def test_equal_recipes_are_equal_strings_however_numbers_are_written(config):
    written = put(config, "studies/quick/training/gradient_clip", 1)
    assert Study.of(written, "quick").recipe("h64_wd0").to_json() == (
        Study.of(config, "quick").recipe("h64_wd0").to_json()
    )


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        ("studies/quick/trainig", {}, ["trainig", "studies.quick", "training"]),
        ("verdict/colapsed_below", 3, ["colapsed_below", "collapsed_below"]),
        ("studies/quick/grid/hidden_size", [160], ["hidden_size", "160", "64"]),
        ("studies/quick/grid/hidden_size", [192], ["hidden_size", "192", "even"]),
        ("studies/quick/grid/hidden_size", 64, ["hidden_size", "64", "array"]),
        ("studies/quick/model/num_heads", 3, ["hidden_size", "64", "num_heads = 3"]),
        ("studies/quick/model/intermediate_ratio", 2.51, ["intermediate_ratio", "2.51"]),
        ("studies/quick/grid/stage2_weight_decay", [-0.1], ["-0.1", "at least 0"]),
        ("defaults/training/stage1_weight_decay", -1, ["stage1_weight_decay", "-1", "at least 0"]),
        ("studies/quick/training/warmup_steps", 1000, ["warmup_steps", "1000", "0 to 999"]),
        ("studies/quick/training/lr_switch", 2000, ["lr_switch", "2000", "1999"]),
        ("studies/quick/training/peak_lr", "5e-4", ["peak_lr", "5e-4", "number"]),
        ("studies/quick/training/peak_lr", float("nan"), ["peak_lr", "nan", "finite"]),
        ("studies/quick/training/steps", 1e99, ["steps", "integer"]),
        ("studies/quick/training/optimizer", "sgd", ["optimizer", "sgd", "adam or adamw"]),
        ("studies/quick/seeds", 0, ["seeds", "0", "at least 1"]),
        ("studies/quick/corpus", "pile", ["corpus", "pile", "stories"]),
        ("studies/quick/vocab_size", 10, ["vocab_size", "10", "300"]),
        ("studies/quick/question/headline/weights", "binary", ["weights", "binary", "ternary"]),
        ("corpora/stories/source", "web", ["source", "web", "stories"]),
        ("study", "wdfix", ["study", "wdfix", "wd_fix"]),
        ("main_study", "x", ["main_study", "wd_fix"]),
        ("corpus", "pile", ["corpus", "pile", "tinystories"]),
        ("studies", None, ["studies", "None", "object"]),
        ("studies/quick/seeds", 10_001, ["seeds is 10001", "at most 10000"]),
        (
            "studies/quick/seeds",
            10_000,
            ["studies.quick: grid x seeds is '80000 runs", "at most 10000"],
        ),
        (
            "studies/quick/grid/peak_lr",
            [i / 1e5 for i in range(1, 9_000)],
            ["studies.quick: grid x seeds is '215976 runs"],
        ),
        ("studies/quick/grid/stage2_weight_decay", [0.05, 0, 2**53, 2**53 + 1], ["floats"]),
        ("studies/quick/grid/stage2_weight_decay", [0.05, -0.0], ["-0.0", "without a sign"]),
        ("studies/quick/grid/stage2_weight_decay", [0.05], ["question.treatment is 0"]),
        ("studies/quick/question/control", 0, ["question.control is 0", "treatment"]),
        ("studies/quick/question/headline/peak_lr", 1.0, ["headline.peak_lr is 1.0"]),
        ("studies/quick/training/windows", "once", ["windows is 'once'", "epochs or random"]),
        ("studies/quick/training/evaluate_at", [2_001], ["evaluate_at is [2001]", "2000"]),
        ("studies/quick/training/steps", 10**9, ["evaluate_every is 200", "at least 100000"]),
        ("studies/arithmetic_quick/vocab_size", 3, ["vocab_size is 3", "at least 4"]),
        ("studies/quick/vocab_size", 299, ["vocab_size is 299", "at least 300 with", "bpe"]),
        ("studies/quick/experiment", "arithmetic", ["question or experiment is ['question', 'ex"]),
        (
            "studies/arithmetic/experiment",
            "chess",
            ["experiment", "chess", "arithmetic or stories"],
        ),
        ("sanity/quick/stories", "quick", ["sanity.quick.stories is 'quick'", "tinystories"]),
        ("sanity/full/arithmetic", "arithmetic@x", ["sanity.full.arithmetic", "on @ one of"]),
        ("claims/quick", ["arithmetic"], ["claims.quick is 'arithmetic'", "one of"]),
        ("corpora/arithmetic/operators", ["^"], ["operators", "'^'"]),
        ("corpora/stories/operators", ["+"], ["operators"]),
        ("studies/quick/tokenizer", "my tokens.model", ["tokenizer is 'my tokens.model'"]),
        ("studies/quick/variants", [{"gradient_clip": 1}], ["'h64_wd0.05 twice'", "each run once"]),
        ("studies/quick/variants", [{"clip": 0.1}], ["unknown key 'clip'", "gradient_clip"]),
        ("studies/quick/variants", [{"hidden_size": 32}], ["unknown key 'hidden_size'"]),
        ("studies/quick/variants", [{"wd_switch": 2000}], ["wd_switch is 2000", "1999"]),
        ("studies/quick/variants", [{"label_smoothing": 1}], ["label_smoothing is 1", "below 1"]),
        ("studies/quick/variants", [{}], ["variants.0 is {}", "at least 1 keys"]),
        ("claims/quick", ["quik"], ["claims.quick is 'quik'", "one of wd_fix, "]),
        ("gpu_protocol", ["sanity"], ["gpu_protocol is 'sanity'", "one of wd_fix, "]),
        ("claims/quick", ["quick@pile"], ["claims.quick is 'quick@pile'", "stories"]),
        ("claims/quick", [], ["claims.quick is []", "at least 1"]),
        ("corpora/stories/train", ["*.txt"], ["a key of corpora.stories is 'train'"]),
        ("verdict/collapsed_below", 51, ["collapsed_below is 51", "diverse_above = 50"]),
        ("studies/quick", 5 * [{"x" * 999: 1}], ["studies.quick is [{'xxx", "..."]),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_with_key_value_and_what_is_allowed(
    config, path, value, words
):
    with pytest.raises(ValueError) as error:
        check(put(config, path, value), SCHEMA)
    line = str(error.value)
    assert "\n" not in line
    for word in (*words, "allowed"):
        assert word in line, line


def test_no_key_that_others_build_on_may_be_left_out(config):
    blocks = {"": config, **{key: config[key] for key in ("defaults", "verdict", "figures")}}
    blocks |= {f"defaults.{key}": config["defaults"][key] for key in ("model", "training")}
    for name, block in blocks.items():
        for key in list(block):
            value = block.pop(key)
            with pytest.raises(ValueError, match=rf"{name}\.{key} is missing; allowed: "):
                check(config, SCHEMA)
            block[key] = value
    check(config, SCHEMA)


def test_a_refusal_for_too_many_runs_blames_the_study_that_has_them(config):
    config["studies"]["portable"]["seeds"] = 9_900  # after many that have few
    with pytest.raises(ValueError, match=r"^studies\.quick: grid x seeds is '80000 runs"):
        check(put(config, "studies/quick/seeds", 10_000), SCHEMA)
    with pytest.raises(ValueError, match=r"^studies\.portable: grid x seeds is '39600 runs"):
        check(config, SCHEMA)


def test_the_names_that_a_study_may_not_have_are_those_of_the_rules_and_folders():
    reserved = SCHEMA["properties"]["studies"]["propertyNames"]["not"]["enum"]
    assert sorted(reserved) == sorted({*RULES, "auto", "export"})  # models/export/ is a folder


@pytest.mark.parametrize("name", [*RULES, "auto", "export"])
def test_a_study_may_not_be_named_like_a_rule_or_a_folder_beside_it(config, name):
    config["studies"][name] = config["studies"]["quick"]
    with pytest.raises(
        ValueError, match=f"a key of studies is '{name}'; allowed: none of .*{name}"
    ):
        check(config, SCHEMA)


def test_a_corpus_of_files_needs_its_training_files(config):
    block = {"source": "files", "train_bytes": 1000, "validation_bytes": 1000}
    with pytest.raises(ValueError, match=r"corpora\.mine.*train"):
        check(put(config, "corpora/mine", block), SCHEMA)


@pytest.mark.parametrize("separator", ["", "--", "<|endoftext|>"])
def test_patterns_may_have_braces_and_the_separator_may_be_a_blank_line(config, separator):
    block = {"source": "files", "train": ["${DATA}/{a}*.txt"], "separator": separator}
    block |= {"train_bytes": 1000, "validation_bytes": 1000}
    check(put(config, "corpora/mine", block), SCHEMA)
    with pytest.raises(ValueError, match=r"separator is ' '; allowed: at most 1000.*blank line"):
        check(put(config, "corpora/mine", {**block, "separator": " "}), SCHEMA)


def test_every_key_is_described_in_the_schema_and_commented_in_the_config():
    def undescribed(schema, path=""):
        for key, inner in schema.get("properties", {}).items():
            if "description" not in inner and "$ref" not in inner:
                yield f"{path}.{key}"
            yield from undescribed(inner, f"{path}.{key}")

    blocks = [SCHEMA, *SCHEMA["$defs"].values()]
    assert [key for block in blocks for key in undescribed(block)] == []
