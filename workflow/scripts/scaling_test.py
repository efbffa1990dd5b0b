"""One run from text to table without Snakemake, like the original scaling test.

    python -m workflow.scripts.scaling_test 20000 256 out.csv
    python -m workflow.scripts.scaling_test 5000 256 out.csv --stage2-weight-decay 0.05 --seed 1
    tail -3 out.csv

The arguments are steps, hidden size and output file; all else is an option, with the defaults of
config.yaml. Text, tokenizer, shards and the model are kept below --work and reused.
"""

import argparse
import hashlib
import json
from pathlib import Path

import pandas as pd

from bitnet.common.errors import refuse
from bitnet.config.load import read_project
from bitnet.config.recipe import OPTIMIZERS, WEIGHTS, ModelConfig, Recipe, TrainConfig
from bitnet.config.thresholds import Thresholds
from bitnet.evaluation.metrics import CSV_TYPES
from bitnet.evaluation.states import state
from workflow.helpers.cli import ROOT, flags, run
from workflow.scripts import evaluate, manifest, references, shards, text, tokenizer, train

WARMUP_STEPS, WARMUP_SHARE = 375, 20  # short runs warm up over a twentieth of their steps
EVALUATIONS = 20


def main(argv: list[str] | None = None) -> None:
    """Prepare missing data, train, evaluate, and print the result."""
    args = parse(argv)
    config = read_project(ROOT)
    if args.corpus not in config["corpora"]:
        raise refuse("corpus", args.corpus, f"one of {', '.join(config['corpora'])}")
    recipe = make_recipe(args)
    data = prepare(args, json.dumps(config["corpora"][args.corpus], sort_keys=True))
    digest = hashlib.sha256((recipe.to_json() + str(data)).encode()).hexdigest()[:12]
    stem = f"{args.work}/h{args.hidden_size}-{digest}"
    flags = ["--recipe", recipe.to_json(), "--manifest", str(data), "--output", stem]
    train.main([*flags, "--device", args.device, "--log", args.log or f"{stem}.log"])
    seen = f"{stem}.observations.safetensors"
    known = ["--manifest", str(data), "--references", str(references_of(data))]
    evaluate.main(["--observations", seen, *known, "--output", args.output])
    show(args.output, Thresholds(**config["verdict"]))


def parse(argv: list[str] | None) -> argparse.Namespace:
    """Parsed command line; each option has the name of a config key."""
    parser = flags(__doc__)
    parser.add_argument("steps", type=int, help="optimizer updates")
    parser.add_argument("hidden_size", type=int, help="width of the model")
    parser.add_argument("output", help="CSV file to write")
    parser.add_argument("--corpus", default="stories", help="a block of corpora in config.yaml")
    parser.add_argument("--stage2-weight-decay", type=float, default=0.0, help="the arm: 0 or 0.05")
    parser.add_argument("--optimizer", default="adam", choices=OPTIMIZERS, help="with which L2")
    parser.add_argument("--weights", default="ternary", choices=WEIGHTS, help="model or its twin")
    parser.add_argument("--peak-lr", type=float, default=0.0015, help="scales the whole schedule")
    parser.add_argument("--num-layers", type=int, default=4, help="layers")
    parser.add_argument("--vocab-size", type=int, default=2048, help="pieces of the tokenizer")
    parser.add_argument("--batch-size", type=int, default=16, help="sequences a step")
    parser.add_argument("--sequence-length", type=int, default=128, help="tokens a sequence")
    parser.add_argument("--warmup-steps", type=int, help="default: 375, or 5 %% of fewer steps")
    parser.add_argument("--seed", type=int, default=0, help="of weights and batches")
    parser.add_argument("--device", default="auto", help="where to train")
    parser.add_argument("--work", default="models/scaling_test", help="folder for all else")
    return parser.parse_args(argv)


def make_recipe(args: argparse.Namespace) -> Recipe:
    """Recipe of the whole run; ValueError in one line for an invalid value."""
    warmup = args.warmup_steps
    if warmup is None:
        warmup = min(WARMUP_STEPS, args.steps // WARMUP_SHARE)
    model = ModelConfig(args.vocab_size, args.hidden_size, args.num_layers, weights=args.weights)
    training = TrainConfig(
        steps=args.steps,
        batch_size=args.batch_size,
        sequence_length=args.sequence_length,
        optimizer=args.optimizer,
        peak_lr=args.peak_lr,
        switch_lr=args.peak_lr * 2 / 3,
        final_lr=args.peak_lr / 100,
        warmup_steps=warmup,
        stage1_weight_decay=0.1,
        stage2_weight_decay=args.stage2_weight_decay,
        evaluate_every=max(1, args.steps // EVALUATIONS),
        seed=args.seed,
    )
    return Recipe(model, training)


def prepare(args: argparse.Namespace, source: str) -> Path:
    """Path of the manifest of the tokenised corpus, which is made if it is missing."""
    digest = hashlib.sha256(source.encode()).hexdigest()[:12]
    folder = Path(args.work) / f"{args.corpus}-{digest}"
    encoded = folder / f"bpe{args.vocab_size}"
    taken, described = folder / "text.json", encoded / "shards.json"
    model = encoded / "tokenizer.model"
    result = encoded / f"manifest{args.sequence_length}.json"
    if not taken.exists():
        text.main(["--source", source, "--output", str(taken)])
    size = ["--vocab-size", str(args.vocab_size)]
    if not model.exists():
        tokenizer.main(["--text", str(taken), *size, "--output", str(model)])
    pieces = ["--tokenizer", str(model)]
    if not described.exists():
        named = ["--corpus", args.corpus, "--output", str(described)]
        shards.main(["--text", str(taken), *pieces, *named])
    if not result.exists():
        length = ["--sequence-length", str(args.sequence_length)]
        manifest.main(["--shards", str(described), *pieces, *length, "--output", str(result)])
    if not references_of(result).exists():
        named = ["--source", source, "--output", str(references_of(result))]
        references.main(["--manifest", str(result), *named])
    return result


def references_of(data: Path) -> Path:
    """Path of the references of a manifest."""
    return data.with_name(data.name.replace("manifest", "references"))


def show(path: str, thresholds: Thresholds) -> None:
    """Print the first five columns of a table and the state of the run."""
    rows = pd.read_csv(path, dtype=CSV_TYPES)
    print(rows.iloc[:, :5].to_string(index=False))
    end, positions = state(rows, thresholds), rows["N"].iloc[0]
    print(f"state at the end: {end} (N = {positions}); all of it: {path}")


if __name__ == "__main__":
    run(main)
