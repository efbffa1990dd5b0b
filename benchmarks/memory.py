"""Memory and time of a training step by sequences at once, with and without activation checkpoints.

    python -m benchmarks.memory fineweb95m h768_wd0 --batches 1 2

Each peak is that of a child process on the CPU, in float32. Beside it: the bytes that a forward
pass keeps for its gradients, counted tensor by tensor on a few tokens, in float32 (which the peaks
can be held against) and in bf16 autocast (as on a GPU).
"""

import argparse
import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import torch

from benchmarks.measure import peak_memory, seconds
from bitnet.config.load import read_project
from bitnet.config.recipe import Recipe
from bitnet.config.study import Study
from bitnet.model.transformer import Transformer
from bitnet.training.step import Step

ROOT = Path(__file__).parents[1]
COUNTED = 128  # tokens whose kept bytes are counted: they grow by the token


def recipe_of(study: str, run: str, batch: int, checkpointed: bool) -> Recipe:
    """A run's recipe with another batch."""
    r = Study.of(read_project(ROOT), study).recipe(run)
    changes = {"batch_size": batch, "accumulate": 1, "checkpoint_activations": checkpointed}
    return Recipe(r.model, dataclasses.replace(r.training, **changes))


def measured(r: Recipe) -> dict[str, float]:
    """Peak MiB of two steps beside Python and torch, and CPU seconds of the second."""
    found = {}

    def work() -> None:
        torch.manual_seed(0)
        c = r.training
        step = Step(Transformer(r.model, c.sequence_length), c)
        rows = torch.randint(0, r.model.vocab_size, (c.batch_size, c.sequence_length + 1))
        step(rows, 1e-3, 0.1)
        found["seconds"] = seconds(lambda: step(rows, 1e-3, 0.1), torch.device("cpu"))

    return {"mib": peak_memory(work), **found}


def kept_bytes(r: Recipe, mixed: bool) -> float:
    """Bytes a token that a forward pass of the layers keeps for its gradients."""
    torch.manual_seed(0)
    model = Transformer(r.model, COUNTED)
    model.checkpoint_activations = r.training.checkpoint_activations
    own = {p.untyped_storage().data_ptr() for p in model.parameters()}
    own |= {b.untyped_storage().data_ptr() for b in model.buffers()}
    kept: dict[int, torch.Tensor] = {}  # held, so that no place is given away twice

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        place = tensor.untyped_storage().data_ptr()
        if place not in own and COUNTED in tensor.shape:  # codes of weights do not grow by tokens
            kept[place] = tensor
        return tensor

    ids = torch.randint(0, r.model.vocab_size, (1, COUNTED))
    with (
        torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed),
        torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor),
    ):
        model.hidden(ids)
    return sum(t.untyped_storage().nbytes() for t in kept.values()) / COUNTED


def main(argv: list[str] | None = None) -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study")
    parser.add_argument("run")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    if args.child:
        print(json.dumps(measured(recipe_of(args.study, args.run, *args.child))))
        return
    for checkpointed in (False, True):
        r = recipe_of(args.study, args.run, 1, checkpointed)
        full, mixed = kept_bytes(r, False), kept_bytes(r, True)
        told = f"a token keeps {full:,.0f} bytes, in bf16 {mixed:,.0f}"
        print(f"checkpoint_activations {checkpointed}: {told}", flush=True)
        for batch in args.batches:
            command = [sys.executable, "-m", "benchmarks.memory", args.study, args.run]
            command += ["--child", json.dumps([batch, checkpointed])]
            done = subprocess.run(command, check=True, capture_output=True, encoding="utf-8")
            found = json.loads(done.stdout)
            print(
                f"  batch {batch}: {found['mib']:,.0f} MiB, {found['seconds']:.1f} s a step",
                flush=True,
            )


if __name__ == "__main__":
    main()
