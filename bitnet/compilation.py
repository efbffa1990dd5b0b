"""Whether torch compiles the layers of a training: where the time saved exceeds the compiler's."""

import os
import shutil

import torch

from bitnet.config import Recipe
from bitnet.plan import step_seconds

# A compiler takes 17 to 32 seconds of a CPU the first time and 3 to 9 from its cache, and makes a
# step there a tenth to a quarter shorter: a run (all its steps, whatever remains of them) of this
# many seconds earns that back. On a GPU, where no step has been measured, that number is a guess.
WORTH_SECONDS = 600
COMPILERS = ("c++", "g++", "clang++")  # what torch needs to compile for a CPU


def compiles(recipe: Recipe, device: torch.device) -> bool:
    """Whether a run on a device is compiled: as its recipe says, or by its length."""
    c = recipe.training
    if c.compile is not None:
        return c.compile
    gpu = device.type == "cuda"
    if not gpu and not any(map(shutil.which, (os.environ.get("CXX", ""), *COMPILERS))):
        return False
    return c.steps * step_seconds(recipe, gpu) >= WORTH_SECONDS
