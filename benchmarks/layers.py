"""Linear layers to compare: ours, the textbook's, and those of packages others wrote.

Each replaces the ternary layers of one and the same model. A package that is not installed is
named and left out. `same` says whether a layer computes what ours does (ternary weights by
absmean, int8 activations by absmax a token, no norm of its own): others are timed, but a layer
that computes something else neither beats nor is beaten.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn

from bitnet.model.bitlinear import BitLinear


class Textbook(nn.Linear):
    """BitLinear as the paper's FAQ writes it: straight through by detach, the rest by autograd."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        scale = 1 / self.weight.abs().mean().clamp(min=1e-5)
        w_q = (self.weight * scale).round().clamp(-1, 1) / scale
        w = self.weight + (w_q - self.weight).detach()
        scale = 127 / x.abs().max(dim=-1, keepdim=True).values.clamp(min=1e-5)
        x_q = (x * scale).round().clamp(-128, 127) / scale
        return F.linear(x + (x_q - x).detach(), w)


@dataclass(frozen=True)
class Kind:
    """A linear layer by name: how to make one, and what it computes."""

    name: str
    make: Callable[[int, int], nn.Linear]
    same: bool = True
    remark: str = ""


def transformers_layer() -> Callable:
    from transformers.integrations.bitnet import AutoBitLinear

    return lambda n_in, n_out: AutoBitLinear(n_in, n_out, bias=False, online_quant=True)


def bitlinear_pytorch_layer() -> Callable:
    from bitlinear_pytorch import BitLinear

    return lambda n_in, n_out: BitLinear(n_in, n_out, bias=False)


def bitlinear_layer(measure: str) -> Callable:
    from bitlinear import BitLinear

    return lambda n_in, n_out: BitLinear(n_in, n_out, bias=False, weight_measure=measure, norm=None)


def mybitnet_layer() -> Callable:
    from mybitnet.bitnet import BitLinear158b

    return lambda n_in, n_out: BitLinear158b(n_in, n_out, bias=False)


def torchao_layer() -> Callable:
    from torchao.prototype.quantized_training import bitnet_training
    from torchao.quantization import quantize_

    def make(n_in: int, n_out: int) -> nn.Linear:
        layer = nn.Sequential(nn.Linear(n_in, n_out, bias=False))
        quantize_(layer, bitnet_training())
        return layer[0]

    return make


PEERS = {
    "transformers AutoBitLinear": (transformers_layer, True, "its quantisers compiled"),
    "bitlinear-pytorch": (bitlinear_pytorch_layer, True, ""),
    "bitlinear, AbsMean": (
        lambda: bitlinear_layer("AbsMean"),
        False,
        "activations stretched to 128, not 127; its own norm left out",
    ),
    "bitlinear, as shipped": (
        lambda: bitlinear_layer("AbsMedian"),
        False,
        "weights by absmedian; its own norm left out",
    ),
    "mybitnet": (mybitnet_layer, False, "a norm of its own; one activation scale a tensor"),
    "torchao bitnet_training": (torchao_layer, True, "made for GPUs"),
}


# Not among them: PyPI's `bitnet`, whose import name is ours and whose weights are binary.


def kinds() -> tuple[list[Kind], list[str]]:
    """All layers that can be made here, and lines that say which could not and why."""
    found = [
        Kind("bitnet", BitLinear, remark="this project"),
        Kind("textbook", lambda a, b: Textbook(a, b, bias=False)),
    ]
    missing = []
    for name, (load, same, remark) in PEERS.items():
        try:
            found.append(Kind(name, load(), same, remark))
        except Exception as error:  # a peer may fail to import in whatever way it likes
            missing.append(f"{name}: {str(error).splitlines()[0]}")
    return found, missing


def replace(model: nn.Module, kind: Kind) -> nn.Module:
    """Put a kind's layers, with the same latent weights, in the place of a model's BitLinear."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, BitLinear):
                layer = kind.make(child.in_features, child.out_features)
                with torch.no_grad():
                    layer.weight.copy_(child.weight)
                setattr(module, name, layer.to(child.weight))
    return model
