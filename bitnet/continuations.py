"""How a model goes on from held-out text while it trains: short, at every evaluation."""

import numpy as np
import torch

from bitnet.generate import Sampling, complete
from bitnet.inference import Inference
from bitnet.transformer import Transformer

PROMPT, LENGTH = 16, 48  # tokens read, and tokens written behind them
DRAWN = 1  # row of the texts that are drawn at temperature 1; 0 is greedy


def continuations(model: Transformer, windows: torch.Tensor, count: int, seed: int) -> np.ndarray:
    """Token ids (2, count, PROMPT + LENGTH) int32: greedy, then drawn, from windows (N, T + 1).

    The prompts are the beginnings of windows that lie far apart; a text goes on past the end of a
    document. -1 all over for a model whose logits are not finite.
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
