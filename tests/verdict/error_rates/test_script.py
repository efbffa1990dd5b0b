"""The script of error rates, and the page in docs/ that holds what it wrote."""

import numpy as np
import pandas as pd
import pytest

from bitnet.common.files import read_json
from bitnet.verdict.error_rates.scenarios import NOTHING, SCENARIOS
from tests.helpers.project import ROOT
from tests.helpers.tables import QUESTION, run
from tests.workflow.test_records import record
from workflow.provenance.records import record_of, write_record
from workflow.scripts import error_rates as script

PAGE = ROOT / "docs" / "error_rates.md"


@pytest.fixture(scope="module")
def published() -> pd.DataFrame:
    return pd.read_csv(PAGE.with_suffix(".csv"))


def test_the_pages_table_is_what_the_script_writes_of_the_numbers_beside_it(published):
    page = PAGE.read_text(encoding="utf-8")
    assert script.placed(script.markdown(published), page) == page
    assert len(page.splitlines()) <= 120  # one page


def test_the_numbers_are_those_of_todays_scenarios_with_3_5_and_10_seeds(published):
    told = published[["Group", "Scenario", "Answer", "Seeds"]].to_numpy().tolist()
    assert told == [[s.group, s.name, s.right, n] for s in SCENARIOS for n in (3, 5, 10)]
    assert (published["Draws"] == 500).all()


def test_a_wrong_claim_is_made_in_at_most_5_percent_where_nothing_differs(published):
    null = published[published["Group"] == NOTHING]
    # Of 500 draws 5.8 % is not over 5 %: what counts is the lower end of its interval. Cells beside
    # the headline are another family than the rest, and each may err in 5 %.
    several = null["Scenario"].str.startswith("four cells")
    assert null.loc[~several, "WrongLow"].max() <= 0.05
    assert several.any() and null.loc[several, "WrongLow"].max() <= 1 - 0.95**2
    assert null["Scenario"].nunique() >= 15


def shares(**columns) -> pd.DataFrame:
    """Numbers of one scenario with 3 and 5 seeds."""
    row = {"Group": NOTHING, "Scenario": "both at 4", "Answer": "no effect", "Seeds": [3, 5]}
    row |= {"Right": [0.5, 1.0], "Wrong": [0.051, 0.0], "Draws": 1000, "Title": "quick"}
    for name in ("Right", "Wrong"):
        row |= {f"{name}Low": 0.2, f"{name}High": [0.24, 0.26]}
    return pd.DataFrame(row | {"Spread": "ln count 0.4, 0.2, 0.0; loss 0.1, 0.2, 0.0"} | columns)


def test_shares_are_percentages_beside_each_other_and_those_over_5_percent_are_listed():
    text = script.markdown(shares())
    assert "| both at 4 | no effect    | 50 / 100 | 5.1 / 0 |" in text
    assert "1,000 drawn studies with 3 / 5 seeds" in text and "at most ± 3.0" in text
    assert "\n- both at 4: 5.1 / 0\n" in text
    assert "Wrong in more than" not in script.markdown(shares(Wrong=0.05))
    assert "Wrong in more than" not in script.markdown(shares(Group="Something differs"))


def test_a_page_without_its_marks_is_refused():
    page = f"a\n{script.BEGIN}\nold\n{script.END}\nb\n"
    assert script.placed("new\n", page) == f"a\n{script.BEGIN}\n\nnew\n\n{script.END}\nb\n"
    for bad in ("", page.replace(script.END, ""), page + page):
        with pytest.raises(ValueError, match="page has not one"):
            script.placed("new", bad)


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> list[str]:
    """Runs of two arms and three seeds as files with their records."""
    folder, rng, paths = tmp_path_factory.mktemp("results"), np.random.default_rng(0), []
    for decay, end in ((0.05, 6), (0.0, 90)):
        for seed in range(3):
            path = folder / f"wd{decay}_{seed}.csv"
            rows = run(seed, decay, 8, end, loss=4.0)
            after = rows["Step"] > rows["SwitchStep"]
            rows["UniquePredictions"] += after * rng.integers(-3, 4, len(rows))
            rows["ValLoss"] += after * 0.1 * rng.standard_normal(len(rows))
            rows.to_csv(path, index=False)
            found = record(256, decay, "adam", "ternary", seed=seed)
            lineage = found.pop("lineage")
            write_record(record_of(path), [path], lineage, **found)
            paths.append(str(path))
    return paths


def call(results, folder, *more) -> list[str]:
    """What the script writes: the CSV and the text."""
    outputs = [folder / "e.csv", folder / "e.md"]
    flags = ["--question", QUESTION.to_json(), "--draws", "3", "--title", "some"]
    flags += ["--csv", str(outputs[0]), "--markdown", str(outputs[1])]
    script.main(["--inputs", *results, *flags, *more])
    return [path.read_text() for path in outputs]


def test_the_script_writes_the_same_numbers_for_the_same_seed_only(results, tmp_path, monkeypatch):
    chosen = [s for s in SCENARIOS if s.name in ("both end near 50", "45.6 and 54.8, ratio 1.2")]
    monkeypatch.setattr(script, "SCENARIOS", chosen)
    page = tmp_path / "page.md"
    page.write_text(f"# Title\n{script.BEGIN}\nold\n{script.END}\nmore\n")
    first = call(results, tmp_path, "--page", str(page))
    assert call(results[::-1], tmp_path) == first != call(results, tmp_path, "--seed", "1")
    assert "3 drawn studies with 3 / 5 / 10 seeds" in first[1] and "Spread of some" in first[1]
    record = read_json(tmp_path / "e.provenance.json")["lineage"]["error_rates"]
    assert (record["seed"], record["draws"]) == (1, 3)
    text = first[1].removeprefix("# Error rates of the verdict\n\n")
    assert page.read_text() == f"# Title\n{script.BEGIN}\n\n{text}\n{script.END}\nmore\n"
    assert page.with_suffix(".csv").read_text() == first[0]


def test_the_script_refuses_in_one_line_what_cannot_be_answered(results, tmp_path):
    one_seed = [path for path in results if path.endswith("_0.csv")]
    for inputs, more, words in (
        (results, ["--draws", "0"], "--draws is 0"),
        (one_seed, [], "no cell at the headline .* has two sound seeds"),
        ([*results, str(tmp_path / "absent.csv")], [], "absent.provenance.json' is missing"),
    ):
        with pytest.raises(ValueError, match=words) as error:
            call(inputs, tmp_path, *more)
        assert "\n" not in str(error.value)
    assert not list(tmp_path.glob("e.*"))
