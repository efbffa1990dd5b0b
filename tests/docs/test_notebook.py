"""The notebook for borrowed GPUs: the README's commands, in its order, run to the end."""

import re
import shutil

import pytest

from tests.helpers.project import ENVIRONMENT, ROOT, copy_project

nbformat = pytest.importorskip("nbformat", reason="needs the extra `test`")
NOTEBOOK = ROOT / "notebooks/borrowed_gpu.ipynb"
PARAMETERS = 'REPOSITORY, INSTALL, FLAGS = "", False, "--cores 2 --configfile tests/tiny.yaml"'


def notebook():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_is_valid_and_holds_no_outputs():
    nbformat.validate(notebook())
    cells = [cell for cell in notebook().cells if cell.cell_type == "code"]
    assert cells and not any(cell.outputs or cell.execution_count for cell in cells)


def test_its_commands_are_the_readmes_in_the_same_order():
    code = "\n".join(cell.source for cell in notebook().cells if cell.cell_type == "code")
    commands = [
        re.split(r" *(?:\{FLAGS\}|\|)", found)[0] for found in re.findall(r'run\(f?"(.+)"\)', code)
    ]
    mine = [command for command in commands if command.startswith("snakemake")]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    places = [re.search(rf"\b{re.escape(command)}(?= |$)", readme, re.M) for command in mine]
    assert len(mine) == 4 and all(places), mine
    assert [place.start() for place in places] == sorted(place.start() for place in places)


@pytest.mark.slow
@pytest.mark.often
def test_it_runs_top_to_bottom_on_a_cpu_at_reduced_size(tmp_path):
    nbclient = pytest.importorskip("nbclient", reason="needs the extra `test`")
    project, book = copy_project(tmp_path / "project"), notebook()
    (project / "notebooks").mkdir()
    shutil.copy(ROOT / "pyproject.toml", project)  # `doctor` reads it
    [cell] = [cell for cell in book.cells if "parameters" in cell.metadata.get("tags", [])]
    cell.source = PARAMETERS
    client = nbclient.NotebookClient(
        book, timeout=600, resources={"metadata": {"path": str(project / "notebooks")}}
    )
    client.execute(env=ENVIRONMENT)
    assert (project / "results.tgz").stat().st_size > 10_000
    outputs = [output for cell in book.cells for output in cell.get("outputs", [])]
    shown = {kind for output in outputs for kind in output.get("data", {})}
    assert {"text/markdown", "image/svg+xml"} <= shown
    last = (project / "results/h256_wd0.csv").read_text().splitlines()[-1]
    assert any(",".join(last.split(",")[:5]) in output.get("text", "") for output in outputs)


def test_a_command_that_fails_stops_it():
    """IPython goes on after a shell command that failed: `run` must not."""
    shell = pytest.importorskip("IPython").core.interactiveshell.InteractiveShell.instance()
    [cell] = [cell for cell in notebook().cells if "def run" in cell.source]
    assert shell.run_cell(cell.source).success
    assert shell.run_cell('run("true")').success
    failed = shell.run_cell('run("exit 3")', silent=True)
    assert "exit code 3" in str(failed.error_in_exec)
