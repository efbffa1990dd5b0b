"""The figures of a study: refused, repeated and written by the script, whatever they show."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from bitnet.config.study import Study
from bitnet.figures.draw import FIGURES, draw
from bitnet.figures.style import few_ticks
from tests.helpers.figures import LIMITS, diverging, drawn, study
from tests.helpers.project import project_config
from workflow.provenance.records import record_of, write_record
from workflow.scripts import figures as script

ALL = list(FIGURES)


@pytest.mark.parametrize("scale", ["log", "linear"])
@pytest.mark.parametrize(("low", "high"), [(0.93, 1.01), (0.3, 1), (2, 4.7), (1, 1e3), (1e-12, 5)])
def test_an_axis_of_any_span_has_a_few_numbers(low, high, scale):
    axes = Figure().subplots()
    axes.set_yscale(scale)
    axes.set_ylim(low, high)
    few_ticks(axes)
    seen = [tick for tick in axes.get_yticks() if low <= tick <= high]
    assert 2 <= len(seen) <= 4 and axes.get_ylim() == (low, high)


def test_every_figure_that_a_study_has_can_be_drawn():
    config = project_config()
    names = {figure for name in config["studies"] for figure in Study.of(config, name).figures()}
    assert names == set(FIGURES)


@pytest.mark.parametrize(
    ("name", "format"), [*((name, "svg") for name in ALL), ("loss", "png"), ("loss", "pdf")]
)
def test_drawn_twice_in_any_order_of_rows_gives_the_same_bytes(name, format):
    rows = diverging(500).query("Seed > 0")
    first = drawn(name, rows, format)
    assert first == drawn(name, rows.sample(frac=1, random_state=0), format)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (study().drop(columns="PDR"), "lack the columns PDR"),
        (study()[:0], "no rows"),
        (pd.concat([study((256,)), study((512,), N=20)]), "disagree in N: 20, 4096"),
        (study().replace("ternary", "binary"), "unknown Weights 'binary'"),
    ],
)
def test_tables_that_are_no_study_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        draw("loss", rows, LIMITS)


RECIPE = {
    "model": {"hidden_size": 64, "num_heads": 2, "num_kv_heads": 1},
    "training": {"peak_lr": 1.5e-3, "switch_lr": 1e-3, "final_lr": 1.5e-5},
}
LINEAGE = {"train": {"recipe": RECIPE, "code": "0"}, "evaluate": {"code": "0"}}
MEASURED = {"data": "1234e5678901", "environment": {"device": "cpu"}}


def tables(folder: Path) -> list[str]:
    """The runs of a study as CSV files; the hash looks like a number."""
    paths = []
    for key, rows in study((64,), DataHash="1234e5678901").groupby(["Optimizer", "Stage2WD"]):
        paths.append(str(folder / f"{key}.csv"))
        rows.to_csv(paths[-1], index=False)
        write_record(record_of(paths[-1]), [Path(paths[-1])], LINEAGE, **MEASURED)
    return paths


def test_the_script_writes_what_its_outputs_name(tmp_path):
    inputs = tables(tmp_path)
    outputs = [tmp_path / "figures" / name for name in ("loss.svg", "loss.png", "pdr.svg")]
    options = ["--title", "Quick", "--dpi", "60", "--thresholds", '{"collapsed_below": 12}']
    script.main(["--inputs", *inputs, *options, "--outputs", *map(str, outputs)])
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {p.name for p in outputs}
    assert outputs[1].read_bytes().startswith(b"\x89PNG")
    assert "data 1234e567<" in outputs[2].read_text()


def test_the_script_refuses_an_unknown_figure_in_one_line(tmp_path):
    command = [sys.executable, "-m", "workflow.scripts.figures", "--inputs", *tables(tmp_path)]
    output = tmp_path / "ratio.svg"
    ran = subprocess.run([*command, "--outputs", str(output)], capture_output=True, text=True)
    assert (ran.returncode, output.exists()) == (1, False)
    message = "the figures are unique_predictions, loss, pdr, mechanism, phase, price, scaling"
    assert ran.stderr == f"error: output {output}: {message}\n"


@pytest.mark.parametrize("name", ["loss.gif", "loss"])
def test_the_script_refuses_an_unknown_format(name):
    with pytest.raises(ValueError, match="the formats are svg, pdf, png"):
        script.main(["--inputs", "absent.csv", "--outputs", name])
