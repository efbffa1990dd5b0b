"""Parallel map over several processes that keeps the order and leaves no process behind."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any


def in_processes(work: Callable, items: Iterable, processes: int) -> Iterator[Any]:
    """Results of work(item) in the order of items; in this process if one is enough.

    Worker processes end with this one, also after an error, Ctrl-C or kill -9. ChildProcessError
    where a worker was killed.
    """
    items = list(items)
    if min(processes, len(items)) < 2:
        yield from map(work, items)
        return
    spawn = multiprocessing.get_context("spawn")  # a fork copies threads' locks in any state
    with ProcessPoolExecutor(min(processes, len(items)), spawn, _end_with_parent) as pool:
        try:
            yield from pool.map(work, items)
        except BrokenProcessPool:
            raise ChildProcessError("a process was killed, out of memory?; run again") from None
        except BaseException:  # also GeneratorExit, when the caller stops iterating
            for child in multiprocessing.active_children():
                child.kill()
            raise


def _end_with_parent() -> None:
    """Initialiser of a worker: exit when the parent process ends, and ignore Ctrl-C.

    Ctrl-C reaches all processes of a terminal; the parent handles it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
