"""The table of best rates: by the script, and from text through the whole pipeline."""

import pandas as pd
import pytest

from bitnet.config.question import Question
from bitnet.config.study import Study
from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.metrics import CSV_TYPES
from bitnet.verdict.best_rates import best_rates
from tests.helpers.project import TINY, commit, copy_project, jobs, project_config, snakemake
from tests.helpers.rates import WEIGHTS, priced
from workflow.provenance.records import record_of, write_record
from workflow.scripts import best_rates as script
from workflow.scripts import verdict

RECIPE = {
    "model": {"hidden_size": 64, "num_heads": 2, "num_kv_heads": 1},
    "training": {"peak_lr": 1.5e-3, "switch_lr": 1e-3, "final_lr": 1.5e-5},
}
LINEAGE = {"train": {"recipe": RECIPE, "code": "0"}, "evaluate": {"code": "0"}}
WHERE = dict.fromkeys(("torch", "python"), "1") | {"device": "cpu"}


@pytest.fixture(scope="module")
def tables(tmp_path_factory) -> list[str]:
    folder, paths = tmp_path_factory.mktemp("tables"), []
    for (size, weights), rows in priced().groupby(["HiddenSize", "Weights"]):
        paths.append(folder / f"h{size}_{weights}.csv")
        rows.to_csv(paths[-1], index=False)
        write_record(record_of(paths[-1]), [paths[-1]], LINEAGE, data="d" * 64, environment=WHERE)
    return list(map(str, paths))


def test_the_script_writes_the_table_and_its_record(tables, tmp_path):
    output = tmp_path / "b.csv"
    script.main(["--inputs", *tables, "--question", WEIGHTS.to_json(), "--csv", str(output)])
    expected = best_rates(priced(), Thresholds(), WEIGHTS)
    assert output.read_text() == expected.to_csv(index=False, float_format="%.6g")
    assert record_of(output).exists()


def test_the_verdict_has_the_section(tables, tmp_path):
    outputs = [tmp_path / "v.csv", tmp_path / "v.md"]
    headline = {**WEIGHTS.headline, "peak_lr": 2e-3}
    question = Question.from_dict(WEIGHTS.to_dict() | {"headline": headline})
    flags = ["--csv", str(outputs[0]), "--markdown", str(outputs[1])]
    verdict.main(["--inputs", *tables, "--question", question.to_json(), *flags])
    assert "## At each one's best learning rate\n" in outputs[1].read_text()
    assert len(pd.read_csv(outputs[0])) == 9  # three sizes at three rates


def test_a_study_without_rates_to_choose_from_is_refused_in_one_line(tables, tmp_path):
    fields = WEIGHTS.to_dict() | {"axis": "peak_lr", "treatment": 1e-3, "control": 2e-3}
    question = Question.from_dict(fields | {"default": 1e-3})
    with pytest.raises(ValueError, match=r"question\.axis is peak_lr; allowed: any but peak_lr"):
        script.main(["--inputs", *tables, "--question", question.to_json(), "--csv", "b.csv"])


@pytest.mark.slow
@pytest.mark.often
def test_a_study_from_text_to_the_price_and_nothing_to_do_in_a_clone(tmp_path):
    project = copy_project(tmp_path / "project")
    snakemake(project, "price", *TINY, "--cores", "2")
    results = project / "results/price"
    table = pd.read_csv(results / "best_rates.csv")
    assert table["HiddenSize"].tolist() == [16, 32]
    runs = [pd.read_csv(path, dtype=CSV_TYPES) for path in results.glob("h*.csv")]
    question = Study.of(project_config(), "price").question()
    again = best_rates(pd.concat(runs), Thresholds(), question)
    assert len(runs) == 12 and list(table) == list(again)
    for column in ("TreatmentPeakLR", "ControlValLoss", "DeltaValLoss"):
        assert table[column].tolist() == pytest.approx(again[column].tolist(), rel=1e-4)
    text = (results / "verdict.md").read_text()
    assert "## At each one's best learning rate\n" in text and "](figures/price.svg)" in text
    assert (results / "figures/price.svg").is_file()
    commit(project)
    clone = project.rename(tmp_path / "clone")
    (clone / ".snakemake").rename(tmp_path / "forgotten")
    assert "Nothing to be done" in snakemake(clone, "-n", "price", *TINY)
    (clone / "results/price/best_rates.csv").write_text("changed\n")
    assert jobs(snakemake(clone, "-n", "price", *TINY))["best_rates"] == 1
