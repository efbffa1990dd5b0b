"""A step as one CUDA graph: a small model's hundreds of kernels in a single launch.

Source: the PyTorch manual, 'CUDA semantics', section 'CUDA Graphs', whole-network capture.
"""

import logging
from collections.abc import Callable

import torch

EAGER = 3  # steps run before a capture, so that libraries, compilers and autograd have set up

log = logging.getLogger(__name__)


class CudaGraph:
    """Calls `compute(rows)`: the first times as it is, then captured once, then replayed.

    A capture holds tensors' places and numbers' values: `key` is what numbers depend on, and
    another key starts over. What cannot be captured goes on as it is, and a line says so.
    """

    def __init__(self, compute: Callable[[torch.Tensor], torch.Tensor], forget: Callable[[], None]):
        """forget: drops what an aborted capture of `compute` leaves behind, its gradients."""
        self.compute, self.forget = compute, forget
        self.stream = torch.cuda.Stream()
        self.graph: torch.cuda.CUDAGraph | None = None
        self.key: object = None
        self.calls = 0
        self.refused = False

    def __call__(self, rows: torch.Tensor, key: object) -> torch.Tensor:
        if key != self.key:
            self.key, self.graph, self.calls = key, None, 0
        self.calls += 1
        if self.refused or self.calls <= EAGER:
            return self.eager(rows)
        if self.graph is None:
            try:
                self.capture(rows)
            except RuntimeError as error:
                log.warning("no CUDA graph, steps run kernel by kernel: %s", error)
                self.refused = True
                self.forget()  # else the next step would add to gradients that were never computed
                return self.eager(rows)
        self.rows.copy_(rows)
        self.graph.replay()
        return self.values.clone()

    def eager(self, rows: torch.Tensor) -> torch.Tensor:
        """The step on the stream it is captured on, so that nothing is set up anew there."""
        self.stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self.stream):
            values = self.compute(rows)
        torch.cuda.current_stream().wait_stream(self.stream)
        return values

    def capture(self, rows: torch.Tensor) -> None:
        """Record one step without running it; its gradients live in the graph's own memory."""
        self.rows, graph = rows.clone(), torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self.stream):
            self.values = self.compute(self.rows)
        self.graph = graph
