"""What the layers compute, beside how long they take."""

import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.layers import Kind, Textbook, replace
from bitnet.config.recipe import ModelConfig
from bitnet.model.bitlinear import BitLinear
from bitnet.model.transformer import Transformer


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    """|a - b| / |b|."""
    return ((a - b).norm() / b.norm()).item()


def gradient_error() -> float:
    """Largest relative difference of any gradient of a small model in float64 to the textbook's."""
    config = ModelConfig(vocab_size=64, hidden_size=64, num_layers=2)
    found = []
    for kind in (None, Kind("textbook", lambda a, b: Textbook(a, b, bias=False))):
        torch.manual_seed(0)
        model = Transformer(config, 16).double()
        if kind:
            replace(model, kind)
        ids = torch.randint(0, 64, (4, 17), generator=torch.Generator().manual_seed(1))
        F.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten()).backward()
        found.append([p.grad for p in model.parameters()])
    return max(relative(a, b) for a, b in zip(*found, strict=True))


@torch.no_grad()
def layer_error(kind: Kind) -> float:
    """Relative difference of one layer's output to that of ours, in float32; nan where it fails."""
    torch.manual_seed(0)
    ours = BitLinear(256, 512)
    nn.init.normal_(ours.weight, std=0.02)
    try:
        [theirs] = replace(nn.Sequential(ours), kind)
        x = F.rms_norm(torch.randn(8, 16, 256), (256,))  # as the layers before it norm it
        return relative(theirs(x), ours(x))
    except Exception:  # a peer may fail in whatever way it likes
        return float("nan")
