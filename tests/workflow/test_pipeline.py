"""The pipeline as a user types it, on a copy of the project and reduced studies."""

import json
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from sentencepiece import SentencePieceTrainer

from bitnet.evaluation.metrics import CSV_TYPES
from tests.helpers.project import (
    ENVIRONMENT,
    ROOT,
    SNAKEMAKE,
    TINY,
    call,
    copy_project,
    jobs,
    snakemake,
)

DATA = {"text", "tokenizer", "shards", "manifest", "references"}
CHAIN = {*DATA, "train_trunk", "train_branch", "evaluate"}


@pytest.fixture
def project(tmp_path):
    return copy_project(tmp_path)


def test_a_dry_run_of_one_run_lists_its_chain_and_nothing_else(project):
    found = jobs(snakemake(project, "-n", "results/h256_wd0.csv"))
    assert found == {**dict.fromkeys(CHAIN, 1), "total": len(CHAIN)}


@pytest.mark.parametrize("study", ["quick", "wd_fix"])
def test_every_trunk_is_trained_once_and_branched_for_every_weight_decay(project, study):
    found = jobs(snakemake(project, "-n", study))
    assert found["train_branch"] == 2 * found["train_trunk"] == found["evaluate"]
    assert found["verdict"] == found["figures"] == found["report"] == found[study] == 1
    assert "error_rates" not in found  # only where they are asked for
    assert "best_rates" not in found  # there is one rate


def test_a_study_has_its_own_figures_in_one_job(project):
    found = jobs(snakemake(project, "-n", "phase_quick"))
    assert found["figures-phase"] == found["best_rates"] == 1 and "figures" not in found
    targets = [f"results/scaling_quick@stories/figures/{n}.svg" for n in ("scaling", "mechanism")]
    found = jobs(snakemake(project, "-n", *targets))
    assert found["figures-scaling"] == 1 and "figures" not in found
    done = call(project, SNAKEMAKE, "-n", "results/quick/figures/phase.svg")
    assert done.returncode != 0 and "results/quick/figures/phase.svg" in done.stdout + done.stderr


def test_all_is_the_quick_study_without_a_gpu_and_needs_neither_torch_nor_a_data_set_library(
    project, tmp_path
):
    """With a GPU it is the main study: test_terminal.py."""
    forbidden = tmp_path / "forbidden"
    for name in ("torch", "matplotlib", "datasets", "sentencepiece"):
        (forbidden / name).mkdir(parents=True)
        (forbidden / name / "__init__.py").write_text(f"raise ImportError('no {name} here')\n")
    paths = ENVIRONMENT["PATH"].split(os.pathsep)
    without = os.pathsep.join(p for p in paths if not (Path(p) / "nvidia-smi").exists())
    output = snakemake(
        project, "-n", env={**ENVIRONMENT, "PATH": without, "PYTHONPATH": str(forbidden)}
    )
    assert "`all` is the study quick here" in output and jobs(output)["train_trunk"] == 12


def test_all_is_the_study_that_is_asked_for_where_there_is_a_gpu(project, tmp_path):
    smi = tmp_path / "nvidia-smi"
    smi.write_text("#!/bin/sh\n")
    smi.chmod(0o755)
    env = {**ENVIRONMENT, "PATH": os.pathsep.join([str(tmp_path), ENVIRONMENT["PATH"]])}
    command = ("-n", "all", "--cores", "1", "--resources", "gpu=1", "--config", "study=quick")
    assert jobs(snakemake(project, *command, env=env))["train_trunk"] == 12


def test_runtimes_are_compared_in_the_forms_that_a_model_has(project):
    forms = {"export_folder": 2, "export_gguf": 1, "compare_runtimes_of_run": 1}
    found = jobs(snakemake(project, "-n", "compare_runtimes"))
    assert found.items() >= {**forms, "train_trunk": 1, "train_branch": 1}.items()
    narrow = jobs(snakemake(project, "-n", "results/quick/runtimes-h64_wd0.md"))
    assert narrow.items() >= {**forms, "export_folder": 1}.items()
    twin = snakemake(project, "-n", "-p", "results/runtimes-h256_wd0_fp.md")
    assert "h256_wd0_fp-f16.gguf" in twin and "tq2_0" not in twin


def test_the_small_model_to_publish_is_made_by_one_command_with_its_license(project):
    stated = ("--config", "export={license: mit}")
    output = snakemake(project, "-n", "-p", "release", *stated)
    assert jobs(output).items() >= {"export_folder": 1, "export_gguf": 1, "train_trunk": 1}.items()
    folder = "models/export/portable/h256_wd0"
    for path in (f"{folder}/bitlinear", f"{folder}/h256_wd0-tq2_0.gguf"):
        assert f"--output {path} " in output
    assert output.count("--license=mit --language en ") == 2


def test_error_rates_are_made_from_a_studys_tables(project):
    found = jobs(snakemake(project, "-n", "results/quick/error_rates.md"))
    assert found["error_rates"] == 1 and found["evaluate"] == 24 and "verdict" not in found


