"""Common parts of scripts on a study's tables: flags, checked reading, warnings, records."""

import argparse
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bitnet.common.errors import refuse
from bitnet.config.question import Question
from bitnet.evaluation.metrics import CSV_TYPES
from workflow.provenance.environment import environment
from workflow.provenance.records import disagreements, read_record, record_of, unlike, write_record
from workflow.scripts._cli import code_of, flags


def judging_flags(
    doc: str, title: str, outputs: Sequence[str] = ("csv", "markdown")
) -> argparse.ArgumentParser:
    """Parser of a script on a study: tables, question, thresholds, title, and a flag per output."""
    parser = flags(doc)
    parser.add_argument("--inputs", nargs="+", required=True, help="CSV files of runs")
    parser.add_argument("--question", required=True, help="arms and headline cell, as JSON")
    parser.add_argument("--thresholds", default="{}", help="a verdict block, as JSON")
    parser.add_argument("--title", default=title, help="name of the study")
    for name in outputs:
        parser.add_argument(f"--{name}", required=True, help=f"{name.upper()} file to write")
    parser.set_defaults(outputs=outputs)
    return parser


def seal(args: argparse.Namespace, part: str, **settings: Any) -> None:
    """Write the record of a script's outputs: question, thresholds, settings and code."""
    outputs = [Path(getattr(args, name)) for name in args.outputs]
    made = {
        "question": Question.from_json(args.question).to_dict(),
        "thresholds": json.loads(args.thresholds),
        "title": args.title,
        **settings,
        "code": code_of(part, args.code),
    }
    write_record(record_of(outputs[0]), outputs, {part: made}, evaluated=environment())


def original(text: str) -> Question:
    """A question from its JSON; ValueError where it is not one of the original reports."""
    question = Question.from_json(text)
    if not question.is_original:
        raise refuse(
            "question", question.to_dict(), "one of stage2_weight_decay and UniquePredictions"
        )
    return question


def read_tables(paths: Sequence[str]) -> tuple[pd.DataFrame, dict[str, dict]]:
    """Rows of all tables, concatenated, and their records by name of the run.

    ValueError in one line where a table differs from its record, or the runs differ in code, data
    or protocol, so that they are no sample of one study.
    """
    records = {Path(path).stem: read_record(path) for path in paths}
    if odd := disagreements(records):
        raise ValueError(
            f"results do not belong together: {'; '.join(odd[:3])}; run snakemake again, or leave "
            "some out"
        )
    return pd.concat([pd.read_csv(path, dtype=CSV_TYPES) for path in paths]), records


def best_possible_loss(records: Mapping[str, Mapping]) -> float:
    """Lowest loss that any model can reach on a study's text, nats per token; NaN if unknown."""
    return next(iter(records.values())).get("best_possible_loss", math.nan)


def warnings(records: Mapping[str, Mapping]) -> list[str]:
    """Notes for the verdict, one line each: differences of devices, versions and code."""
    lines = [f"Made under different conditions: {line}." for line in unlike(records)]
    first = next(iter(records.values()))["lineage"]
    for part in ("train", "evaluate"):
        here, there = code_of(part, None), first[part]["code"]
        if here != there:
            lines.append(
                f"Made by other code than the code at hand: {part} is {here} here, {there} in the "
                "results."
            )
    return lines
