"""CUDA graph of a training step: a small model's hundreds of kernels in a single launch.

Source: the PyTorch manual, 'CUDA semantics', section 'CUDA Graphs', whole-network capture.
"""

import logging
from collections.abc import Callable

import torch

EAGER = 3  # steps run before a capture, so that libraries, compilers and autograd have set up

log = logging.getLogger(__name__)


class CudaGraph:
    """Callable that runs `compute(rows)`: eagerly at first, then from a captured CUDA graph.

    A capture fixes the addresses of tensors and the values of Python numbers. `key` is whatever
    those numbers depend on; another key leads to a new capture. If a capture fails, all further
    calls run eagerly and a warning is logged.
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
                log.warning("no CUDA graph, steps run kernel by kernel: %s", error)
                self.refused = True
                self.forget()  # else the next step would add to gradients that were never computed
                return self.eager(rows)
        self.rows.copy_(rows)
        self.graph.replay()
        return self.values.clone()

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
        self.graph = graph