def test_a_study_on_another_corpus_writes_under_a_scope_of_its_own(project):
    output = snakemake(project, "-n", "-p", "wd_fix", "--config", "corpus=stories")
    assert "results/wd_fix@stories/verdict.md" in output
    assert "results/h256_wd0.csv" not in output


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("results/h256_wd0.050.csv", ["'h256_wd0.050'", "'h256_wd0.05'"]),
        ("results/h160_wd0.csv", ["hidden_size", "160", "64"]),
        ("results/nope/h64_wd0.csv", ["study", "nope", "one of wd_fix, "]),
        ("results/wd_fix@nope/h64_wd0.csv", ["corpus", "nope", "stories"]),
        ("models/export/quick/h64_wd0/bitlinear", ["hidden_size is 64", "256", "dense"]),
        ("models/export/quick/h64_wd0/h64_wd0-tq2_0.gguf", ["hidden_size is 64", "256", "f16"]),
        ("models/export/h256_wd0_fp/bitlinear", ["full-precision twin", "dense"]),
        ("models/export/legacy/h256_wd0/dense", ["linear_norms is True", "allowed: false"]),
        ("models/export/arithmetic/h256_wd0/dense", ["tokenizer is 'characters'", "bpe"]),
    ],
)
def test_a_target_that_cannot_be_is_refused_in_one_line(project, target, words):
    done = call(project, SNAKEMAKE, "-n", target)
    line = done.stderr.strip().splitlines()[-1]
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert all(word in line for word in words), done.stderr


def test_a_tokenizer_that_cannot_be_exported_is_refused_before_anything_is_trained(project):
    """Kind of fault: a converter's refusal in the last job, after days of training."""
    with (project / "nfkc.model").open("wb") as file:
        texts = iter(["A cat sat down.", "The dog ran home."] * 50)
        flags = {"model_type": "bpe", "byte_fallback": True, "vocab_size": 300, "minloglevel": 2}
        SentencePieceTrainer.train(sentence_iterator=texts, model_writer=file, **flags)
    config = project / "config.yaml"
    changed = config.read_text().replace("tokenizer: bpe", "tokenizer: nfkc.model")
    config.write_text(changed.replace("vocab_size: 2048", "vocab_size: 300"))
    done = call(project, SNAKEMAKE, "-n", "models/export/quick/h64_wd0/dense")
    line = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and line.startswith(
        "error: tokenizer 'nfkc.model' cannot be export"
    )


def test_a_tokenizer_that_is_not_there_is_refused_in_one_line(project):
    config = project / "config.yaml"
    config.write_text(config.read_text().replace("tokenizer: bpe", "tokenizer: absent.model"))
    done = call(project, SNAKEMAKE, "-n", "quick")
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "tokenizer is 'absent.model'; allowed: bpe" in done.stderr.splitlines()[-1]


def test_a_config_with_an_unknown_key_is_refused_before_anything_is_made(project):
    config = project / "config.yaml"
    config.write_text(config.read_text().replace("batch_size: 4", "batchsize: 4"))
    done = call(project, SNAKEMAKE, "quick")
    line = done.stderr.strip().splitlines()[-1]
    assert done.returncode != 0 and "batchsize" in line and "batch_size" in line
    assert not (project / "data").exists()


@pytest.mark.slow
def test_a_run_of_the_main_study_is_built_and_exported_by_name_beside_one_that_diverged(
    project,
):
    tiny = project / "tests/tiny.yaml"
    wild = "evaluate_at: [], peak_lr: 1.0e+38}"  # of the study quick
    tiny.write_text(tiny.read_text().replace("evaluate_at: []}", wild))
    exported = [f"models/export/h256_wd0/{name}" for name in ("bitlinear", "h256_wd0-tq2_0.gguf")]
    targets = ["results/h256_wd0.csv", *exported, "results/quick/h16_wd0.csv"]
    snakemake(project, *targets, *TINY, "--cores", "1", "--resources", "gpu=1")
    assert (project / exported[0] / "model.safetensors").is_file()
    assert "# h256_wd0\n" in (project / exported[0] / "README.md").read_text()
    assert (project / exported[1]).read_bytes()[:4] == b"GGUF"
    assert "Nothing to be done" in snakemake(project, "-n", *targets, *TINY)
    rows = pd.read_csv(project / "results/h256_wd0.csv", dtype=CSV_TYPES)
    assert list(rows.columns[:5]) == ["Step", "Loss", "UniquePredictions", "LR", "WD"]
    assert rows["HiddenSize"].unique() == [256] and rows["WD"].iloc[-1] == 0
    made = sorted(path.name for path in (project / "results").iterdir())
    assert made == ["h256_wd0.csv", "h256_wd0.provenance.json", "quick"]
    record = json.loads((project / "results/quick/h16_wd0.provenance.json").read_text())
    assert record["diverged"] is True
    rows = pd.read_csv(project / "results/quick/h16_wd0.csv", dtype=CSV_TYPES)
    assert rows["ValLoss"].isna().iloc[-1]
    folders = [f"models/export/{run}/dense" for run in ("h256_wd0", "quick/h16_wd0")]
    failed = call(project, SNAKEMAKE, *folders, *TINY, "--cores", "1", "--keep-going")
    assert failed.returncode == 1 and "cannot be exported" in failed.stdout + failed.stderr
    for folder in (exported[0], folders[0]):  # nothing of Snakemake's is published
        assert not [path.name for path in (project / folder).iterdir() if path.name[0] == "."]


