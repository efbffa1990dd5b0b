"""What training records at the probe, before anyone interprets it."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from bitnet.optim import linear_weights
from bitnet.quant import ternary_codes

LOGITS_AT_ONCE = 2**22  # elements of a chunk of logits: 16 MB in float32


@torch.no_grad()
def observe(model: nn.Module, windows: torch.Tensor, positions: int) -> dict[str, np.ndarray]:
    """Read a model at the probe's windows (count, length + 1).

    Returns prediction (N,) argmax ids, nll (N,) nats and entropy (N,) nats of each predicted
    distribution, and mean_entropy () nats of the mean predicted distribution; N = positions. Logits
    are taken in float32 and the mean in float64.
    """
    vocab_size = model.config.vocab_size
    per_chunk = max(1, LOGITS_AT_ONCE // (vocab_size * (windows.shape[1] - 1)))
    seen: dict[str, list] = {"prediction": [], "nll": [], "entropy": []}
    total = torch.zeros(vocab_size, dtype=torch.float64, device=windows.device)
    left = positions
    for chunk in windows.split(per_chunk):
        logits = model(chunk[:, :-1]).float().flatten(0, 1)[:left]  # (n, V)
        targets = chunk[:, 1:].flatten()[:left]
        log_p = F.log_softmax(logits, dim=-1)
        p = log_p.exp()
        seen["prediction"].append(logits.argmax(dim=-1))
        seen["nll"].append(F.nll_loss(log_p, targets, reduction="none"))
        seen["entropy"].append(-(p * log_p).sum(dim=-1))
        total += p.sum(dim=0, dtype=torch.float64)
        left -= len(targets)
    mean = total / positions
    return {
        **{key: torch.cat(parts).cpu().numpy() for key, parts in seen.items()},
        "mean_entropy": torch.special.entr(mean).sum().cpu().numpy(),
    }


@torch.no_grad()
def codes(model: nn.Module) -> torch.Tensor:
    """Ternary values of all weights inside the layers, flat int8."""
    return torch.cat([ternary_codes(w)[0].to(torch.int8).flatten() for w in linear_weights(model)])


@torch.no_grad()
def health(model: nn.Module) -> dict[str, float]:
    """Ternary health and norms: zero_share, abs_mean, weight_norm, embed_norm.

    For a full-precision twin zero_share is NaN: its weights are never made ternary.
    """
    weights = linear_weights(model)
    count = sum(w.numel() for w in weights)
    ternary = model.config.weights == "ternary"
    embedding = model.embed_tokens.weight
    return {
        "zero_share": (codes(model) == 0).double().mean().item() if ternary else float("nan"),
        "abs_mean": sum(w.abs().sum(dtype=torch.float64).item() for w in weights) / count,
        "weight_norm": sum(w.double().square().sum().item() for w in weights) ** 0.5,
        "embed_norm": embedding.double().square().sum().sqrt().item(),
    }
