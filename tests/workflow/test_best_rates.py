"""A study of ternary's price from text to its table of best rates, and in a clone."""

import pandas as pd
import pytest

from bitnet.config.study import Study
from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.metrics import CSV_TYPES
from bitnet.verdict.best_rates import best_rates
from tests.helpers.project import TINY, commit, copy_project, jobs, project_config, snakemake


def test_only_a_study_that_varies_the_rate_has_such_a_table(tmp_path):
    project = copy_project(tmp_path)
    found = jobs(snakemake(project, "-n", "price"))
    assert (found["best_rates"], found["figures-price"], found["train_trunk"]) == (1, 1, 72)
    assert "best_rates" not in jobs(snakemake(project, "-n", "quick"))


@pytest.mark.slow
def test_a_study_from_text_to_the_price_and_nothing_to_do_afterwards(tmp_path):
    project = copy_project(tmp_path / "project")
    snakemake(project, "price", *TINY, "--cores", "2")
    results = project / "results/price"
    table = pd.read_csv(results / "best_rates.csv")
    assert table["HiddenSize"].tolist() == [16, 32]
    runs = [pd.read_csv(path, dtype=CSV_TYPES) for path in results.glob("h*.csv")]
    question = Study.of(project_config(), "price").question()
    by_hand = best_rates(pd.concat(runs), Thresholds(), question)
    assert len(runs) == 12 and list(table) == list(by_hand)
    for column in ("TreatmentPeakLR", "ControlValLoss", "DeltaValLoss"):
        assert table[column].tolist() == pytest.approx(by_hand[column].tolist(), rel=1e-4)
    verdict = (results / "verdict.md").read_text()
    assert "## At each one's best learning rate\n" in verdict and "](figures/price.svg)" in verdict
    assert (results / "figures/price.svg").stat().st_size > 0
    commit(project)
    clone = tmp_path / "clone"
    project.rename(clone)
    (clone / ".snakemake").rename(tmp_path / "forgotten")
    assert "Nothing to be done" in snakemake(clone, "-n", "price", *TINY)
    (results := clone / "results/price/best_rates.csv").write_text("changed\n")
    assert jobs(snakemake(clone, "-n", "price", *TINY))["best_rates"] == 1, results