@pytest.mark.slow
def test_real_files_go_from_text_to_a_table(project, real_data):
    data = real_data("tinystories_train_sample.parquet")
    config = (project / "config.yaml").read_text()
    block = {"source": "files", "train": [str(data)], "validation_share": 0.05}
    block |= {"train_bytes": 400_000, "validation_bytes": 100_000}
    config = config.replace("corpora:\n", f"corpora:\n  mine: {json.dumps(block)}\n", 1)
    (project / "config.yaml").write_text(config)
    target = "results/quick@mine/h16_wd0_adamw.csv"
    snakemake(project, target, "--cores", "1", *TINY)
    rows = pd.read_csv(project / target, dtype=CSV_TYPES)
    assert rows["ValLoss"].iloc[-1] < rows["ValLoss"].iloc[0]


END = b"\n<|endoftext|>\n"
STORY = "The %s red fox number %d ran over hill %d."
UNUSABLE = {  # a file of text, and what is said of it
    "few_words": (
        END.join(f"{i:09b}".replace("0", "one ").replace("1", "two ").encode() for i in range(500)),
        ["vocab_size is 512", "allowed: at most"],
    ),
    "blank": (b" \n" * 9_000, ["split", "no documents", "both splits"]),
    "empty": (b"", ["empty.txt' is empty", "UTF-8"]),
    "binary": (b"\0\1\2" * 9_000, ["binary.txt' is binary", "UTF-8"]),
    "latin": (b"caf\xe9 " * 9_000, ["latin.txt' is not UTF-8", "line 1, character 4"]),
    "short": (
        END.join((STORY % (("old", "big")[i % 2], i, i * 7 % 90)).encode() for i in range(3_000)),
        ["validation split", "at least 4097"],
    ),
}


@pytest.mark.slow
def test_text_that_cannot_be_used_is_refused_in_one_line_before_training(project):
    corpora = {}
    for name, (content, _) in UNUSABLE.items():
        (project / f"{name}.txt").write_bytes(content)
        corpora[name] = {"source": "files", "train": [f"{name}.txt"], "train_bytes": 1_000_000}
        corpora[name] |= {"validation_share": 0.3, "validation_bytes": 100_000}
    corpora["short"]["validation_bytes"] = 2_000
    (project / "mine.yaml").write_text(json.dumps({"corpora": corpora}))
    targets = [f"results/quick@{name}/h16_wd0.csv" for name in corpora]
    done = call(project, SNAKEMAKE, *targets, "--keep-going", "--cores", "1", *TINY, "mine.yaml")
    errors = {line for line in done.stderr.splitlines() if line.startswith("error: ")}
    assert done.returncode != 0 and len(errors) == len(UNUSABLE), done.stderr  # one is repeated
    for name, (_, words) in UNUSABLE.items():
        assert sum(all(word in line for word in words) for line in errors) == 1, (name, errors)
    assert "Traceback" not in done.stderr and not list(project.glob("models/**/*.safetensors"))


@pytest.mark.slow
def test_the_scaling_test_does_one_run_by_hand_and_names_what_to_lower(project):
    config = project / "config.yaml"
    text = config.read_text()
    assert text.count("train_bytes: 8000000") == 2
    config.write_text(text.replace("train_bytes: 8000000", "train_bytes: 300000"))

    def scaling_test(*arguments: str) -> subprocess.CompletedProcess:
        command = (sys.executable, "-m", "workflow.scripts.scaling_test", *arguments)
        return call(project, *command, "--vocab-size", "512", "--num-layers", "1")

    done = scaling_test("40", "16", "out.csv", "--batch-size", "2", "--sequence-length", "32")
    assert done.returncode == 0, done.stderr
    rows = pd.read_csv(project / "out.csv", dtype=CSV_TYPES)
    assert rows["Step"].iloc[-1] == 40 and "state at the end" in done.stdout
    refused = scaling_test("40", "160", "out.csv")
    assert refused.returncode == 1 and refused.stderr.count("\n") == 1
    assert "hidden_size is 160" in refused.stderr
    huge = scaling_test("40", "400000", "out.csv")
    assert huge.returncode == 1 and huge.stderr.count("\n") == 1, huge.stderr
    assert "out of memory" in huge.stderr
    for key in ("batch_size", "sequence_length", "hidden_size"):
        assert key in huge.stderr


@pytest.mark.parametrize(
    "name", sorted(p.stem for p in (ROOT / "workflow/scripts").glob("[!_]*.py"))
)
def test_every_script_explains_itself_without_snakemake(name, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(ROOT / f"workflow/scripts/{name}.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert ended.value.code in (None, 0) and f"python -m workflow.scripts.{name}" in printed
