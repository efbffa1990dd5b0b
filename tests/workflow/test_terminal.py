"""What the terminal says before and after, on machines with a GPU and without, and on a cluster.

Snakemake's dry-run skips the hooks of the Snakefile, so they are run for real.
"""

import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tests.helpers import pretended
from tests.helpers.project import ROOT, SNAKEMAKE, TINY, call, copy_project, snakemake
from workflow.helpers import cuda

ASKED = """
defaults: {gpu: 1}
studies:
  quick: {gpu: 1}
  wd_fix:
    grid: {hidden_size: [16], optimizer: [adam], weights: [ternary]}
    question: {headline: {hidden_size: 16}}
"""
FLAGS = (*TINY, "asked.yaml")
GPU_COMMAND = ("all", "--cores", "1", "--resources", "gpu=1", *FLAGS)
REFUSED = "a GPU is asked for and torch sees none: torch "
ON_CPU = ("--config", "device=cpu")
without_cuda = pytest.mark.skipif(torch.cuda.is_available(), reason="torch sees a GPU here")


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A project whose studies ask for a GPU, with data and one trunk made where there is none."""
    project = copy_project(tmp_path_factory.mktemp("terminal") / "project")
    (project / "asked.yaml").write_text(ASKED)
    output = snakemake(project, "models/quick/h16.safetensors", "--cores", "1", *FLAGS)
    assert "to train: 1 x stage 1 and 0 x stage 2, 1 at a time on the CPU: about" in output
    assert "Open: models/quick/h16.safetensors, models/quick/h16.observations" in output
    return project


@pytest.mark.slow
@without_cuda
def test_a_gpu_that_torch_does_not_see_ends_in_one_line_before_anything_is_trained(
    project, tmp_path
):
    machine = pretended.nvidia_smi(tmp_path)
    done = call(project, SNAKEMAKE, *GPU_COMMAND, env=machine)
    assert "`all` is the study wd_fix here (nvidia-smi is on PATH)" in done.stderr
    line = done.stderr.rstrip().splitlines()[-1]
    assert line.startswith(f"error: {REFUSED}{torch.__version__} ") and done.returncode == 1
    assert line.endswith("; --config device=cpu trains on the CPU all the same")
    assert "Traceback" not in done.stderr and not list((project / "models").glob("h16*"))

    # what the line says: the same study, whole, on the CPU
    output = snakemake(project, *GPU_COMMAND, *ON_CPU, env=machine)
    assert "to train: 1 x stage 1 and 2 x stage 2, 1 at a time on the CPU" in output
    assert "Open: results/report.html" in output
    assert (project / "results/verdict.md").is_file()

    (project / "results/verdict.md").unlink()
    output = snakemake(project, "results/verdict.md", *FLAGS)
    assert "nothing to train" in output
    assert "Open: results/report.html, results/verdict.csv" in output
    again = snakemake(project, "results/verdict.md", *FLAGS)
    assert "Nothing to be done" in again and "nothing to train" not in again


@pytest.mark.slow
@without_cuda
def test_gpus_are_announced_by_name_and_a_training_that_does_not_get_one_is_refused(
    project, tmp_path
):
    machine = pretended.two_gpus(tmp_path)
    target = "models/quick/h16_adamw.safetensors"
    done = call(project, SNAKEMAKE, target, "--cores", "1", *FLAGS, env=machine)
    said = done.stdout + done.stderr
    assert "1 x stage 1 and 0 x stage 2, 1 at a time on 2 x Pretended GPU: about" in said
    log = (project / "logs/quick/h16_adamw.train.log").read_text()
    assert done.returncode == 1 and f"error: {REFUSED}" in log and log.count("\n") == 1
    assert not (project / target).exists()


@pytest.mark.slow
@without_cuda
def test_on_a_cluster_the_job_itself_refuses_to_train_without_the_gpu_it_asked_for(
    project, tmp_path
):
    target = "models/quick/h16_adamw.safetensors"
    command = (target, "--executor", "pretended", "--jobs", "1", *FLAGS)
    login = pretended.cluster(tmp_path)
    done = call(project, SNAKEMAKE, *command, env=login)
    said = done.stdout + done.stderr
    assert "1 x stage 1 and 0 x stage 2, 1 at a time on a GPU: about" in said
    log = (project / "logs/quick/h16_adamw.train.log").read_text()
    assert done.returncode == 1 and f"error: {REFUSED}" in log and log.count("\n") == 1
    output = snakemake(project, *command, *ON_CPU, env=login)
    assert "1 x stage 1 and 0 x stage 2, 1 at a time on the CPU: about" in output
    assert f"Open: {target}" in output and (project / target).is_file()


OLD_DRIVER = """The NVIDIA driver on your system is too old (found version 11040).
Please update your GPU driver."""


def test_the_refusal_says_what_torch_says_and_what_to_install(monkeypatch):
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch, "__version__", "9.9+cpu")
    assert cuda.refusal().startswith(f"{REFUSED}9.9+cpu is a build for CPUs alone; install one")

    def init():
        raise RuntimeError(OLD_DRIVER)

    monkeypatch.setattr(torch.version, "cuda", "12.6")
    monkeypatch.setattr(torch.cuda, "init", init)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    said = "says: " + " ".join(OLD_DRIVER.rstrip(".").split())
    assert f"{said}; install a driver for CUDA 12.6 or newer, or the torch" in cuda.refusal()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert f"{said} (CUDA_VISIBLE_DEVICES is ''); install" in cuda.refusal()
    assert "\n" not in cuda.refusal()


def test_a_torch_that_cannot_be_imported_is_a_refusal_too(monkeypatch, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError('libcudart.so.12 is missing')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    names, refusal = cuda.ask()
    assert names == [] and "(ImportError: libcudart.so.12 is missing)" in refusal
    assert refusal.endswith("; --config device=cpu trains on the CPU all the same")


REPORTS = {  # rule: the heading under which the terminal stops, what to open
    "verdict": ("<details>", "{0}/report.html, {0}/verdict.csv, {0}/figures/"),
    "arithmetic_report": ("## How it is measured", "{0}/a.md, a.svg"),
    "stories_report": ("## How it is measured", "{0}/a.md, a.svg"),
    "sanity_report": ("## How it is measured", "{0}/a.md, a.svg"),
    "pretraining_report": ("## Losses", "{0}/a.md, a.svg"),
    "pilot_report": (None, "{0}/a.md"),
    "claims_ledger": ("# Ledger", "{0}/a.md"),
    "compare_runtimes_of_run": ("# Runtimes", "{0}/a.md"),
    "train_trunk": ("# No report", "a.safetensors"),
}


@pytest.mark.parametrize("rule", REPORTS)
def test_the_answer_shows_the_beginning_of_a_report_and_what_to_open(rule, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    heading, opened = REPORTS[rule]
    report = tmp_path / "a.md"
    report.write_text(f"# Answer\n\nyes\n\n{heading or '## More'}\n\nwhy\n")
    drawn = {"figures": ["a.svg"]} if "a.svg" in opened else {}
    output = SimpleNamespace(markdown=str(report), **drawn)
    job = SimpleNamespace(rule=SimpleNamespace(name=rule), output=output)
    (tmp_path / "figures").mkdir()
    for name in ("a.svg", "a.safetensors", "report.html", "verdict.csv"):
        (tmp_path / name).touch()
    target = SimpleNamespace(output=["a.safetensors"])
    hooks: dict = {"Path": Path, "os": os}
    exec((ROOT / "workflow/common/terminal.smk").read_text(), hooks)
    dag = SimpleNamespace(jobs=[job], targetjobs=[target])
    said = hooks["answer"](SimpleNamespace(dag=dag))
    assert said.endswith(f"Open: {opened.format(tmp_path)}")
    shown = rule.endswith("_report") or rule == "verdict"
    assert said.startswith("# Answer\n\nyes\n") == shown
    assert ("why" in said) == (heading is None)
    brief = hooks["answer"](SimpleNamespace(dag=dag), brief=True)
    assert brief.startswith("Answer: yes.\nOpen: " if shown else "Open: ")
    many = [f"h{i}.csv" for i in range(10)]
    for name in [*many, "h0.provenance.json"]:
        Path(name).touch()
    runs = [SimpleNamespace(output=[name, "h0.provenance.json"]) for name in reversed(many)]
    plain = SimpleNamespace(dag=SimpleNamespace(jobs=[], targetjobs=runs))
    assert hooks["answer"](plain) == f"Open: {', '.join(many[:8])}, and 2 more"
    report.unlink()  # `--touch` makes none
    (tmp_path / "a.safetensors").unlink()
    assert hooks["answer"](SimpleNamespace(dag=dag)) == ""
