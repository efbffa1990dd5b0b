"""Helpers of scripts that read runs' tables: each checked against its record and the others."""

import argparse
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bitnet.common.errors import refuse
from bitnet.config.question import Question
from bitnet.data import overlap
from bitnet.evaluation.metrics import CSV_TYPES
from bitnet.evaluation.record import RunRecord
from workflow.helpers.cli import code_of, flags
from workflow.provenance.environment import environment
from workflow.provenance.records import disagreements, read_record, record_of, unlike, write_record


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


def read_tables(paths: Sequence[str]) -> tuple[pd.DataFrame, dict[str, RunRecord]]:
    """Rows and records of runs; ValueError where one is not what was written, or of another kind.

    Rows of other code, data or protocol than the rest are no sample of one study.
    """
    records = {Path(path).stem: RunRecord.from_dict(read_record(path)) for path in paths}
    if odd := disagreements(records):
        raise ValueError(
            f"results do not belong together: {'; '.join(odd[:3])}; run snakemake again, or leave "
            "some out"
        )
    bodies: dict[str, list[str]] = {}  # by header: as many reads as there are headers
    for path in paths:
        header, _, body = Path(path).read_text(encoding="utf-8").partition("\n")
        bodies.setdefault(header, []).append(body if body.endswith("\n") else f"{body}\n")
    tables = [io.StringIO("\n".join([header, "".join(parts)])) for header, parts in bodies.items()]
    return pd.concat([pd.read_csv(table, dtype=CSV_TYPES) for table in tables]), records


def best_possible_loss(records: Mapping[str, RunRecord]) -> float:
    """The least loss that any model can reach on a study's text, nats a token; NaN if unknown."""
    loss = next(iter(records.values())).best_possible_loss
    return math.nan if loss is None else loss


def warnings(records: Mapping[str, RunRecord]) -> list[str]:
    """What a reader of the verdict must know of how its rows were made, a line each."""
    lines = [f"Made under different conditions: {line}." for line in unlike(records)]
    first = next(iter(records.values()))
    if (seen := first.seen_in_training) and overlap.share(seen) > overlap.WARN_ABOVE:
        lines.append(f"{overlap.describe(seen)}: losses there measure memory too.")
    for part in ("train", "evaluate"):
        here, there = code_of(part, None), first.code(part)
        if here != there:
            lines.append(
                f"Made by other code than the code at hand: {part} is {here} here, {there} in the "
                "results."
            )
    return lines
