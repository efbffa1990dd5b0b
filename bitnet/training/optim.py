"""Adam with coupled (L2) or decoupled weight decay, of all parameters or of some.

`adam` adds L2 to the gradient of every parameter, embeddings and norms too (coupled), as the
original code did. `adamw` decays the matrices of the linear layers only, decoupled from the
gradient (Loshchilov & Hutter 2019). These two differ in two ways at once, so `adam-matrices` and
`adamw-all` complete the table, and the other coupled ones say which parameters L2 must reach.
`adamw-unscaled` does not multiply the decay by the learning rate: a fault that no model survives,
kept as a positive control.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim.adam import adam
from torch.optim.adamw import adamw

from bitnet.config.recipe import TrainConfig
from bitnet.model.transformer import parameter_groups


@dataclass(frozen=True)
class Decay:
    """How weight decay acts (`coupled` to the gradient, times the LR) and on which parameters."""

    coupled: bool
    reach: tuple[str, ...] = ("linear", "embed", "gain")
    """The groups of `parameter_groups` that it acts on."""
    times_lr: bool = True


DECAYS = {
    "adam": Decay(coupled=True),
    "adamw": Decay(coupled=False, reach=("linear",)),
    "adam-matrices": Decay(coupled=True, reach=("linear",)),
    "adam-embedding": Decay(coupled=True, reach=("embed",)),
    "adam-gains": Decay(coupled=True, reach=("gain",)),
    "adam-matrices-embedding": Decay(coupled=True, reach=("linear", "embed")),
    "adam-matrices-gains": Decay(coupled=True, reach=("linear", "gain")),
    "adam-embedding-gains": Decay(coupled=True, reach=("embed", "gain")),
    "adamw-all": Decay(coupled=False),
    "adamw-unscaled": Decay(coupled=False, times_lr=False),
}


class Adam:
    """Adam on torch's fused kernels, with the weight decay of a recipe's optimizer.

    A step neither waits for a GPU nor reads a number from it. On a GPU the learning rate is a
    tensor, so that a captured step can be replayed with another one. torch.optim.Adam is not used,
    because its construction imports torch's compiler, over a second of each short training.
    """

    def __init__(self, model: nn.Module, config: TrainConfig):
        decay = DECAYS[config.optimizer]
        names = {parameter: name for name, parameter in model.named_parameters()}
        self.groups = [
            (held, group in decay.reach) for group, held in parameter_groups(model).items()
        ]
        self.moments = {
            names[p]: {
                "step": torch.zeros((), device=p.device),
                "exp_avg": torch.zeros_like(p),
                "exp_avg_sq": torch.zeros_like(p),
            }
            for held, _ in self.groups
            for p in held
        }
        self.names, self.times_lr = names, decay.times_lr
        self.kernel = adam if decay.coupled else adamw
        self.betas = {"beta1": config.beta1, "beta2": config.beta2}
        device = model.embed_tokens.weight.device
        self.lr = 0.0 if device.type == "cpu" else torch.zeros((), device=device)
        self.weight_decay = 0.0

    def set_step(self, lr: float, weight_decay: float) -> None:
        """Set learning rate and weight decay of the next updates."""
        # The AdamW kernel multiplies by the LR itself; at LR 0 neither form changes a weight.
        self.weight_decay = weight_decay if self.times_lr or not lr else weight_decay / lr
        if isinstance(self.lr, torch.Tensor):
            self.lr.fill_(lr)
        else:
            self.lr = lr

    @torch.no_grad()
    def step(self) -> None:
        """Update every parameter from its gradient, then set the gradient to None."""
        for held, decays in self.groups:
            moments = [self.moments[self.names[p]] for p in held]
            self.kernel(
                held,
                [p.grad for p in held],
                [m["exp_avg"] for m in moments],
                [m["exp_avg_sq"] for m in moments],
                [],
                [m["step"] for m in moments],
                fused=True,
                amsgrad=False,
                maximize=False,
                lr=self.lr,
                weight_decay=self.weight_decay if decays else 0.0,
                eps=1e-8,
                **self.betas,
            )
            for p in held:
                p.grad = None

    def state_dict(self) -> dict[str, torch.Tensor]:
        """Tensors by "parameter name.moment" (step, exp_avg, exp_avg_sq)."""
        return {f"{n}.{k}": value for n, m in self.moments.items() for k, value in m.items()}

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
        """Copy the tensors of a `state_dict`; KeyError or RuntimeError if of another model."""
        for name, value in self.state_dict().items():
            value.copy_(state[name])
