"""What a configuration comes to, beside the original's own table and hand arithmetic."""

import pytest
import yaml

from bitnet.config.budget import Corpus, limit_minutes, stretch_seconds, verification
from bitnet.config.study import Study
from bitnet.config.validate import check
from bitnet.model.transformer import Transformer
from bitnet.monitoring.instruments import utilisation
from tests.helpers.project import ROOT, project_config

SCHEMA = yaml.safe_load((ROOT / "workflow/schemas/config.schema.yaml").read_text())


@pytest.fixture
def config():
    return project_config()


@pytest.fixture
def study(config):
    return Study.of(config, "fineweb95m")


def rows(study, corpus, pilot=None) -> dict[str, str]:
    return {row[0]: row[1] for row in verification(study, "h768_wd0", corpus, pilot, gpu=True)}


WEB = {"source": "fineweb_edu", "train_bytes": 10**10}


def test_the_95m_configuration_is_the_one_that_was_verified(study):
    found = rows(study, Corpus(WEB))
    assert found["parameters"] == "95,367,936"
    assert found["embedding"] == "24,576,000"  # 32,000 x 768
    assert found["attention"] == f"{8 * 1_770_240:,}"
    assert found["feed-forward"] == f"{8 * 7_078_656:,}"
    assert found["tokens"] == "1,966,080,000" and found["tokens a parameter"] == "20.6"
    assert found["of the whole data set"] == "0.15%"
    recipe = study.recipe("h768_wd0")
    model, c = recipe.model, recipe.training
    assert (model.num_heads, model.num_kv_heads, model.intermediate_size) == (12, 6, 3072)
    assert (c.warmup_steps, c.peak_lr, c.switch_lr, c.final_lr) == (375, 0.0015, 0.001, 0.000015)
    assert (c.lr_switch, c.wd_switch, c.stage1_weight_decay) == (30_000, 30_000, 0.1)
    assert c.stage2_weight_decay == 0 and c.optimizer == "adamw"


def test_the_parameters_that_are_counted_are_those_of_the_model(config):
    model = Study.of(config, "pretraining_quick").recipe("h256_wd0").model
    made = sum(p.numel() for p in Transformer(model, 8).parameters())
    assert made == sum(model.parameters().values()) == 2_491_648


def test_passes_are_counted_once_the_text_is_tokenised_and_guessed_before(study):
    assert rows(study, Corpus(WEB, tokens=3_932_160_000))["passes"] == "0.50"
    assert rows(study, Corpus(WEB))["passes"] == "0.82"  # 1,966,080,000 x 4.194 / 1e10
    assert rows(study, Corpus({**WEB, "source": "files"}))["training text"] == "?"


@pytest.mark.parametrize(
    ("windows", "tokens", "share"),
    [
        ("epochs", 3_932_160_000, "50%"),
        ("epochs", 1_966_080_000, "100%"),
        ("in_order", 3_932_160_000, "50%"),
        ("random", 3_932_160_000, "39%"),  # 1 - exp(-0.5)
        ("random", 1_966_080_000, "63%"),
    ],
)
def test_the_share_of_the_text_that_is_seen_depends_on_how_it_is_drawn(
    config, windows, tokens, share
):
    change(config, "fineweb95m", "training/windows", windows)
    study = Study.of(config, "fineweb95m")
    found = verification(study, "h768_wd0", Corpus(WEB, tokens), None, gpu=True)
    notes = {figure: why for figure, _, why in found}
    assert f"{share} of the text is seen" in notes["passes"]


@pytest.mark.parametrize("corpus", [Corpus({**WEB, "train_bytes": 2 * 10**9}), Corpus(WEB, 10**9)])
def test_a_text_that_would_be_repeated_is_refused_in_one_line(study, corpus):
    with pytest.raises(ValueError, match=r"expect\.passes is 1; allowed: at least .* passes over"):
        rows(study, corpus)


def test_hours_are_those_of_the_pilots_speed(study):
    pilot = {"tokens_per_second": 109_227, "device": "NVIDIA Something"}
    assert rows(study, Corpus(WEB), pilot)["time"] == "5 hours"  # 1,966,080,000 / 109,227 s


def change(config, study, path, value):
    block = config["studies"][study]
    *parents, last = path.split("/")
    for key in parents:
        block[key] = dict(block[key])
        block = block[key]
    block[last] = value


@pytest.mark.parametrize(
    ("study", "path", "value", "words"),
    [
        (
            "fineweb95m",
            "expect/parameters",
            95_367_937,
            "allowed: 95367936, which is that of vocab_size 32000",
        ),
        (
            "fineweb95m",
            "expect/tokens",
            2_000_000_000,
            "allowed: 1966080000, which is that of steps 60000",
        ),
        ("fineweb95m", "training/steps", 50_000, "expect.tokens is 1966080000; allowed: 16384"),
        ("fineweb95m", "training/accumulate", 3, "batch_size is 32; allowed: a multiple of"),
        ("fineweb95m", "nodes", 2, "processes is 1; allowed: a multiple of nodes = 2"),
        ("fineweb95m", "processes", 5, "batch_size is 32; allowed: a multiple of processes x"),
        ("fineweb95m", "pilot", "quick", "pilot is 'quick'; allowed: one of fineweb95m_pilot"),
        ("fineweb95m_pilot", "pilot", "fineweb95m_pilot", "allowed: one of pilot_quick"),
        ("fineweb95m_pilot", "training/peak_lr", 1e-3, "peak_lr is 0.001; allowed: the study's"),
        (
            "fineweb95m_pilot",
            "corpus",
            "stories",
            "corpus is 'stories'; allowed: the study's own, fine",
        ),
    ],
)
def test_what_does_not_add_up_is_refused_before_anything_runs(config, study, path, value, words):
    change(config, study, path, value)
    with pytest.raises(ValueError, match=r"studies\.fineweb95m") as error:
        check(config, SCHEMA)
    assert words in str(error.value) and "\n" not in str(error.value)


def test_an_override_must_name_a_study(config):
    config["override_pilot"] = "fineweb"
    with pytest.raises(ValueError, match="override_pilot is 'fineweb'; allowed: one of"):
        check(config, SCHEMA)


def test_a_cluster_is_asked_for_an_hour_or_for_four_times_what_a_training_takes(study, config):
    long, short = study.recipe("h768_wd0"), Study.of(config, "quick").recipe("h64_wd0")
    assert stretch_seconds(short, gpu=False) < 15 * 60 and limit_minutes(short, gpu=False) == 60
    hours = stretch_seconds(long, gpu=True) / 3600
    assert hours > 1 and 0 <= limit_minutes(long, gpu=True) / 60 - 4 * hours < 1 / 60


def test_utilisation_is_that_counted_by_hand(study):
    recipe = study.recipe("h768_wd0")
    # 6 x (8 x 8,847,360 + 24,576,000) for the matrices, 6 x 8 x 768 x 1,024 for the scores
    flops = 6 * (8 * 8_847_360 + 24_576_000) + 6 * 8 * 768 * 1024
    found = utilisation(recipe, 1e5, "NVIDIA H100 80GB HBM3", processes=2)
    assert found == pytest.approx(1e5 * flops / (2 * 989e12), rel=0.001)
    assert utilisation(recipe, 1e5, "cpu") is None
