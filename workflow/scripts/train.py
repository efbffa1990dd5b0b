"""Train a trunk (stage 1), a branch (stage 2, from a trunk) or a whole run.

    recipe() { python -m workflow.scripts.recipe quick $1; }
    data=data/stories/bpe2048/manifest64.json
    python -m workflow.scripts.train --recipe "$(recipe h64)" --manifest $data --output models/h64
    python -m workflow.scripts.train --recipe "$(recipe h64_wd0)" --manifest $data \\
        --trunk models/h64.trunk.pt --output models/h64_wd0

writes <output>.safetensors (weights), <output>.observations.safetensors and, for a trunk,
<output>.trunk.pt (all that its branches go on from). A recipe whose stage2_weight_decay is null is
a trunk's. Interrupted, the same command goes on from <output>.state.
"""

import argparse
import json
from pathlib import Path

import torch
from filelock import FileLock
from tqdm import tqdm

from bitnet import probe
from bitnet.checkpoint import load_state, save_state, save_weights
from bitnet.config import Recipe
from bitnet.device import DEVICES, claim, describe
from bitnet.observations import load_observations, save_observations
from bitnet.provenance import environment
from bitnet.shards import open_shard
from bitnet.train import Stretch, train
from workflow.scripts.cli import flags, log, parsed, run

MEMORY_KEYS = "batch_size, sequence_length or hidden_size"


def main(argv: list[str] | None = None) -> None:
    """Train, or find that it was done already."""
    parser = flags(__doc__)
    parser.add_argument("--recipe", required=True, help="recipe as JSON")
    parser.add_argument("--manifest", required=True, help="manifest beside its shards")
    parser.add_argument("--trunk", help=".trunk.pt to branch from")
    parser.add_argument("--output", required=True, help="path and stem of the files to write")
    parser.add_argument("--checkpoint-every", type=int, default=500, help="steps")
    parser.add_argument("--device", default="auto", choices=DEVICES, help="where to train")
    parser.add_argument("--code", default="", help="fingerprint of the code, for the record")
    args = parsed(parser, argv)
    recipe = Recipe.from_json(args.recipe)
    state = Path(f"{args.output}.state")
    state.parent.mkdir(parents=True, exist_ok=True)
    # A killed pipeline leaves its trainer alive: wait for it instead of training the same twice.
    with FileLock(f"{state}.lock"), claim(args.device, recipe.training.threads) as device:
        try:
            train_one(args, recipe, state, device)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "memory" not in str(error):
                raise
            raise ValueError(f"out of memory on {describe(device)}; lower {MEMORY_KEYS}") from None
    Path(f"{state}.lock").unlink(missing_ok=True)


def train_one(args: argparse.Namespace, recipe: Recipe, state: Path, device: torch.device) -> None:
    """Train one stretch from where its state, its trunk or nothing leaves off."""
    manifest = json.loads(Path(args.manifest).read_text())
    if manifest["vocab_size"] != recipe.model.vocab_size:
        raise ValueError(
            f"vocab_size is {recipe.model.vocab_size}; allowed: {manifest['vocab_size']}, the "
            f"size of the tokenizer of {args.manifest}"
        )
    c, name = recipe.training, Path(args.output).name
    key = json.dumps([args.recipe, args.code, manifest["sha256"], describe(device)])
    if is_done(args, key):
        log.info("%s was trained already by a process that is now gone", name)
        return
    stretch = Stretch(recipe, device)
    resume(stretch, args, state, key)
    folder = Path(args.manifest).parent
    validation = open_shard(folder, manifest["validation"])
    last = c.steps if c.stage2_weight_decay is not None else c.wd_switch
    unit = f"step/{c.batch_size * c.sequence_length}tok"
    with tqdm(
        total=last, initial=stretch.step, desc=name, unit=unit, disable=None, mininterval=0.5
    ) as bar:

        def report(step: int, loss: float, rate: float) -> None:
            bar.set_postfix_str(f"loss {loss:.3f}, {rate:,.0f} tokens/s", refresh=False)
            bar.update(step - bar.n)
            if step % max(1, last // 20) == 0:
                log.info("step %d of %d, loss %.4f, %.0f tokens/s", step, last, loss, rate)

        train(
            stretch,
            open_shard(folder, manifest["train"]),
            probe.windows(validation, manifest["probe"]),
            manifest["probe"]["positions"],
            last,
            save=lambda now: save_state({**now, "key": key}, state),
            save_every=args.checkpoint_every,
            report=report,
        )
    if stretch.diverged:
        log.warning("%s diverged at step %d: its loss is not finite", name, stretch.step)
    write(stretch, args, manifest, key, device)
    state.unlink(missing_ok=True)


def is_done(args: argparse.Namespace, key: str) -> bool:
    """Whether a trainer that outlived its pipeline has finished this very training meanwhile."""
    try:
        _, metadata = load_observations(f"{args.output}.observations.safetensors")
    except ValueError:
        return False
    return metadata.get("key") == key


def resume(stretch: Stretch, args: argparse.Namespace, state: Path, key: str) -> None:
    """Load the state of an interrupted training of the same key, else the trunk if there is one."""
    saved = load_state(state)
    if saved is not None and saved.get("key") == key:
        stretch.load_state_dict(saved)
        log.info("resumed at step %d", stretch.step)
        return
    if state.exists():
        log.info("%s is of another recipe, code, data or device: starting over", state)
    if args.trunk:
        trunk = load_state(args.trunk)
        if trunk is None:
            raise ValueError(f"trunk {args.trunk!r} cannot be used; delete it and run again")
        stretch.load_state_dict(trunk)
        log.info("branched from %s at step %d", args.trunk, stretch.step)


def write(stretch: Stretch, args, manifest: dict, key: str, device: torch.device) -> None:
    """Write what a finished stretch leaves, the observations last: they say that it is done."""
    folder = Path(args.manifest).parent
    validation = open_shard(folder, manifest["validation"])
    inputs, targets = probe.inputs_and_targets(validation, manifest["probe"])
    record = {
        "key": key,
        "recipe": json.loads(stretch.recipe.to_json()),
        "code": args.code,
        "data": manifest["sha256"],
        "environment": environment(describe(device)),
        "diverged": stretch.diverged,
    }
    save_weights(stretch.model, f"{args.output}.safetensors", record)
    if stretch.recipe.training.stage2_weight_decay is None:
        save_state(stretch.state_dict(), f"{args.output}.trunk.pt")
    seen = {"inputs": inputs, "targets": targets, **stretch.observations()}
    save_observations(seen, f"{args.output}.observations.safetensors", record)


if __name__ == "__main__":
    run(main)
