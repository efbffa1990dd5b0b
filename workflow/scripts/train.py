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
<output>.state. Several processes share each batch:

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
from bitnet.model.checkpoint import load_state, save_state, save_weights
from bitnet.monitoring.instruments import Instruments, tokenizer_of
from bitnet.monitoring.progress import DIVERGED, FINISHED, reporter
from bitnet.monitoring.together import together
from bitnet.training.device import claim, describe, is_out_of_memory
from bitnet.training.distributed import Ranks, joined, launched, spread
from bitnet.training.step import compiles
from bitnet.training.trainer import Trainer, train
from workflow.helpers.cli import code_of, flags, log, parsed, run
from workflow.provenance.environment import environment


def main(argv: list[str] | None = None) -> None:
    """Train, or continue an interrupted training."""
    parser = flags(__doc__)
    parser.add_argument("--recipe", required=True, help="recipe as JSON")
    parser.add_argument("--manifest", required=True, help="manifest beside its shards")
    parser.add_argument("--trunk", help=".trunk.safetensors to branch from")
    parser.add_argument("--output", required=True, help="path and stem of the files to write")
    parser.add_argument("--checkpoint-every", type=int, default=500, help="steps")
    parser.add_argument("--device", default="auto", help="auto, cpu or a list like cuda:0,cuda:1")
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
    key = {
        "recipe": json.loads(recipe.to_json()),
        "code": args.code,
        "data": manifest["sha256"],
        "device": describe(device),
        "compiled": compiles(recipe, device),
        "processes": ranks.count,
    }
    # torchrun if there is one, the shell of the job, the pipeline
    callers = psutil.Process().parents()[: 2 + (ranks.count > 1)]
    c, name, state = recipe.training, Path(args.output).name, Path(f"{args.output}.state")
    trainer = Trainer(recipe, device, key["compiled"], ranks)
    if ranks.first:
        resume(trainer, args.trunk, state, key)
    spread(trainer, ranks, device)
    folder, size = Path(args.manifest).parent, manifest["vocab_size"]
    tokens = open_shard(folder, manifest["train"], size)
    validation = open_shard(folder, manifest["validation"], size)
    last = c.steps if c.stage2_weight_decay is not None else c.wd_switch
    first, watch = trainer.step, None
    if ranks.first:
        limits, tokenizer = json.loads(args.anomalies), tokenizer_of(folder, manifest)
        watch = Instruments(trainer, args.output, limits, tokenizer, args.tensorboard)

    def save(now: dict[str, torch.Tensor]) -> None:
        save_state(now, state, {**key, "kind": "state"})

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
            save=save if ranks.first else None,
            save_every=args.checkpoint_every,
            report=report if ranks.first else None,
            watch=watch,
        )
    if not ranks.first:
        return
    log.info("%s %d", DIVERGED if trainer.diverged else FINISHED, trainer.step)
    if trainer.diverged:
        print(f"{args.output}: {DIVERGED} {trainer.step}", file=sys.stderr, flush=True)
    record = {
        **key,
        "environment": {"device": key["device"], **environment()},
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


def resume(trainer: Trainer, trunk: str | None, state: Path, key: dict) -> None:
    """Load the state of an interrupted training with the same key, else the trunk if given."""
    try:
        saved, found = load_state(state)
        if found == {**key, "kind": "state"}:
            trainer.load_state_dict(saved)
            log.info("resumed at step %d", trainer.step)
            return
        log.info("%s is of another recipe, code, data or device: starting over", state)
    except FileNotFoundError:
        pass
    except ValueError as error:
        log.warning("starting over: %s", error)
    if trunk:
        saved, found = load_state(trunk)
        model, training = key["recipe"]["model"], key["recipe"]["training"]
        own = {
            **key,
            "recipe": {"model": model, "training": {**training, "stage2_weight_decay": None}},
            "kind": "trunk",
        }
        for part in ("kind", "recipe", "code", "data"):
            if found.get(part) != own[part]:
                raise ValueError(f"{trunk!r} is of another {part}; delete it and run again")
        trainer.load_state_dict(saved)
        log.info("branched from %s at step %d", trunk, trainer.step)


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
