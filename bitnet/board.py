"""Observations of a training as TensorBoard shows them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from bitnet.config import refuse


class Board:
    """Writes event files to a folder; ValueError where the extra `tensorboard` is not installed."""

    def __init__(self, folder: str | Path, step: int):
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            extra = "false, or true with pip install -e '.[tensorboard]'"
            raise refuse("tensorboard", True, extra) from None
        self.writer = SummaryWriter(str(folder), purge_step=step + 1)  # what is trained again

    def write(self, step: int, values: Mapping[str, np.ndarray | float], text: str) -> None:
        """Numbers as curves, arrays as their mean (of layers: one curve each), and a sample."""
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
