"""Model cards by the hub's own reader, in all forms and for all texts."""

import pytest
import yaml
from huggingface_hub import ModelCard
from huggingface_hub.utils import validate_repo_id

from bitnet.config.recipe import ModelConfig, Recipe, TrainConfig
from bitnet.evaluation.record import RunRecord
from bitnet.export.formats import FOLDERS
from bitnet.export.model_card import METRICS, model_card
from tests.helpers.project import project_config

SOURCES = sorted({corpus["source"] for corpus in project_config()["corpora"].values()})
RATES = {"peak_lr": 2e-3, "switch_lr": 1e-3, "final_lr": 1e-4, "warmup_steps": 10}
DECAY = {"stage1_weight_decay": 0.1, "stage2_weight_decay": 0.0}
STEPS = {"steps": 100, "batch_size": 8, "sequence_length": 32, "evaluate_every": 100}
TRAINED = {"code": "c0de", "data": "da7a", "environment": {"torch": "2"}}
ROW = {"Step": 100, "N": 4096, "DataHash": "da7a"} | dict.fromkeys(METRICS, 1.25)


def card(source: str, kind: str, weights: str = "ternary", license: str = "mit") -> str:
    recipe = Recipe(
        ModelConfig(512, 256, 1, weights=weights),
        TrainConfig(optimizer="adamw", **RATES, **DECAY, **STEPS),
    )
    record = RunRecord(
        lineage={"text": {"source": {"source": source}}}, data="da7a", environment={"torch": "2"}
    )
    return model_card("study@no/h256: a_1", kind, recipe, TRAINED, (ROW, record), license, "no")


@pytest.mark.parametrize("kind", FOLDERS)
@pytest.mark.parametrize("source", SOURCES)
def test_the_hubs_reader_takes_each_card_as_it_is(source, kind):
    """What ModelCard checks before it asks the hub: YAML, its types, and the model index."""
    text = card(source, kind)
    found = ModelCard(text, ignore_metadata_errors=False)
    assert str(found) == text  # what its `push_to_hub` sends
    assert found.data.model_name == "study@no/h256: a_1" and len(found.data.eval_results) == 2
    assert (found.data.license, found.data.language) == ("mit", "no")  # YAML reads no as false
    for name in found.data.datasets or []:
        validate_repo_id(name)
    assert (found.data.datasets is None) == (source in ("stories", "arithmetic", "files"))
    assert ("not known here" in " ".join(text.split())) == (source == "files")


def test_the_hubs_reader_refuses_a_damaged_card():
    """The judge of the test above can deny."""
    text = card("stories", "dense")
    for sound, damaged in (("  - task:", "  - tusk:"), ("  results:", "  result:")):
        assert text.count(sound) > 0
        with pytest.raises(ValueError, match="model_index"):
            ModelCard(text.replace(sound, damaged))
    with pytest.raises(yaml.YAMLError):
        ModelCard(text.replace("license: mit", "license: [mit"))


def test_a_card_without_a_license_says_how_one_is_stated():
    assert "`license` under `export` in config.yaml" in " ".join(
        card("stories", "dense", license="").split()
    )
    assert "`license`" not in card("stories", "dense")
