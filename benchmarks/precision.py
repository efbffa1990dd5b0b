"""Compare trainings in mixed precision with the same ones in float32, seed by seed.

    snakemake data/sample/bpe2048/manifest64.json --cores 2
    python -m benchmarks.precision data/sample/bpe2048/manifest64.json --seeds 5 \
        --json docs/precision.json

The protocol is that of the study `quick`: hidden 64 and 128, adam and adamw, ternary and full
precision. Each finished training is a line of JSON in <json>.runs, so that an interrupted
comparison goes on. Compared are the means of the last three evaluations: validation loss
(equivalent within 0.01 nats) and the number of distinct predictions (within a ratio of 1.25).
"""

import argparse
import itertools
import json
import math
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import torch

from benchmarks.measure import machine
from bitnet.common.files import read_json
from bitnet.config.recipe import ModelConfig, Recipe, TrainConfig
from bitnet.data import probe
from bitnet.data.dataloader import open_shard
from bitnet.training.device import claim
from bitnet.training.trainer import Trainer, train
from bitnet.verdict.statistics import effect

CELLS = ("hidden_size", "optimizer", "weights")
LOSS_MARGIN, RATIO = 0.01, 1.25
LAST = 3  # evaluations whose mean is compared


def recipe(run: dict, vocab_size: int, steps: int) -> Recipe:
    """The protocol of `quick` for one run."""
    model = ModelConfig(vocab_size, run["hidden_size"], 2, weights=run["weights"])
    rates = {"peak_lr": 0.0015, "switch_lr": 0.001, "final_lr": 0.000015, "warmup_steps": 100}
    decay = {"stage1_weight_decay": 0.1, "stage2_weight_decay": 0.0}
    shape = {"steps": steps, "batch_size": 4, "sequence_length": 64, "evaluate_every": steps // 10}
    chosen = {key: run[key] for key in ("optimizer", "precision", "seed")}
    return Recipe(model, TrainConfig(**shape, **rates, **decay, **chosen))


def trained(path: str, run: dict, steps: int) -> dict:
    """`run` with its loss (nats), number of distinct predictions and CPU seconds."""
    manifest, folder = read_json(path), Path(path).parent
    size, spent = manifest["vocab_size"], time.process_time()
    r = recipe(run, size, steps)
    with claim("cpu", 1) as device:
        trainer = Trainer(r, device, mixed=run["precision"] == "mixed")
        windows = probe.windows(open_shard(folder, manifest["validation"], size), manifest["probe"])
        tokens = open_shard(folder, manifest["train"], size)
        train(trainer, tokens, windows, manifest["probe"]["positions"], steps)
    rows = trainer.rows[-LAST:]
    return {
        **run,
        "loss": float(np.mean([row["nll"].mean(dtype=np.float64) for row in rows])),
        "unique": float(np.mean([len(np.unique(row["prediction"])) for row in rows])),
        "seconds": time.process_time() - spent,
    }


def compared(runs: list[dict]) -> list[dict]:
    """A row a cell, and one of all cells: mixed minus float32, paired by seed."""
    found = {tuple(run[k] for k in (*CELLS, "precision", "seed")): run for run in runs}
    pairs: dict[tuple, list] = {}
    for (*cell, precision, seed), run in found.items():
        if precision == "mixed" and (plain := found.get((*cell, "float32", seed))):
            pairs.setdefault(tuple(cell), []).append((plain, run))
    table = []
    for cell, some in [*sorted(pairs.items()), (("all",) * 3, [*itertools.chain(*pairs.values())])]:
        loss = effect([m["loss"] - f["loss"] for f, m in some], LOSS_MARGIN, 0.95)
        ratio = effect(
            [math.log(m["unique"] / f["unique"]) for f, m in some], math.log(RATIO), 0.95
        )
        means = {
            f"{key}_{name}": float(np.mean([run[key] for run in column]))
            for key in ("loss", "unique", "seconds")
            for name, column in zip(("float32", "mixed"), zip(*some, strict=True), strict=True)
        }
        statistics = {"loss": vars(loss), "log_ratio": vars(ratio)}
        table.append(dict(zip(CELLS, cell, strict=True)) | means | statistics)
    return table


def show(table: list[dict]) -> str:
    """The comparison as a text table."""
    lines = [
        f"{'hidden':>6} {'optimizer':<9} {'weights':<15}{'N':>4}{'loss f32':>9}"
        f"{'mixed - f32 [95 %]':>29}{'TOST p':>8}"
        f"{'unique f32':>11}{'ratio [95 %]':>22}{'TOST p':>8}"
    ]
    for row in table:
        loss, ratio = row["loss"], row["log_ratio"]
        span = f"{loss['mean']:+.4f} [{loss['low']:+.4f}, {loss['high']:+.4f}]"
        times = "{:.3f} [{:.3f}, {:.3f}]".format(*(math.exp(ratio[k]) for k in SPAN))
        lines.append(
            f"{row['hidden_size']:>6} {row['optimizer']:<9} {row['weights']:<15}{loss['n']:>4}"
            f"{row['loss_float32']:>9.4f}{span:>29}{loss['tost']:>8.3f}"
            f"{row['unique_float32']:>11.1f}{times:>22}{ratio['tost']:>8.3f}"
        )
    return "\n".join(lines)


SPAN = ("mean", "low", "high")


def main() -> None:
    """Train what is missing, then compare."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("manifest")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--hidden", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--json", type=Path, required=True)
    args = parser.parse_args()
    kept = args.json.with_suffix(".runs")
    runs = (
        [json.loads(line) for line in kept.read_text(encoding="utf-8").splitlines()]
        if kept.exists()
        else []
    )
    keys = (*CELLS, "precision", "seed")
    done = {tuple(run[key] for key in keys) for run in runs}
    axes = (args.hidden, ("adamw", "adam"), ("ternary", "full_precision"), ("float32", "mixed"))
    wanted = [(*point, seed) for seed, *point in itertools.product(range(args.seeds), *axes)]
    with ProcessPoolExecutor(args.cores) as pool, kept.open("a", encoding="utf-8") as file:
        jobs = [
            pool.submit(trained, args.manifest, dict(zip(keys, point, strict=True)), args.steps)
            for point in wanted
            if point not in done
        ]
        for job in as_completed(jobs):
            runs.append(job.result())
            file.write(json.dumps(runs[-1]) + "\n")
            file.flush()
    table = compared(runs)
    cpu = machine(torch.device("cpu"))
    report = {"machine": cpu, "steps": args.steps, "cells": table}
    args.json.write_text(json.dumps(report, indent=1), encoding="utf-8")
    print(show(table))


if __name__ == "__main__":
    main()
