"""The two optimizers of the investigation, and those that tell apart what differs between them.

`adam` adds L2 to the gradient of every parameter, embeddings and norms too (coupled), as the
original code did. `adamw` decays the matrices of the linear layers only, apart from the gradient
(Loshchilov & Hutter 2019). They differ in two things at once, so `adam-matrices` and `adamw-all`
complete the table. `adamw-unscaled` forgets to multiply the decay by the learning rate: a fault
that no model survives, kept as a positive control.
"""

from dataclasses import dataclass

import torch
from torch import nn

from bitnet.config import TrainConfig


@dataclass(frozen=True)
class Decay:
    """How weight decay acts and what it acts on."""

    coupled: bool
    matrices_only: bool
    times_lr: bool = True


DECAYS = {
    "adam": Decay(coupled=True, matrices_only=False),
    "adamw": Decay(coupled=False, matrices_only=True),
    "adam-matrices": Decay(coupled=True, matrices_only=True),
    "adamw-all": Decay(coupled=False, matrices_only=False),
    "adamw-unscaled": Decay(coupled=False, matrices_only=False, times_lr=False),
}


def parts(model: nn.Module) -> dict[str, list[nn.Parameter]]:
    """All parameters, once each: `embed` (and an untied head), `linear` matrices, norm `gain`s."""
    linear = linear_weights(model)
    embed = [model.embed_tokens.weight]
    if model.lm_head.weight is not embed[0]:
        embed.append(model.lm_head.weight)
    known = {id(p) for p in linear + embed}
    gain = [p for p in model.parameters() if id(p) not in known]
    return {"embed": embed, "linear": linear, "gain": gain}


def linear_weights(model: nn.Module) -> list[nn.Parameter]:
    """Matrices inside the layers: what is ternary in a ternary model; not embedding, not head."""
    return [m.weight for m in model.layers.modules() if isinstance(m, nn.Linear)]


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Optimizer of a recipe. `set_step` must give each step its rate and decay before `step()`."""
    decay = DECAYS[config.optimizer]
    found = parts(model)
    rest = found["embed"] + found["gain"]
    groups = [
        {"params": found["linear"], "decays": True, "times_lr": decay.times_lr},
        {"params": rest, "decays": not decay.matrices_only, "times_lr": decay.times_lr},
    ]
    kind = torch.optim.Adam if decay.coupled else torch.optim.AdamW
    betas = (config.beta1, config.beta2)
    return kind(groups, lr=0.0, betas=betas, weight_decay=0.0, fused=True)


def set_step(optimizer: torch.optim.Optimizer, lr: float, weight_decay: float) -> None:
    """Set learning rate and weight decay of the next update."""
    for group in optimizer.param_groups:
        own = weight_decay if group["decays"] else 0.0
        group["lr"] = lr
        # AdamW multiplies by LR itself; a step without LR moves nothing in either form.
        group["weight_decay"] = own if group["times_lr"] or not lr else own / lr
