"""Train a trunk (stage 1), a branch (stage 2, from a trunk) or a whole run.

    recipe() { python -m workflow.scripts.recipe quick $1; }
    data=data/stories/bpe2048/manifest64.json
    python -m workflow.scripts.train --recipe "$(recipe h64)" --manifest $data --output models/h64
    python -m workflow.scripts.train --recipe "$(recipe h64_wd0)" --manifest $data \\
        --trunk models/h64.trunk.safetensors --output models/h64_wd0

writes <output>.safetensors (weights), <output>.observations.safetensors and, for a trunk,
<output>.trunk.safetensors (the state that its branches start from); <output>.anomalies.jsonl if
there are any, and with --tensorboard the folder <output>.tensorboard. A recipe whose
stage2_weight_decay is null is a trunk's. After an interruption the same command continues from
<output>.state, on another device or with more processes too. Several processes share each batch:

    python -m workflow.helpers.launch --nproc-per-node 2 -m -- workflow.scripts.train ...
"""

import argparse
import json
import sys
from contextlib import nullcontext
from pathlib import Path

import psutil
import torch
from filelock import FileLock, Timeout
from tqdm import tqdm

from bitnet.common.files import read_json
from bitnet.common.tensors import save_tensors
from bitnet.config.recipe import Recipe
from bitnet.data import probe
from bitnet.data.dataloader import open_shard
from bitnet.model.checkpoint import save_state, save_weights
from bitnet.monitoring.checkpoints import Checkpoints
from bitnet.monitoring.instruments import Instruments, tokenizer_of
from bitnet.monitoring.progress import DIVERGED, FINISHED, reporter
from bitnet.monitoring.together import together
from bitnet.training.device import claim, describe, is_out_of_memory
from bitnet.training.distributed import Ranks, joined, launched, spread
from bitnet.training.precision import has_bfloat16, resolved
from bitnet.training.resume import devices, resume, spelled
from bitnet.training.step import compiles
from bitnet.training.trainer import Trainer, train
from workflow.helpers.cli import code_of, flags, log, parsed, run
from workflow.helpers.cuda import refusal
from workflow.provenance.environment import environment


def main(argv: list[str] | None = None) -> None:
    """Train, or continue an interrupted training."""
    parser = flags(__doc__)
    parser.add_argument("--recipe", required=True, help="recipe as JSON")
    parser.add_argument("--manifest", required=True, help="manifest beside its shards")
    parser.add_argument("--trunk", help=".trunk.safetensors to branch from")
    parser.add_argument("--output", required=True, help="path and stem of the files to write")
    parser.add_argument("--checkpoint-every", type=int, help="steps; default: by time")
    parser.add_argument("--device", default="auto", help="auto, cpu or a list like cuda:0,cuda:1")
    parser.add_argument("--require-gpu", action="store_true", help="no training without a GPU")
    parser.add_argument("--pilot", nargs="*", help="pilot.json that must say go")
    parser.add_argument("--override-pilot", action="store_true", help="train whatever it says")
    parser.add_argument("--anomalies", default="{}", help="limits of the rules, as JSON")
    parser.add_argument("--tensorboard", action="store_true", help="write event files, too")
    args = parsed(parser, argv)
    recipe = Recipe.from_json(args.recipe)
    args.code = code_of("train", args.code)
    output = Path(args.output)
    output.parent.mkdir(parents=True, exist_ok=True)
    c, ranks = recipe.training, launched()
    if ranks.first:  # the others wait, so that an error is printed once
        c.micro_batch(ranks.count)
        if args.require_gpu and not torch.cuda.is_available():
            raise ValueError(refusal())
        for path in [] if args.override_pilot else args.pilot or []:
            check_pilot(path)
    with (
        only_one(output) if ranks.first else nullcontext(),
        claim(args.device, c.threads, c.deterministic, ranks) as device,
        joined(ranks, device),
    ):
        try:
            train_one(args, recipe, device, ranks)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            log.error("out of memory", exc_info=True)
            raise ValueError(
                f"out of memory on {describe(device)}; lower batch_size, sequence_length or "
                "hidden_size, or raise accumulate"
            ) from None


def only_one(output: Path) -> FileLock:
    """The acquired lock of a training. It waits for a training that a killed pipeline has left.

    The empty lock file is never deleted: another process may be waiting for it.
    """
    lock = FileLock(output.with_name(f".{output.name}.lock"))
    try:
        return lock.acquire(timeout=0).lock
    except Timeout:
        print(f"{output.name} is being trained by another process: waiting for it", flush=True)
        return lock.acquire().lock


