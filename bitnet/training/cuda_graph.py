"""CUDA graph of a training step: a small model's hundreds of kernels in a single launch.

Source: the PyTorch manual, 'CUDA semantics', section 'CUDA Graphs', whole-network capture.
"""

import logging
from collections.abc import Callable, Mapping

import torch

from bitnet.training.selfcheck import agrees, compared, tolerance

EAGER = 3  # steps run before a capture, so that libraries, compilers and autograd have set up
CHECKED = 2  # replays compared with eager steps: what a capture fixed wrongly shows in the second

log = logging.getLogger(__name__)


class CudaGraph:
    """Callable that runs `compute(rows)`: eagerly at first, then from a captured CUDA graph.

    A capture fixes the addresses of tensors and the values of Python numbers. `key` is whatever
    those numbers depend on; another key leads to a new capture. The first replays of each are
    compared with eager steps (see `selfcheck`), which changes nothing where they agree. If a
    capture fails or they do not agree, all further calls run eagerly and a warning is logged.
    """

    def __init__(
        self,
        compute: Callable[[torch.Tensor], torch.Tensor],
        forget: Callable[[], None],
        state: Mapping[str, torch.Tensor],
    ):
        """The graph of `compute(rows)`.

        forget: drops what an aborted capture of `compute` leaves behind, its gradients.
        state: the tensors that `compute` changes, by name.
        """
        self.compute, self.forget, self.state = compute, forget, state
        self.stream = torch.cuda.Stream()
        self.graph: torch.cuda.CUDAGraph | None = None
        self.key: object = None
        self.calls = 0
        self.unchecked = 0  # replays still to be compared
        self.difference: float | None = None  # the largest one found so far
        self.refused: str | None = None  # why no step is captured any more

    def __call__(self, rows: torch.Tensor, key: object) -> torch.Tensor:
        """Result of `compute(rows)`; rows must have the same shape and dtype at every call."""
        if key != self.key:
            self.key, self.graph, self.calls = key, None, 0
        self.calls += 1
        if self.refused or self.calls <= EAGER:
            return self.eager(rows)
        if self.graph is None:
            try:
                self.capture(rows)
            except RuntimeError as error:
                self.refuse(str(error))
                self.forget()  # else the next step would add to gradients that were never computed
                return self.eager(rows)
        return self.check(rows) if self.unchecked else self.replay(rows)

    def eager(self, rows: torch.Tensor) -> torch.Tensor:
        """Run `compute` on the capture's stream, so that libraries are set up on that stream."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            values = self.compute(rows)
        torch.cuda.current_stream().wait_stream(self.stream)
        return values

    def capture(self, rows: torch.Tensor) -> None:
        """Record one step without running it; gradients lie in the graph's own memory pool."""
        self.rows, graph = rows.clone(), torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            self.values = self.compute(self.rows)
        self.graph, self.unchecked = graph, CHECKED

    def replay(self, rows: torch.Tensor) -> torch.Tensor:
        """Repeat the recorded step on other rows."""
        self.rows.copy_(rows)
        self.graph.replay()
        return self.values.clone()

    def check(self, rows: torch.Tensor) -> torch.Tensor:
        """One step, eager and replayed; where they disagree, the eager one counts."""
        self.unchecked -= 1
        values, share, name = compared(
            lambda: self.eager(rows), lambda: self.replay(rows), self.state
        )
        self.difference = max(share, self.difference or 0.0)
        if not agrees(share):
            self.refuse(f"replay differs from the eager step by {share:.2g} of that in {name}")
            self.graph = None
        elif not self.unchecked:
            log.info(
                "CUDA graph: replays differ from eager steps by %.2g of a step (at most %g)",
                self.difference,
                tolerance(),
            )
        return values

    def refuse(self, reason: str) -> None:
        """Run all further steps eagerly."""
        self.refused = reason
        log.warning("no CUDA graph, steps run kernel by kernel: %s", reason)

    @property
    def outcome(self) -> str:
        """How steps have run so far, for the record of a training."""
        if self.refused:
            return f"refused; {self.refused}"
        if self.difference is None:
            return "not captured; too few steps"
        return f"captured; replays differ from eager steps by {self.difference:.2g} of a step"
