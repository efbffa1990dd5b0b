"""Comparison of runtimes of one trained model: predictions, losses, and speed of both directions.

Speed is measured on one thread in processor time, which other programs do not affect. Peak memory
has to be measured in one process per runtime, so this module is free of torch, which llama.cpp
does not need.
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
import pandas as pd
from scipy.special import log_softmax

from bitnet.common.markdown import bullets, fill, table

REPEATS = 5  # timed repeats of generation
WARM_UP = 3  # windows read before timing

MEGABYTE = 1e6
LEGEND = (
    "bits per byte, argmax: loss at the N held-out positions, and the share of them at which the "
    "runtime predicts the same token as the model does here, as it was trained.",
    "read: tokens a second of processor time, of whole windows, one after the other. write: of "
    "going on with a text by one token at a time, greedily, keys and values kept.",
    "file: the weights alone; here the float32 ones that training goes on with.",
    "memory: the most that the process held, and what it held before it loaded the model: "
    "libraries and held-out tokens.",
)


class Runtime(ABC):
    """Interface of a model that is loaded in some software."""

    @abstractmethod
    def logits(self, ids: list[int]) -> np.ndarray:
        """Logits (T, vocab_size) of one sequence of T token ids."""

    @abstractmethod
    def write(self, ids: list[int], count: int) -> list[int]:
        """`count` token ids generated greedily after `ids`."""


class LlamaCpp(Runtime):
    """An exported GGUF file in llama.cpp, on one thread with a context of `length` tokens."""

    def __init__(self, path: str | Path, length: int):
        from llama_cpp import Llama

        one = {"n_threads": 1, "n_threads_batch": 1}
        self.model = Llama(str(path), n_ctx=length, logits_all=True, verbose=False, **one)

    def logits(self, ids: list[int]) -> np.ndarray:
        """Logits (T, vocab_size) float32 of one sequence of T token ids."""
        self.model.reset()
        self.model.eval(ids)
        return np.array(self.model.scores[: len(ids)])

    def write(self, ids: list[int], count: int) -> list[int]:
        """`count` token ids generated greedily after `ids`, with llama.cpp's cache."""
        text = list(ids)
        self.model.reset()
        self.model.eval(text)
        for _ in range(count):
            text.append(int(self.model.scores[len(text) - 1].argmax()))
            if len(text) < len(ids) + count:
                self.model.eval(text[-1:])
        return text[len(ids) :]


def read(runtime: Runtime, windows: np.ndarray, positions: int) -> dict[str, np.ndarray]:
    """Evaluate a runtime on windows (count, T + 1) of token ids, one after the other.

    Returns prediction (positions,) argmax ids, nll (positions,) nats, and read_tokens_per_second ()
    in processor time.
    """
    for window in windows[:WARM_UP]:
        runtime.logits(window[:-1].tolist())
    predictions, losses, seconds = [], [], 0.0
    for window in windows:
        ids = window[:-1].tolist()
        began = time.process_time()
        logits = runtime.logits(ids)
        seconds += time.process_time() - began
        predictions.append(logits.argmax(-1))
        log_p = log_softmax(logits.astype(np.float64), axis=-1)
        losses.append(-log_p[np.arange(len(ids)), window[1:]])
    return {
        "prediction": np.concatenate(predictions)[:positions],
        "nll": np.concatenate(losses)[:positions],
        "read_tokens_per_second": np.asarray(windows[:, 1:].size / seconds),
    }


def write_speed(runtime: Runtime, ids: list[int], count: int) -> float:
    """Tokens per second of generating `count` tokens after `ids`: the median of REPEATS."""
    runtime.write(ids, count)
    seconds = []
    for _ in range(REPEATS):
        began = time.process_time()
        runtime.write(ids, count)
        seconds.append(time.process_time() - began)
    return count / median(seconds)


def markdown(rows: pd.DataFrame, title: str, notes: Sequence[str]) -> str:
    """The comparison as Markdown: a table, notes, and what the columns mean.

    rows: one per runtime, with the columns Runtime, Version, Form, BitsPerByte, ArgmaxAgreement,
    ReadTokensPerSecond, WriteTokensPerSecond, FileBytes, PeakMemoryBytes, ImportMemoryBytes and N.
    notes: a line for each runtime that was left out.
    """
    header = ["runtime", "form", "bits per byte", "argmax", "read /s", "write /s", "file MB"]
    header += ["memory MB", "before loading MB"]
    lines = [
        [
            f"{row.Runtime} {row.Version}".strip(),
            row.Form,
            f"{row.BitsPerByte:.5f}",
            f"{row.ArgmaxAgreement:.2%}",
            f"{row.ReadTokensPerSecond:,.0f}",
            f"{row.WriteTokensPerSecond:,.0f}",
            f"{row.FileBytes / MEGABYTE:.1f}",
            f"{row.PeakMemoryBytes / MEGABYTE:.0f}",
            f"{row.ImportMemoryBytes / MEGABYTE:.0f}",
        ]
        for row in rows.itertuples()
    ]
    told = f"The same model and text in each runtime, one thread, N = {rows['N'].iloc[0]:,}."
    parts = [f"# Runtimes of {title}", fill(told), table(header, lines)]
    return "\n\n".join([*parts, *([bullets(notes)] if notes else []), bullets(LEGEND)]) + "\n"
