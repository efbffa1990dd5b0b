"""EleutherAI's harness on an exported folder: its figures are ours, and what is missing is said."""

import json
from itertools import islice

import pytest

from bitnet.common.files import read_json, write_json
from bitnet.data.stories.questions import questions
from bitnet.data.text import write_text_part
from bitnet.export import harness
from tests.helpers.exports import refused
from workflow.scripts import lm_eval

SOURCE = json.dumps({"source": "stories", "seed": 0})
DOCUMENTS = ["A red kite flew.\n", 'Tom said: "Oh"']


@pytest.fixture
def arguments(run, made, tmp_path, stories_data) -> list[str]:
    """Of the script, with 40 held-out documents."""
    texts = [q.story for q in islice(questions(1, 99, lambda text: True), 40)]
    part = write_text_part(texts, tmp_path / "validation.parquet")
    write_json(tmp_path / "text.json", {"validation": {"parts": [part]}})
    known = ["--weights", str(run.weights), "--folder", str(made["bitlinear"])]
    known += ["--manifest", str(run.data.folder / "manifest.json"), "--source", SOURCE]
    known += ["--text", str(tmp_path / "text.json"), "--tasks", str(tmp_path / "tasks")]
    return [*known, "--output", str(tmp_path / "found.json")]


def test_its_bits_per_byte_and_accuracy_are_ours(arguments, made, tmp_path, monkeypatch):
    pytest.importorskip("lm_eval")
    # No question fits in the 32 tokens of this model: they are cut on the left, there as here.
    asked = questions(1, 299, lambda text: len(text) < 200)
    asked = list(islice((q for q in asked if len(q.choices[0]) < 30), 20))
    monkeypatch.setattr(lm_eval, "questions_of", lambda *_: asked)
    lm_eval.main(arguments)
    found = read_json(tmp_path / "found.json")
    assert found["bits_per_byte"] == pytest.approx(found["bits_per_byte_here"], abs=1e-3)
    assert found["documents"] == 40 and found["bits_per_byte"] < 8
    assert found["questions"] == len(asked) == 20 and found["chance"] == 0.25
    assert abs(found["accuracy"] - found["accuracy_here"]) <= 1 / found["questions"]  # a tie
    # bos predicted, as by the harness's default: another figure, so the tolerance can tell them
    wrong = harness.MODEL.replace("add_bos_token=False", "add_bos_token=True")
    other = harness.run_harness(made["bitlinear"], tmp_path / "tasks", ["held_out"], wrong)
    assert abs(other["held_out"]["bits_per_byte"] - found["bits_per_byte_here"]) > 5e-3


def test_a_folder_that_it_cannot_read_is_one_line(tmp_path, capsys):
    pytest.importorskip("lm_eval")
    harness.write_tasks(tmp_path / "tasks", DOCUMENTS, [], "<s>")
    (tmp_path / "model").mkdir()
    line = refused(
        capsys, lambda: harness.run_harness(tmp_path / "model", tmp_path / "tasks", ["held_out"])
    )
    assert line.startswith(f"error: lm_eval does not run {tmp_path / 'model'}: ")
    assert "Error: " in line


def test_without_it_the_script_says_what_to_install(arguments, capsys, monkeypatch):
    def missing(package: str) -> str:
        raise lm_eval.PackageNotFoundError(package)

    monkeypatch.setattr(lm_eval, "version", missing)
    line = refused(capsys, lambda: lm_eval.main(arguments))
    assert line == "error: lm-eval is not installed (pip install -e '.[export,lm-eval]')"


def test_tasks_hold_texts_and_questions_as_they_are(tmp_path):
    asked = list(questions(1, 20, lambda text: True))
    assert harness.write_tasks(tmp_path / "t", DOCUMENTS, asked, "<s>") == ["held_out", "recall"]
    lines = (tmp_path / "t/held_out.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["text"] for line in lines] == DOCUMENTS
    first = json.loads((tmp_path / "t/recall.jsonl").read_text(encoding="utf-8").splitlines()[0])
    assert first["context"] == "<s>" + asked[0].context
    assert asked[0].story.startswith(f"{asked[0].context} {first['choices'][first['answer']]}")
    assert harness.write_tasks(tmp_path / "u", DOCUMENTS, [], "<s>") == ["held_out"]
    assert sorted(path.name for path in (tmp_path / "u").iterdir()) == [
        "held_out.jsonl",
        "held_out.yaml",
    ]


def test_questions_are_asked_of_models_of_the_built_in_stories_alone(stories_data):
    tokenizer = stories_data.tokenizer
    assert lm_eval.questions_of({"source": "tinystories"}, tokenizer, 64) == []
    asked = lm_eval.questions_of(json.loads(SOURCE), tokenizer, 64)
    texts = [f"{question.context} {choice}" for question in asked for choice in question.choices]
    assert asked and all(len(tokenizer.model.encode(text)) <= 64 for text in texts)


def test_held_out_documents_are_some_of_about_the_bytes_asked(arguments, monkeypatch):
    text = arguments[arguments.index("--text") + 1]
    monkeypatch.setattr(lm_eval, "TEXT_BYTES", 1000)
    found = lm_eval.held_out(text)
    size = sum(len(one.encode()) for one in found)
    assert size - len(found[-1].encode()) < 1000 <= size
