"""Common parts of the experiments' report scripts: flags, reading runs, figures, records."""

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from matplotlib.figure import Figure

from bitnet.common.files import read_json, whole_file
from bitnet.experiments.runs import MeasuredRun
from bitnet.figures.style import save
from workflow.helpers.cli import flags
from workflow.provenance.environment import environment
from workflow.provenance.records import record_of, write_record

Measured = TypeVar("Measured", bound=MeasuredRun)


def report_flags(doc: str | None) -> argparse.ArgumentParser:
    """Parser with the flags of a report script; doc: the script's docstring."""
    parser = flags(doc)
    parser.add_argument("--inputs", nargs="+", required=True, help="what each run came to, JSON")
    parser.add_argument("--title", required=True, help="name of the study")
    parser.add_argument("--markdown", required=True, help="Markdown file to write")
    parser.add_argument("--csv", required=True, help="CSV file to write")
    parser.add_argument("--figures", nargs="+", required=True, help="image files to write")
    parser.add_argument("--lineage", default="{}", help="settings and code of earlier steps, JSON")
    return parser


def read_runs(paths: Sequence[str], kind: type[Measured]) -> dict[str, Measured]:
    """Measured runs by name, ternary ones first; ValueError where their data differ.

    kind: `Answers` or `Samples`.
    """
    runs = {
        re.sub(r"\.\w+\.json$", "", Path(path).name): kind.from_dict(read_json(path))
        for path in paths
    }
    data = {run.trained["data"] for run in runs.values()}
    if len(data) > 1:
        raise ValueError(f"{', '.join(runs)} were trained on different data; run snakemake again")
    order = sorted(runs, key=lambda name: runs[name].recipe.model.weights != "ternary")
    return {name: runs[name] for name in order}


def save_figure(figure: Figure, paths: Sequence[str]) -> None:
    """Write a figure to each path, in the format of its suffix."""
    for path in paths:
        with whole_file(path) as beside:
            save(figure, beside, Path(path).suffix[1:])


def seal(
    args: argparse.Namespace, part: str, outcome: Mapping, runs: Mapping[str, Measured], code: str
) -> None:
    """Write the record of a report: outcome, runs, and histograms of their latent weights."""
    made = {
        name: {"recipe": run.to_dict()["recipe"], "code": run.code, "trained": run.trained}
        for name, run in runs.items()
    }
    outputs = [Path(path) for path in (args.markdown, args.csv, *args.figures)]
    write_record(
        record_of(args.markdown),
        outputs,
        {**json.loads(args.lineage), part: {"title": args.title, "code": code}},
        outcome=outcome,
        title=args.title,
        runs=made,
        weights={name: run.weights for name, run in runs.items() if run.weights},
        evaluated=environment(),
    )
