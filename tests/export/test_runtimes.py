"""One model in several runtimes: the same text, measured alike."""

import numpy as np
import pandas as pd
import pytest
import torch

from bitnet.common.files import read_json
from bitnet.export.runtimes import read, write_speed
from bitnet.export.torch_runtimes import Ours, Transformers
from tests.helpers.exports import Run
from workflow.helpers.cli import ROOT
from workflow.helpers.cli import run as call
from workflow.provenance.records import read_record
from workflow.scripts import compare_runtimes
from workflow.scripts.reference import columns


@pytest.fixture
def without_llama_cpp(monkeypatch):
    """As where the extra `llamacpp` is not installed."""
    known = compare_runtimes.version

    def version(package: str) -> str:
        if package == "llama-cpp-python":
            raise compare_runtimes.PackageNotFoundError(package)
        return known(package)

    monkeypatch.setattr(compare_runtimes, "version", version)


def flags(run: Run, folder, *forms: str) -> list[str]:
    """Arguments of the script; the forms made first."""
    manifest = str(run.data.folder / "manifest.json")
    written = ["--csv", str(folder / "r.csv"), "--markdown", str(folder / "r.md")]
    kinds = {"gguf": "tq2_0"}
    made = [f"--{form}={run.export(kinds.get(form, form), folder / f'm-{form}')}" for form in forms]
    return ["--weights", str(run.weights), "--manifest", manifest, *written, *made]


def test_the_comparison_reads_the_probe_and_finds_the_loss_of_the_runs_table(
    run, tmp_path, without_llama_cpp
):
    compare_runtimes.main(flags(run, tmp_path, "bitlinear", "gguf"))
    rows = pd.read_csv(tmp_path / "r.csv").set_index("Form")
    assert list(rows.index) == ["weights", "bitlinear"]
    assert {*rows, "Form"} == {*columns(ROOT)["runtimes"]["columns"]}
    last = pd.read_csv(run.weights.with_suffix(".csv")).iloc[-1]
    assert rows["BitsPerByte"]["weights"] == pytest.approx(last["BitsPerByte"], rel=1e-5)
    assert rows["BitsPerByte"]["bitlinear"] == pytest.approx(last["BitsPerByte"], abs=1e-3)
    assert rows["ArgmaxAgreement"]["weights"] == 1
    assert 0.995 <= rows["ArgmaxAgreement"]["bitlinear"] <= 1
    assert (rows["N"] == 4096).all()
    packed = (tmp_path / "m-bitlinear/model.safetensors").stat().st_size
    assert rows["FileBytes"].to_dict() == {
        "weights": run.weights.stat().st_size,
        "bitlinear": packed,
    }
    assert (rows[["ReadTokensPerSecond", "WriteTokensPerSecond"]] > 1).all(axis=None)
    assert (rows["PeakMemoryBytes"] >= rows["ImportMemoryBytes"]).all()
    assert rows["ImportMemoryBytes"].between(5e7, 4e9).all()  # a Python with torch
    text = (tmp_path / "r.md").read_text()
    assert "llama.cpp, gguf: left out, llama-cpp-python is not installed" in text
    assert "pip install -e '.[llamacpp]'" in text
    assert "transformers, dense: left out, this model has no such form." in text
    assert read_record(tmp_path / "r.csv")["data"] == run.data.manifest["sha256"]


def test_a_runtime_that_fails_is_one_line_and_nothing_is_written(run, tmp_path, monkeypatch):
    dense = {"dense": compare_runtimes.FORMS["dense"]}
    monkeypatch.setattr(compare_runtimes, "FORMS", dense)  # the others need not be measured first
    arguments = flags(run, tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(SystemExit) as ended:
        call(lambda: compare_runtimes.main([*arguments, f"--dense={tmp_path / 'empty'}"]))
    line = str(ended.value)
    assert line.startswith("error: transformers does not run") and "\n" not in line
    assert not (tmp_path / "r.csv").exists() and not (tmp_path / "r.md").exists()


def test_both_runtimes_of_torch_write_the_same_text(run, tmp_path):
    folder = run.export("bitlinear", tmp_path / "bitlinear")
    ours, theirs = Ours(run.weights), Transformers(folder)
    begun = run.ids[0, :4].tolist()
    mine = ours.write(begun, 20)
    assert len(mine) == 20 and len(set(mine)) > 1
    text = [*begun, *mine]
    assert ours.logits(text[:-1])[3:].argmax(-1).tolist() == mine  # greedy, token by token
    assert theirs.write(begun, 20) == mine  # by its cache of keys and values


class Known:
    """A runtime whose logits are known and that takes no time to speak of."""

    def __init__(self, vocab_size: int):
        self.vocab_size = vocab_size
        self.read = []

    def logits(self, ids):
        self.read.append(ids)
        return np.zeros((len(ids), self.vocab_size), dtype=np.float32)

    def write(self, ids, count):
        return [0] * count


def test_reading_counts_each_position_of_the_probe_once(run):
    placed = read_json(run.data.folder / "manifest.json")["probe"]
    windows, known = run.windows.numpy(), Known(512)
    seen = read(known, windows, placed["positions"] - 5)
    assert len(known.read) == 3 + len(windows)  # with those that warm up
    assert seen["nll"].shape == seen["prediction"].shape == (4_091,)
    assert seen["nll"] == pytest.approx(np.log(512))
    assert known.read[-1] == windows[-1, :-1].tolist()
    assert write_speed(known, [1], 31) > 0
    assert torch.get_num_threads() == 1
