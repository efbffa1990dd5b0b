"""Exports run by llama.cpp: pip install -e '.[llamacpp]' && pytest -m llamacpp"""

import numpy as np
import pytest
import torch

from bitnet.data.stories.grammar import stories
from bitnet.data.tokenizer import Tokenizer
from tests.export.test_tokenizer import ODD, STRINGS, lines, write_vocabulary
from tests.helpers.agreement import agreement
from tests.helpers.exports import Run, logits, train_run

llama_cpp = pytest.importorskip("llama_cpp", reason="needs the extra `llamacpp`")
pytestmark = pytest.mark.llamacpp


def opened(path, **more):
    return llama_cpp.Llama(str(path), n_ctx=64, n_threads=1, verbose=False, **more)


def by_llama_cpp(path, ids: torch.Tensor) -> np.ndarray:
    """Logits (B x T, vocab_size) of a GGUF file."""
    model = opened(path, logits_all=True)
    found = []
    for row in ids.tolist():
        model.reset()
        model.eval(row)
        found.append(np.array(model.scores[: len(row)]))
    return np.concatenate(found)


def judge(run: Run, path):
    ours = logits(run.model, run.ids).flatten(0, 1).numpy()
    return agreement(ours, by_llama_cpp(path, run.ids), run.targets)


def passes(found) -> bool:
    """llama.cpp rounds activations a block of 256, training a token: measured, then rounded up."""
    return found.argmax >= 0.985 and found.divergence <= 3e-4 and abs(found.loss) <= 2e-3


@pytest.mark.parametrize("kind", ["tq2_0", "tq2_0_f32"])
def test_llama_cpp_predicts_what_training_predicts(run, tmp_path, kind):
    found = judge(run, run.export(kind, tmp_path / "model.gguf"))
    assert found.positions == 4_096 and passes(found), found


def test_rows_of_q_and_k_that_are_not_interleaved_fail_there(run, monkeypatch, tmp_path):
    monkeypatch.setattr("bitnet.export.gguf.interleave", lambda weights, _: weights)
    assert not passes(judge(run, run.export("tq2_0", tmp_path / "straight.gguf")))


def test_a_twin_runs_there_in_float32(tmp_path, stories_data):
    twin = train_run(tmp_path, stories_data, 40, num_layers=1, weights="full_precision")
    found = judge(twin, twin.export("f32", tmp_path / "model.gguf"))
    assert found.argmax >= 0.999 and found.divergence <= 1e-5, found


def test_llama_cpp_splits_text_as_training_did(run, tmp_path):
    model = opened(run.export("tq2_0", tmp_path / "model.gguf"), vocab_only=True)
    ours = Tokenizer(run.data.folder / "tokenizer.model")
    texts = [*lines(stories(1, "validation")), *(s for s in STRINGS if "\0" not in s)]
    for text in texts:
        ids = model.tokenize(text.encode(), add_bos=False, special=False)
        assert ids == ours.model.encode(text), repr(text)
    assert model.tokenize(b"x", add_bos=True)[0] == ours.model.bos_id()


@pytest.mark.parametrize("name", ["llama2_32000", "mistral_v1_32000"])
def test_llama_cpp_splits_odd_lines_as_a_model_with_a_dummy_prefix_does(real_data, tmp_path, name):
    """Kind of fault: the blank before a text lost or doubled."""
    ours = Tokenizer(path := real_data(f"tokenizers/{name}.model"))
    write_vocabulary(path, tmp_path / "t.gguf")
    model = opened(tmp_path / "t.gguf", vocab_only=True)
    for text in [*ODD, *lines(stories(1, "validation"))]:
        if "\0" not in text:
            ids = model.tokenize(text.encode(), add_bos=False, special=False)
            assert ids == ours.model.encode(text), repr(text)
    assert model.tokenize(b"x", add_bos=True)[0] == ours.model.bos_id()


def test_llama_cpp_goes_on_with_a_text(run, tmp_path):
    model = opened(run.export("tq2_0", tmp_path / "model.gguf"))
    text = model("Once upon a time", max_tokens=12, temperature=0)["choices"][0]["text"]
    assert len(text.split()) >= 3
