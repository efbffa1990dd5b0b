"""A process pool: one function over many items, results in order, no process left behind."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any


def in_processes(work: Callable, items: Iterable, processes: int) -> Iterator[Any]:
    """work(item) of each item, in the items' order; in this process where one is enough.

    Whatever ends this process ends the others: an error, Ctrl-C, kill -9. ChildProcessError where
    one of them was killed.
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
        except BaseException:  # GeneratorExit, too: who reads the results has stopped
            for child in multiprocessing.active_children():
                child.kill()
            raise


def _end_with_parent() -> None:
    """A worker waits for work, not for the end of whom it works for: watch that.

    Ctrl-C reaches all processes of a terminal: the one that is in charge answers it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    def watch() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
