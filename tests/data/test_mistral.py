"""The tokenizer `mistral`: out of the installed package, or refused in one line."""

from pathlib import Path

import pytest

from bitnet.data.tokenizer import Tokenizer
from tests.helpers.project import SNAKEMAKE, TINY, call, copy_project
from workflow.scripts import tokenizer


def install(folder: Path, monkeypatch, model: bytes | None) -> None:
    """A package mistral-common as pip lays it out, with a model or without."""
    described = folder / "mistral_common-99.0.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text("Name: mistral-common\nVersion: 99.0\n")
    if model is not None:
        path = folder / "mistral_common/data/tokenizer.model.v1"
        path.parent.mkdir(parents=True)
        path.write_bytes(model)
    monkeypatch.syspath_prepend(folder)


def make(folder: Path, vocab_size: int = 32_000) -> Path:
    output = folder / "t.model"
    tokenizer.main(["--mistral", "--vocab-size", str(vocab_size), "--output", str(output)])
    return output


def test_the_model_of_the_package_is_taken(tmp_path, monkeypatch, real_data):
    model = real_data("tokenizers/mistral_v1_32000.model").read_bytes()
    install(tmp_path / "packages", monkeypatch, model)
    made = make(tmp_path)
    assert made.read_bytes() == model and Tokenizer(made).vocab_size == 32_000
    with pytest.raises(ValueError, match="vocab_size is 2048; allowed: 32000"):
        make(tmp_path, 2048)


@pytest.mark.parametrize("model", [None, b"another"])
def test_a_version_without_that_model_is_refused(tmp_path, monkeypatch, model):
    install(tmp_path / "packages", monkeypatch, model)
    with pytest.raises(ValueError, match=r"mistral-common 99.0 has not.*pip install"):
        make(tmp_path)
    assert not list(tmp_path.glob("t.model*"))


def test_a_missing_package_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", [])
    with pytest.raises(ValueError, match=r"not installed: pip install -e '.\[mistral\]', or"):
        make(tmp_path)


def test_a_study_may_name_it_and_is_planned_without_the_package(tmp_path):
    project = copy_project(tmp_path / "project")
    tiny = project / "tests/tiny.yaml"
    changed = "vocab_size: 32000\n  tokenizer: mistral"
    tiny.write_text(tiny.read_text().replace("vocab_size: 512", changed))
    done = call(project, SNAKEMAKE, "-np", "data", "--config", "study=quick", *TINY)
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert "data/stories/mistral-32000/tokenizer.model" in said
    assert (
        "tokenizer --mistral --sample data/stories/text.json --output" in said
        and "--vocab-size 32000" in said
    )
