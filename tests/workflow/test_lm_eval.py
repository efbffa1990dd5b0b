"""The rule of EleutherAI's harness: which form it reads, and what a missing harness costs."""

from importlib.util import find_spec

import pytest

from tests.helpers.project import SNAKEMAKE, call, copy_project, jobs

TARGETS = ("results/quick/lm_eval-h64_wd0.json", "results/portable/lm_eval-h256_wd0.json")


@pytest.fixture
def dry_run(tmp_path):
    return call(copy_project(tmp_path), SNAKEMAKE, "-n", "-p", *TARGETS)


def test_it_reads_the_folder_that_holds_a_run_best(dry_run):
    pytest.importorskip("lm_eval")
    assert jobs(dry_run.stdout + dry_run.stderr).items() >= {"lm_eval": 2}.items()
    for folder in ("quick/h64_wd0/dense", "portable/h256_wd0/bitlinear"):
        assert f"--folder models/export/{folder} " in dry_run.stdout + dry_run.stderr


@pytest.mark.skipif(find_spec("lm_eval") is not None, reason="lm-eval is installed")
def test_a_missing_harness_is_said_before_anything_is_trained(dry_run):
    line = "error: lm-eval is not installed; it needs: pip install -e '.[export,lm-eval]'"
    assert dry_run.returncode and line in dry_run.stderr.splitlines()
