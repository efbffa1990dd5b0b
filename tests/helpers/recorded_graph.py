"""A CUDA graph on a CPU: it repeats aten calls in the way in which a real one repeats kernels.

A capture records every aten call with its very tensors and then undoes what the calls have changed,
since a real capture runs nothing. A replay repeats the calls, each into the tensors that it had
then. So an address or a Python number that a real graph would hold fast is held fast here, too.
What does not go through aten, such as the kernels that torch.compile writes, is not seen.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only


class RecordedGraph:
    """What stands in for torch.cuda.CUDAGraph."""

    def __init__(self):
        self.calls: list[tuple] = []

    @torch.no_grad()
    def replay(self) -> None:
        for function, args, kwargs, outputs in self.calls:
            for new, old in zip(tree_leaves(function(*args, **kwargs)), outputs, strict=True):
                if isinstance(new, torch.Tensor) and new.data_ptr() != old.data_ptr():
                    old.copy_(new)


class _Recorder(TorchDispatchMode):
    """Appends every aten call to a graph; keeps what the calls write to as it was before."""

    def __init__(self, graph: RecordedGraph):
        super().__init__()
        self.graph, self.before = graph, {}

    @classmethod
    def ignore_compile_internals(cls) -> bool:  # else compiled code would not run inside
        return True

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        given = dict(zip((a.name for a in function._schema.arguments), args, strict=False)) | kwargs
        for argument in function._schema.arguments:
            if argument.alias_info and argument.alias_info.is_write and argument.name in given:
                for tensor in tree_leaves(given[argument.name]):
                    storage = tensor.untyped_storage()
                    self.before.setdefault(storage.data_ptr(), (storage, storage.clone()))
        result = function(*args, **kwargs)
        call = tree_map_only(torch.Tensor, torch.Tensor.detach, (args, kwargs, tree_leaves(result)))
        self.graph.calls.append((function, *call))
        return result

    def undo(self) -> None:
        for storage, values in self.before.values():
            storage.copy_(values)


class _Stream:
    def wait_stream(self, other: "_Stream") -> None:
        pass


def pretend_graphs(monkeypatch: pytest.MonkeyPatch) -> list[RecordedGraph]:
    """Give torch.cuda recorded graphs; returns the list of those captured, which grows."""
    captured = []

    @contextmanager
    def capture(graph: RecordedGraph, stream: _Stream) -> Iterator[None]:
        recorder = _Recorder(graph)
        try:
            with recorder:
                yield
        finally:
            recorder.undo()
        captured.append(graph)

    for name, stand_in in {
        "Stream": _Stream,
        "current_stream": _Stream,
        "stream": nullcontext,
        "CUDAGraph": RecordedGraph,
        "graph": capture,
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    return captured
