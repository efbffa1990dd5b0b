"""The two optimizers of the investigation.

`adam` adds L2 to the gradient of every parameter, embeddings and norms too (coupled), as the
original code did. `adamw` decays the matrices of the linear layers only, apart from the gradient
(Loshchilov & Hutter 2019). They differ in two things at once: neither may be credited alone.
"""

import torch
from torch import nn

from bitnet.config import TrainConfig


def linear_weights(model: nn.Module) -> list[nn.Parameter]:
    """Matrices inside the layers: what is ternary in a ternary model; not embedding, not head."""
    return [m.weight for m in model.layers.modules() if isinstance(m, nn.Linear)]


def make_optimizer(model: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Optimizer of a recipe. `set_step` must give each step its rate and decay before `step()`."""
    betas = (config.beta1, config.beta2)
    parameters = list(model.parameters())
    if config.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=0.0, betas=betas, weight_decay=0.0, fused=True)
    decayed = linear_weights(model)
    chosen = {id(weight) for weight in decayed}
    rest = [p for p in parameters if id(p) not in chosen]
    groups = [{"params": decayed, "decays": True}, {"params": rest, "decays": False}]
    return torch.optim.AdamW(groups, lr=0.0, betas=betas, weight_decay=0.0, fused=True)


def set_step(optimizer: torch.optim.Optimizer, lr: float, weight_decay: float) -> None:
    """Set learning rate and weight decay of the next update."""
    for group in optimizer.param_groups:
        group["lr"] = lr
        group["weight_decay"] = weight_decay if group.get("decays", True) else 0.0
