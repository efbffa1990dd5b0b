"""One trained model in several runtimes: each reads the same tokens, goes on with a text, is timed.

A runtime gives logits of a window, and greedy tokens after a beginning. What it costs is measured
around those two alone, on one thread; whoever wants its peak memory measures it in a process of
its own.
"""

import time
from abc import ABC, abstractmethod
from pathlib import Path
from statistics import median

import numpy as np
import torch
from scipy.special import log_softmax

from bitnet.export_weights import open_trained

REPEATS = 5  # writings that are timed
WARM_UP = 3  # windows read before the clock starts


class Runtime(ABC):
    """A model that some software has loaded."""

    @abstractmethod
    def logits(self, ids: list[int]) -> np.ndarray:
        """Logits (T, vocab_size) of one sequence of T tokens."""

    @abstractmethod
    def write(self, ids: list[int], count: int) -> list[int]:
        """The `count` likeliest tokens after `ids`, one by one."""


class Ours(Runtime):
    """The model that was trained, by the code that trained it."""

    def __init__(self, path: str | Path):
        torch.set_num_threads(1)
        self.model, _ = open_trained(path)

    @torch.inference_mode()
    def logits(self, ids: list[int]) -> np.ndarray:
        return self.model(torch.tensor([ids]))[0].numpy()

    @torch.inference_mode()
    def write(self, ids: list[int], count: int) -> list[int]:
        """Reads the whole text again for every token: training needs no cache."""
        text = list(ids)
        for _ in range(count):
            text.append(int(self.model(torch.tensor([text]))[0, -1].argmax()))
        return text[len(ids) :]


class Transformers(Runtime):
    """An exported folder in transformers."""

    def __init__(self, path: str | Path):
        from transformers import AutoModelForCausalLM

        torch.set_num_threads(1)
        self.model = AutoModelForCausalLM.from_pretrained(path, local_files_only=True).eval()

    @torch.inference_mode()
    def logits(self, ids: list[int]) -> np.ndarray:
        return self.model(torch.tensor([ids])).logits[0].float().numpy()

    @torch.inference_mode()
    def write(self, ids: list[int], count: int) -> list[int]:
        begun = torch.tensor([ids])
        out = self.model.generate(
            begun,
            attention_mask=torch.ones_like(begun),
            min_new_tokens=count,
            max_new_tokens=count,
            do_sample=False,
        )
        return out[0, len(ids) :].tolist()


class LlamaCpp(Runtime):
    """An exported GGUF file in llama.cpp."""

    def __init__(self, path: str | Path, length: int):
        from llama_cpp import Llama

        one = {"n_threads": 1, "n_threads_batch": 1}
        self.model = Llama(str(path), n_ctx=length, logits_all=True, verbose=False, **one)

    def logits(self, ids: list[int]) -> np.ndarray:
        self.model.reset()
        self.model.eval(ids)
        return np.array(self.model.scores[: len(ids)])

    def write(self, ids: list[int], count: int) -> list[int]:
        text = list(ids)
        self.model.reset()
        self.model.eval(text)
        for _ in range(count):
            text.append(int(self.model.scores[len(text) - 1].argmax()))
            if len(text) < len(ids) + count:
                self.model.eval(text[-1:])
        return text[len(ids) :]


def read(runtime: Runtime, windows: np.ndarray, positions: int) -> dict[str, np.ndarray]:
    """Read windows (count, T + 1), one after the other.

    Returns prediction (positions,), nll (positions,) nats, and seconds that the reading took.
    """
    for window in windows[:WARM_UP]:
        runtime.logits(window[:-1].tolist())
    predictions, losses, seconds = [], [], 0.0
    for window in windows:
        ids = window[:-1].tolist()
        began = time.perf_counter()
        logits = runtime.logits(ids)
        seconds += time.perf_counter() - began
        predictions.append(logits.argmax(-1))
        log_p = log_softmax(logits.astype(np.float64), axis=-1)
        losses.append(-log_p[np.arange(len(ids)), window[1:]])
    return {
        "prediction": np.concatenate(predictions)[:positions],
        "nll": np.concatenate(losses)[:positions],
        "read_tokens_per_second": np.asarray(windows[:, 1:].size / seconds),
    }


def write_speed(runtime: Runtime, ids: list[int], count: int) -> float:
    """Tokens a second of going on with a text by `count` tokens; the median of some repeats."""
    runtime.write(ids, count)
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        runtime.write(ids, count)
        seconds.append(time.perf_counter() - began)
    return count / median(seconds)
