"""Raw observations at the probe: predictions, norms of weights, layer activations, continuations.

Nothing is interpreted here; `bitnet.evaluation` computes metrics from the recorded arrays.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from bitnet.inference.engine import Inference
from bitnet.inference.sampling import Sampling, complete
from bitnet.model.quantization import ternary_codes
from bitnet.model.transformer import Transformer, linear_weights, parameter_groups

LOGITS_AT_ONCE = 2**22  # elements of a chunk of logits: 16 MB in float32
LEGACY_CONTEXTS, LEGACY_LENGTH = 20, 8  # random ids on which the original script counted
THRESHOLD, NEAR = 0.5, 0.1  # |w| / mean|w| where a weight's code changes, and a band around it

PROMPT, LENGTH = 16, 48  # tokens of a prompt and of its continuation
DRAWN = 1  # first index of `continuations` for texts sampled at temperature 1; 0 is greedy


@torch.no_grad()
def observe(model: nn.Module, windows: torch.Tensor, positions: int) -> dict[str, np.ndarray]:
    """Evaluate a model at the first `positions` of the probe's windows (count, length + 1) int64.

    Returns arrays by name, with N = positions: prediction (N,) argmax ids; nll (N,) nats; entropy
    (N,) nats of each predicted distribution; mean_entropy () nats of the mean distribution;
    hidden_cosine (), the mean cosine between the last hidden states of two positions;
    legacy_prediction (20,), the argmax ids after `legacy_contexts`; and the arrays of
    `Layers.found`. Logits are computed in float32, under autocast too; means in float64.
    """
    vocab_size = model.config.vocab_size
    per_chunk = max(1, LOGITS_AT_ONCE // (vocab_size * (windows.shape[1] - 1)))
    seen: dict[str, list] = {"prediction": [], "nll": [], "entropy": []}
    total = torch.zeros(vocab_size, dtype=torch.float64, device=windows.device)
    direction = torch.zeros(model.config.hidden_size, dtype=torch.float64, device=windows.device)
    left = positions
    layers = Layers(model)
    for chunk in windows.split(per_chunk):
        with layers:
            hidden = model.hidden(chunk[:, :-1]).flatten(0, 1)[:left]  # (n, C)
        logits = head(model, hidden).float()  # (n, V)
        targets = chunk[:, 1:].flatten()[:left]
        log_p = F.log_softmax(logits, dim=-1)
        p = log_p.exp()
        seen["prediction"].append(logits.argmax(dim=-1))
        seen["nll"].append(F.nll_loss(log_p, targets, reduction="none"))
        seen["entropy"].append(-(p * log_p).sum(dim=-1))
        total += p.sum(dim=0, dtype=torch.float64)
        direction += F.normalize(hidden.double(), dim=-1).sum(dim=0)
        left -= len(targets)
    mean = total / positions
    contexts = legacy_contexts(vocab_size)[:, : windows.shape[1] - 1].to(windows.device)
    legacy = head(model, model.hidden(contexts))[:, -1]
    return {
        **layers.found(),
        **{key: torch.cat(parts).cpu().numpy() for key, parts in seen.items()},
        "mean_entropy": torch.special.entr(mean).sum().cpu().numpy(),
        "hidden_cosine": mean_cosine(direction, positions).cpu().numpy(),
        "legacy_prediction": legacy.argmax(dim=-1).cpu().numpy(),
    }


def head(model: nn.Module, hidden: torch.Tensor) -> torch.Tensor:
    """Logits (..., V) of hidden states (..., C), in the head's own dtype under autocast too.

    In bfloat16 the largest logits of a position are often equal, and the predictions are others.
    """
    with torch.autocast(hidden.device.type, enabled=False):
        return model.lm_head(hidden.to(model.lm_head.weight.dtype))


def legacy_contexts(vocab_size: int) -> torch.Tensor:
    """Random contexts (20, 8) int64, the same for every model of a vocabulary."""
    rng = np.random.Generator(np.random.Philox(key=[LEGACY_CONTEXTS, LEGACY_LENGTH]))
    ids = rng.integers(0, vocab_size, size=(LEGACY_CONTEXTS, LEGACY_LENGTH))
    return torch.from_numpy(ids)


def mean_cosine(direction: torch.Tensor, count: int) -> torch.Tensor:
    """Mean cosine () over all pairs of `count` unit vectors, from their sum `direction` (C,)."""
    return (direction.square().sum() - count) / (count * (count - 1))


@torch.no_grad()
def codes(model: nn.Module) -> torch.Tensor:
    """Ternary codes of all matrices inside the layers, one int8 vector (parameters,)."""
    return torch.cat([ternary_codes(w)[0].to(torch.int8).flatten() for w in linear_weights(model)])


@torch.no_grad()
def health(model: nn.Module) -> dict[str, float]:
    """Statistics of a model's weights, by name.

    weight_norm, embed_norm, head_norm: L2 norms of the layers' matrices, embedding and head.
    abs_mean: mean |w| of the layers' matrices. gain: root mean square of the norms' gains.
    zero_share, near_threshold: share of codes that are 0, and of weights within 0.1 mean|w| of the
    threshold between two codes; NaN for a full-precision model.
    """
    weights, gains = linear_weights(model), parameter_groups(model)["gain"]
    count = sum(w.numel() for w in weights)
    ternary = model.config.weights == "ternary"
    near = sum(_near_threshold(w) for w in weights) / count if ternary else float("nan")
    return {
        "zero_share": (codes(model) == 0).double().mean().item() if ternary else float("nan"),
        "near_threshold": near,
        "abs_mean": sum(w.abs().sum(dtype=torch.float64).item() for w in weights) / count,
        "weight_norm": _norm(weights),
        "embed_norm": _norm([model.embed_tokens.weight]),
        "head_norm": _norm([model.lm_head.weight]),
        "gain": _norm(gains) / sum(g.numel() for g in gains) ** 0.5,
    }


def _near_threshold(weight: torch.Tensor) -> int:
    relative = weight.abs() / ternary_codes(weight)[1]
    return int(((relative - THRESHOLD).abs() < NEAR).sum())


def _norm(tensors: list[torch.Tensor]) -> float:
    return sum(t.double().square().sum().item() for t in tensors) ** 0.5


class Layers:
    """Forward hooks on a model's layers, active in a `with` block, that never wait for a GPU."""

    def __init__(self, model: nn.Module):
        self.layers, device = model.layers, model.embed_tokens.weight.device
        self.largest = torch.zeros(len(self.layers), device=device)
        self.added = torch.zeros(len(self.layers), dtype=torch.float64, device=device)
        self.passed = torch.zeros_like(self.added)

    def __enter__(self) -> "Layers":
        self.handles = [layer.register_forward_hook(self._see) for layer in self.layers]
        self.places = {layer: i for i, layer in enumerate(self.layers)}
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self.handles:
            handle.remove()

    def _see(self, layer: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
        i, x = self.places[layer], inputs[0]
        largest = torch.maximum(output.amax(), -output.amin())
        self.largest[i] = torch.maximum(self.largest[i], largest)
        self.added[i] += (output - x).square().sum(dtype=torch.float64)
        self.passed[i] += x.square().sum(dtype=torch.float64)

    def found(self) -> dict[str, np.ndarray]:
        """Arrays (L,) with one entry per layer: activation_absmax and layer_share.

        activation_absmax is the largest |value| of a layer's output. layer_share is the root mean
        square of what a layer adds to the residual stream, divided by that of its input: 0 for a
        layer that does nothing.
        """
        share = (self.added / self.passed).sqrt()
        return {
            "activation_absmax": self.largest.cpu().numpy(),
            "layer_share": share.cpu().numpy(),
        }


def continuations(model: Transformer, windows: torch.Tensor, count: int, seed: int) -> np.ndarray:
    """Texts (2, count, PROMPT + LENGTH) int32 that a model writes: greedy, and at temperature 1.

    The prompts are the first tokens of `count` evenly spaced windows of the probe (N, T + 1). A
    text may go on past the end of a document. All ids are -1 where logits are not finite.
    """
    places = torch.linspace(0, len(windows) - 1, count).long()
    prompts = windows[places, :PROMPT]
    frozen, found = Inference(model), []
    try:
        for temperature in (0.0, 1.0):
            chance = Sampling(temperature=temperature, seed=seed)
            written = complete(frozen, prompts, chance, LENGTH, [])
            found.append(np.hstack([prompts.cpu().numpy(), np.array(written)]))
    except ValueError:
        return np.full((2, count, prompts.shape[1] + LENGTH), -1, dtype=np.int32)
    return np.array(found, dtype=np.int32)
