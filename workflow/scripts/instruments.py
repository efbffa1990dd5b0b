"""What watches a training while it runs: anomalies with a sample, speed, memory, TensorBoard.

Not a script of a rule: `train` calls them after each evaluation.
"""

import json
import time
from pathlib import Path

from bitnet.anomalies import Limits, anomalies, sample
from bitnet.board import Board
from bitnet.device import describe, peak_memory
from bitnet.files import write_text
from bitnet.tokenizer import Tokenizer
from bitnet.train import Stretch
from bitnet.utilisation import utilisation
from workflow.scripts.cli import log


class Instruments:
    """Called with a stretch after each evaluation; writes <output>.anomalies.jsonl."""

    def __init__(
        self,
        stretch: Stretch,
        output: str,
        limits: Limits,
        tokenizer: Tokenizer | None,
        tensorboard: bool = False,
    ):
        self.path, self.limits = Path(f"{output}.anomalies.jsonl"), limits
        self.tokenizer = tokenizer
        self.board = Board(f"{output}.tensorboard", stretch.step) if tensorboard else None
        self.first, self.began = stretch.step, time.perf_counter()
        self.path.unlink(missing_ok=True)

    def __call__(self, stretch: Stretch) -> None:
        seen = stretch.observations()
        found = anomalies(seen, self.limits)
        for one in found:
            one["text"] = self.text(one.pop("ids"))
        if found:
            lines = [json.dumps(one, ensure_ascii=False, sort_keys=True) for one in found]
            write_text(self.path, "\n".join(lines) + "\n")
        for one in found:
            if one["step"] == stretch.step:
                log.warning("%(rule)s at step %(step)d: %(saw)s; it writes: %(text)s", one)
        if self.board:
            values = stretch.rows[-1] | self.measured(stretch)
            self.board.write(stretch.step, values, self.text(sample(seen, -1)))

    def measured(self, stretch: Stretch) -> dict[str, float]:
        """Seconds, tokens a second, peak memory (MiB) and, where the device is known, MFU."""
        c, seconds = stretch.recipe.training, time.perf_counter() - self.began
        rate = (stretch.step - self.first) * c.batch_size * c.sequence_length / seconds
        found = {
            "seconds": round(seconds, 1),
            "tokens_per_second": round(rate),
            "peak_memory_mib": round(peak_memory(stretch.device) / 2**20),
        }
        device = describe(stretch.device)
        share = utilisation(stretch.recipe, rate, device, stretch.ranks.count)
        return found if share is None else found | {"mfu": round(share, 4)}

    def text(self, ids: list[int]) -> str:
        """Token ids as they read; empty where a model that diverged wrote none."""
        ids = [token for token in ids if token >= 0]
        return self.tokenizer.decode(ids) if self.tokenizer else str(ids)
