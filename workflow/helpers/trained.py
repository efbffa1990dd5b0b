"""Common parts of the report scripts on long trainings: flags, reading trainings."""

import argparse
import json
from pathlib import Path

from bitnet.common.files import read_json
from bitnet.common.tensors import load_tensors
from bitnet.config.thresholds import Limits
from bitnet.experiments.pretraining import Trained
from workflow.helpers.cli import flags


def trained_flags(doc: str | None) -> argparse.ArgumentParser:
    """Parser with the flags of a report on trainings; doc: the script's docstring."""
    parser = flags(doc)
    parser.add_argument("--observations", nargs="+", required=True, help="one file a training")
    parser.add_argument("--manifest", required=True, help="manifest they were trained on")
    parser.add_argument("--references", required=True, help="what count models reach there")
    parser.add_argument("--tokenizer", required=True, help="to read what they wrote")
    parser.add_argument("--anomalies", required=True, help="limits of the rules, as JSON")
    parser.add_argument("--title", required=True, help="name of the study")
    parser.add_argument("--markdown", required=True, help="Markdown file to write")
    return parser


def read_trained(args: argparse.Namespace) -> list[Trained]:
    """The trainings that the arguments name; ValueError where one has other data."""
    manifest, references = read_json(args.manifest), read_json(args.references)
    limits, found = Limits(**json.loads(args.anomalies)), []
    for path in args.observations:
        seen, record = load_tensors(path)
        if record["data"] != manifest["sha256"]:
            raise ValueError(f"{path} is of other data than {args.manifest}; delete it, run again")
        name = Path(path).name.removesuffix(".observations.safetensors")
        found.append(Trained(name, seen, record, manifest, references, limits))
    return found
