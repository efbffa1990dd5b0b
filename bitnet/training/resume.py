"""Where a training goes on: from the state that an interrupted one saved, else from its trunk.

Recipe, code and data must be the same. Device, number of processes, compilation and the precision
that `auto` chose need not: each change is recorded with its step. A recipe with `deterministic:
true` allows none of these changes.
"""

import logging
from itertools import groupby
from pathlib import Path

import torch

from bitnet.common.errors import refuse
from bitnet.model.checkpoint import load_state
from bitnet.training.trainer import Trainer

log = logging.getLogger(__name__)


def resume(trainer: Trainer, trunk: str | None, state: Path, made: dict, where: dict) -> list[dict]:
    """Load the saved state of an interrupted training, else the trunk if given.

    made: recipe, code and data, which a state must share. where: device, processes, whether
    compiled, and precision, which it need not, unless the recipe is deterministic: then ValueError
    in one line.
    Returns `where` of each piece of the training so far and of this one, with its first `step`.
    """
    past = []
    if saved := usable(state, {**made, "kind": "state"}):
        tensors, past = saved
        before = past[-1]
        for key in where if trainer.recipe.training.deterministic else ():
            if where[key] != before[key]:
                allowed = f"{before[key]!r}, as {state} has with deterministic: true"
                raise refuse(key, where[key], f"{allowed}; or delete that file to start over")
        trainer.load_state_dict(tensors)
        log.info("resumed at step %d, trained on %s so far", trainer.step, spelled(before))
    elif trunk:
        tensors, found = load_state(trunk)
        model, training = made["recipe"]["model"], made["recipe"]["training"]
        stage1 = {"model": model, "training": {**training, "stage2_weight_decay": None}}
        if odd := others(found, {"kind": "trunk", **made, "recipe": stage1}):
            raise ValueError(f"{trunk!r} is of another {odd[0]}; delete it and run again")
        trainer.load_state_dict(tensors)
        past = found["trained_on"]
        log.info("branched from %s at step %d", trunk, trainer.step)
    same = past and not others(past[-1], where)
    return past if same else [*past, {"step": trainer.step, **where}]


def usable(state: Path, made: dict) -> tuple[dict[str, torch.Tensor], list[dict]] | None:
    """Tensors of a saved state and where it was trained; None, and why in the log, without one."""
    try:
        tensors, found = load_state(state)
    except FileNotFoundError:
        return None
    except ValueError as error:
        log.warning("starting over: %s", error)
        return None
    if odd := others(found, made):
        log.warning("%s is of another %s: starting over", state, " and ".join(odd))
        return None
    return tensors, found["trained_on"]


def others(found: dict, expected: dict) -> list[str]:
    """Keys of `expected` whose value is another one in `found`."""
    return [key for key, value in expected.items() if found.get(key) != value]


def spelled(where: dict) -> str:
    """`where` in words: "NVIDIA H100, 2 processes, compiled, mixed precision"."""
    many = [f"{where['processes']} processes"] * (where["processes"] > 1)
    mixed = ["mixed precision"] * (where["precision"] == "mixed")
    return ", ".join([where["device"], *many, *["compiled"] * where["compiled"], *mixed])


def devices(trained_on: list[dict]) -> str:
    """The devices of a training in order, each change once: "NVIDIA A100, then NVIDIA H100"."""
    return ", then ".join(name for name, _ in groupby(piece["device"] for piece in trained_on))