def train_one(args: argparse.Namespace, recipe: Recipe, device: torch.device, ranks: Ranks) -> None:
    """Train one stretch from its saved state, else its trunk, else from the start."""
    manifest = read_json(args.manifest)
    if manifest["vocab_size"] != recipe.model.vocab_size:
        raise ValueError(
            f"vocab_size is {recipe.model.vocab_size}; allowed: {manifest['vocab_size']}, the "
            f"size of the tokenizer of {args.manifest}"
        )
    where = {
        "device": describe(device),
        "processes": ranks.count,
        "compiled": compiles(recipe, device),
        "precision": resolved(recipe.training.precision, device),
    }
    log.info("trained on %s", spelled(where))
    made = {
        "recipe": json.loads(recipe.to_json()),
        "code": args.code,
        "data": manifest["sha256"],
    }
    # torchrun if there is one, the shell of the job, the pipeline
    callers = psutil.Process().parents()[: 2 + (ranks.count > 1)]
    c, name, state = recipe.training, Path(args.output).name, Path(f"{args.output}.state")
    trainer = Trainer(recipe, device, where["compiled"], ranks, where["precision"] == "mixed")
    trained_on = resume(trainer, args.trunk, state, made, where) if ranks.first else []
    spread(trainer, ranks, device)
    if ranks.first:  # noqa: SIM102 (joined, it would be other code to the fingerprint)
        if where["precision"] == "mixed" and not has_bfloat16(device):
            log.warning("precision: mixed is slower than float32 on this device")
    folder, size = Path(args.manifest).parent, manifest["vocab_size"]
    tokens = open_shard(folder, manifest["train"], size)
    validation = open_shard(folder, manifest["validation"], size)
    last = c.steps if c.stage2_weight_decay is not None else c.wd_switch
    first, watch, checkpoints = trainer.step, None, None

    def save(now: dict[str, torch.Tensor]) -> None:
        save_state(now, state, {**made, "trained_on": trained_on, "kind": "state"})

    if ranks.first:
        checkpoints = Checkpoints(trainer, save, args.checkpoint_every)
        limits, tokenizer = json.loads(args.anomalies), tokenizer_of(folder, manifest)
        watch = Instruments(trainer, args.output, limits, tokenizer, args.tensorboard)
    # Trainings of a pipeline share one terminal, where their bars would overwrite each other.
    hidden = None if args.log is None and ranks.first else True
    with tqdm(
        total=last, initial=first, desc=name, unit="step", disable=hidden, mininterval=0.5
    ) as bar:
        report = reporter(recipe, trainer.rows, last, bar, args.output)
        train(
            trainer,
            tokens,
            probe.windows(validation, manifest["probe"]),
            manifest["probe"]["positions"],
            last,
            save=checkpoints,
            report=report if ranks.first else None,
            watch=watch,
        )
    if not ranks.first:
        return
    log.info("%s %d", DIVERGED if trainer.diverged else FINISHED, trainer.step)
    if trainer.diverged:
        print(f"{args.output}: {DIVERGED} {trainer.step}", file=sys.stderr, flush=True)
    graph = trainer.advance.graph
    how = {"cuda_graph": graph.outcome} if graph else {}
    record = {
        **made,
        **where,
        "trained_on": trained_on,
        "environment": {"device": devices(trained_on), **how, **environment()},
        "diverged": trainer.diverged,
        "first_step": first,  # of the last piece, if there was more than one
        **watch.measured(trainer),
    }
    inputs, targets = probe.inputs_and_targets(validation, manifest["probe"])
    if orphaned := not all(parent.is_running() for parent in callers):
        # The next pipeline deletes outputs that an earlier one has not finished, but not the state.
        save(trainer.state_dict())
    write(trainer, args.output, {"inputs": inputs, "targets": targets}, record)
    if not orphaned:
        state.unlink(missing_ok=True)


def write(trainer: Trainer, output: str, positions: dict, record: dict) -> None:
    """Write weights, observations and, for a trunk, the state of a finished stretch."""
    save_weights(trainer.model, f"{output}.safetensors", {**record, "kind": "weights"})
    if trainer.recipe.training.stage2_weight_decay is None:
        state = trainer.state_dict()
        save_state(state, f"{output}.trunk.safetensors", {**record, "kind": "trunk"})
    seen = {**positions, **trainer.observations()}
    save_tensors(f"{output}.observations.safetensors", seen, {**record, "kind": "observations"})


def check_pilot(path: str) -> None:
    """Check that the pilot's decision at `path` is "go"; ValueError in one line if not."""
    found = read_json(path)
    if found["verdict"] != "go":
        raise ValueError(
            f"the pilot says {found['verdict']} ({'; '.join(found['reasons'])}): {path}; "
            "--config override_pilot=<the study's name> trains all the same"
        )


if __name__ == "__main__":
    with together(launched()):
        run(main)
