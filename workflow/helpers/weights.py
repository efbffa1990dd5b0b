"""Check that weights are those of the run whose name their file has, before they are used."""

import json
from collections.abc import Mapping
from pathlib import Path

from bitnet.common.tensors import load_tensors
from bitnet.config.run_names import AXES
from workflow.provenance.records import differences, flat

SUFFIX, OBSERVATIONS = ".safetensors", ".observations.safetensors"
TYPED = "the recipe of its run, as JSON; default: only what its name says is checked"


def check_weights(path: str | Path, trained: Mapping, recipe: str | None = None) -> None:
    """ValueError in one line where a file holds the weights of another run, as a copied file does.

    trained: metadata of the file. recipe: JSON of the recipe that the run has in its study. Without
    it, weights must agree with what the name of their file says (`h64_wd0_fp`), and with the
    observations beside them, if there are any.
    """
    found = trained["recipe"]
    if recipe is not None:
        expected, source = json.loads(recipe), "the run"
    else:
        expected, source = _named(Path(path).name.removesuffix(SUFFIX), found), "its name"
        beside = Path(path).with_name(Path(path).name.removesuffix(SUFFIX) + OBSERVATIONS)
        if not differences(expected, found) and beside.is_file():
            expected, source = load_tensors(beside)[1]["recipe"], beside.name
    odd = differences(expected, found)
    if odd:
        key = odd[0]
        values = [dict(flat(value)).get(key) for value in (found, expected)]
        raise ValueError(
            f"{path} holds the weights of another run: {key} is {values[0]} in the file and "
            f"{values[1]} in {source}; delete it and run again"
        )


def check_trunk(path: str | Path, trained: Mapping, branch: Mapping) -> None:
    """ValueError in one line where a file is not the trunk of a branch (metadata of both files)."""
    recipe = branch["recipe"]
    training = {**recipe["training"], "stage2_weight_decay": None}
    check_weights(path, trained, json.dumps({**recipe, "training": training}))


def _named(name: str, recipe: Mapping) -> Mapping:
    """A recipe with the values that a run's name states, and the seed 0 where it states none."""
    if not (name.startswith("h") and AXES[0].read(name.split("_")[0])):
        return recipe  # a name of its own says nothing
    values, axes = {"seed": 0}, iter(AXES)
    for part in name.split("_"):
        for axis in axes:
            if (value := axis.read(part)) is not None:
                values[axis.key] = value
                break
    return {
        block: {key: values.get(key, value) for key, value in fields.items()}
        for block, fields in recipe.items()
    }
