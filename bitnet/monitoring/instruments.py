"""Monitoring of a running training: anomalies with a sample, speed, memory, MFU, TensorBoard."""

import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bitnet.common.errors import refuse
from bitnet.common.files import sha256, write_text
from bitnet.common.visible import visible
from bitnet.config.recipe import Recipe
from bitnet.config.speed import flops_per_token
from bitnet.config.thresholds import Limits
from bitnet.data.tokenizer import Tokenizer
from bitnet.monitoring.anomalies import anomalies, sample
from bitnet.training.device import describe, peak_memory
from bitnet.training.trainer import Trainer

log = logging.getLogger("bitnet")

# Peak dense bf16 operations per second with float32 sums, from NVIDIA's data sheets; for consumer
# cards 512 per clock and multiprocessor (GA102 and AD102 white papers). The first match counts.
PEAKS = (
    ("H100 PCIe", 756e12),
    ("H100", 989e12),
    ("H200", 989e12),
    ("A100", 312e12),
    ("L40S", 362e12),
    ("RTX 4090", 165e12),
    ("RTX 3090", 71e12),
    ("RTX 3060", 25e12),
)


class Instruments:
    """Callback for `train`: after each evaluation it logs and writes anomalies and curves.

    Anomalies go to <output>.anomalies.jsonl, curves to the folder <output>.tensorboard if
    `tensorboard`. limits: fields of `Limits` that differ from its defaults. ValueError in one line
    where the extra `tensorboard` is not installed.
    """

    def __init__(
        self,
        trainer: Trainer,
        output: str,
        limits: Mapping[str, float],
        tokenizer: Tokenizer | None,
        tensorboard: bool = False,
    ):
        self.path, self.limits = Path(f"{output}.anomalies.jsonl"), Limits(**limits)
        self.tokenizer = tokenizer
        self.board = Board(f"{output}.tensorboard", trainer.step) if tensorboard else None
        self.first, self.began = trainer.step, time.perf_counter()
        self.path.unlink(missing_ok=True)

    def __call__(self, trainer: Trainer) -> None:
        seen = trainer.observations()
        found = anomalies(seen, self.limits)
        for one in found:
            one["text"] = self.text(one.pop("ids"))
        if found:
            lines = [json.dumps(one, ensure_ascii=False, sort_keys=True) for one in found]
            write_text(self.path, "\n".join(lines) + "\n")
        for one in found:
            if one["step"] == trainer.step:
                log.warning("%(rule)s at step %(step)d: %(saw)s; it writes: %(text)s", one)
        if self.board:
            values = trainer.rows[-1] | self.measured(trainer)
            self.board.write(trainer.step, values, self.text(sample(seen, -1)))

    def measured(self, trainer: Trainer) -> dict[str, float]:
        """seconds, tokens_per_second, peak_memory_mib and, if the device's peak is known, mfu."""
        c, seconds = trainer.recipe.training, time.perf_counter() - self.began
        rate = (trainer.step - self.first) * c.batch_size * c.sequence_length / seconds
        found = {
            "seconds": round(seconds, 1),
            "tokens_per_second": round(rate),
            "peak_memory_mib": round(peak_memory(trainer.device) / 2**20),
        }
        device = describe(trainer.device)
        share = utilisation(trainer.recipe, rate, device, trainer.ranks.count)
        return found if share is None else found | {"mfu": round(share, 4)}

    def text(self, ids: list[int]) -> str:
        """Token ids as text without control characters (as numbers without a tokenizer).

        Negative ids are left out.
        """
        ids = [token for token in ids if token >= 0]
        return visible(self.tokenizer.decode(ids)) if self.tokenizer else str(ids)


def utilisation(recipe: Recipe, rate: float, device: str, processes: int = 1) -> float | None:
    """MFU (0 to 1) at `rate` tokens per second on `processes` devices; None for an unknown device.

    Operations of forward and backward pass count once, without recomputation. Source: Chowdhery et
    al. 2022 (PaLM), appendix B.
    """
    for name, peak in PEAKS:
        if name in device and "Laptop" not in device:
            return rate * flops_per_token(recipe) / (peak * processes)
    return None


def tokenizer_of(folder: Path, manifest: Mapping) -> Tokenizer | None:
    """Tokenizer in a manifest's folder; None if it is missing or not the manifest's."""
    path = folder / "tokenizer.model"
    own = path.is_file() and sha256(path) == manifest["tokenizer_sha256"]
    return Tokenizer(path) if own else None


class Board:
    """TensorBoard writer that drops events after `step`, which will be trained again.

    ValueError in one line where the extra `tensorboard` is not installed.
    """

    def __init__(self, folder: str | Path, step: int):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            extra = "false, or true with pip install -e '.[tensorboard]'"
            raise refuse("tensorboard", True, extra) from None
        self.writer = SummaryWriter(str(folder), purge_step=step + 1)  # drops steps to be repeated

    def write(self, step: int, values: Mapping[str, np.ndarray | float], text: str) -> None:
        """Write scalars, means of arrays in MEANT, one curve per layer of PER_LAYER, and a text."""
        for name, value in values.items():
            value = np.asarray(value)
            if name in PER_LAYER:
                for layer, one in enumerate(value):
                    self.writer.add_scalar(f"{name}/{layer}", one, step)
            elif value.ndim == 0 or name in MEANT:
                self.writer.add_scalar(name, value.mean(dtype=float), step)
        self.writer.add_text("sample", text, step)
        self.writer.flush()


PER_LAYER = ("activation_absmax", "layer_share")
MEANT = ("nll", "entropy")
