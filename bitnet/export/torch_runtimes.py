"""Runtimes based on torch: this project's own model code, and transformers."""

from pathlib import Path

import numpy as np
import torch

from bitnet.export.runtimes import Runtime
from bitnet.inference.sampling import Sampling, complete
from bitnet.inference.stepwise import Stepwise
from bitnet.model.checkpoint import open_trained


class Ours(Runtime):
    """The trained weights in this project: logits by the training code, generation by a cache."""

    def __init__(self, path: str | Path):
        torch.set_num_threads(1)
        self.model, _ = open_trained(path)
        self.frozen = Stepwise(self.model)

    @torch.inference_mode()
    def logits(self, ids: list[int]) -> np.ndarray:
        """Logits (T, vocab_size) float32 of one sequence of T token ids."""
        return self.model(torch.tensor([ids]))[0].numpy()

    def write(self, ids: list[int], count: int) -> list[int]:
        """`count` token ids generated greedily after `ids`, with `Stepwise` and its cache."""
        return complete(self.frozen, torch.tensor([ids]), Sampling(), count, [])[0]


class Transformers(Runtime):
    """An exported folder in transformers, on one thread."""

    def __init__(self, path: str | Path):
        from transformers import AutoModelForCausalLM

        torch.set_num_threads(1)
        self.model = AutoModelForCausalLM.from_pretrained(path, local_files_only=True).eval()

    @torch.inference_mode()
    def logits(self, ids: list[int]) -> np.ndarray:
        """Logits (T, vocab_size) float32 of one sequence of T token ids."""
        return self.model(torch.tensor([ids])).logits[0].float().numpy()

    @torch.inference_mode()
    def write(self, ids: list[int], count: int) -> list[int]:
        """`count` token ids generated greedily after `ids`, with transformers' cache."""
        begun = torch.tensor([ids])
        out = self.model.generate(
            begun,
            attention_mask=torch.ones_like(begun),
            min_new_tokens=count,
            max_new_tokens=count,
            do_sample=False,
        )
        return out[0, len(ids) :].tolist()
