"""The end of a training of several processes: all of them, within seconds, with one line.

A process that fails leaves the others inside a collective, where NCCL would let them wait on. So
each writes why it ends to a store that all see, and watches that store and its launcher beside the
training. Whoever writes first prints the line; all others end without a word.
"""

import logging
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch.distributed as dist

from bitnet.common.errors import ERROR
from bitnet.training.distributed import Ranks

BOARD = "BITNET_BOARD"  # environment variable: host:port of the store, where the launcher has one
AGAIN = "the same command goes on from the last checkpoint"
LOST = f"{ERROR} a process lost the others of its training; {AGAIN}"
ORPHAN = f"{ERROR} the launcher of this training was killed; {AGAIN}"
EVERY, GRACE = 1.0, 2.0  # seconds between two looks; until the line of another process is printed
PATIENCE = 4.0  # seconds in which a launcher says that a process was killed
CONNECT = timedelta(seconds=60)

log = logging.getLogger("bitnet")


class Board:
    """Why a training ends, on a store that its processes and launchers see; the first one counts.

    address: host:port. RuntimeError where nobody answers there for `timeout`, and from each method
    once the launcher that holds the store is gone.
    """

    def __init__(self, address: str, timeout: timedelta = CONNECT):
        host, _, port = address.rpartition(":")
        store = dist.TCPStore(host, int(port), timeout=timeout, wait_for_workers=False)
        self.store = dist.PrefixStore("bitnet", store)

    def take(self, line: str) -> bool:
        """Whether nobody has written before; then the line is written."""
        if self.store.add("writers", 1) > 1:
            return False
        self.store.set("line", line)
        return True

    def line(self) -> str | None:
        """The line that ends the training, if there is one."""
        return self.store.get("line").decode() if self.store.check(["line"]) else None

    def gathered(self, count: int, seconds: float) -> None:
        """Wait until so many have called this, or for some seconds."""
        self.store.add("gathered", 1)
        end = time.monotonic() + seconds
        while self.store.add("gathered", 0) < count and time.monotonic() < end:
            time.sleep(0.1)


@contextmanager
def together(ranks: Ranks) -> Iterator[None]:
    """Context whose error ends all processes of a training, of which one prints one line.

    With one process it does nothing. Else an error ends this process at once, without the clean-up
    that would wait for the others, and so does the end of its launcher or of any other process.
    """
    if ranks.count == 1:
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a Ctrl-C is answered by the launcher
    address = os.environ.get(BOARD) or ":".join(map(os.environ.get, ("MASTER_ADDR", "MASTER_PORT")))
    over = threading.Event()
    threading.Thread(target=_watch, args=(Board(address), ranks, over), daemon=True).start()
    board = Board(address)  # a connection of its own: one call at a time goes through each
    try:
        yield
    except SystemExit as end:
        line = end.code if isinstance(end.code, str) else None  # else it has been printed
        _leave(board, line, end.code if isinstance(end.code, int) else 1)
    except Exception as error:
        # When another process was killed, this one may see it before that one's launcher does.
        if isinstance(error, RuntimeError) and _ended(board, PATIENCE):
            os._exit(1)
        if not _is_lost(error):
            traceback.print_exc()
        line = LOST if _is_lost(error) else f"{ERROR} {' '.join(str(error).split())}"
        _leave(board, line)
    finally:
        over.set()


def _leave(board: Board, line: str | None, code: int = 1) -> None:
    """End this process; with the line, where no other one has written one."""
    try:
        prints = line is not None and board.take(line)
    except RuntimeError:
        prints = line is not None
    if prints:
        print(line, file=sys.stderr)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _watch(board: Board, ranks: Ranks, over: threading.Event) -> None:
    """End this process when its launcher has ended or another process has written why it ends."""
    launcher = os.getppid()
    while not over.wait(EVERY):
        orphan = os.getppid() != launcher
        try:
            line = board.line()
        except RuntimeError:  # the launcher that holds the store is gone: one line a machine
            _leave(board, (ORPHAN if orphan else LOST) if ranks.local_rank == 0 else None)
        if orphan:
            _leave(board, ORPHAN)
        if line is not None:
            log.error(line)
            time.sleep(GRACE)
            _leave(board, None)


def _ended(board: Board, seconds: float) -> bool:
    """Whether the training ends by another process's line, waiting for one for some seconds."""
    try:
        end = time.monotonic() + seconds
        while board.line() is None and time.monotonic() < end:
            time.sleep(0.1)
        return board.line() is not None
    except RuntimeError:
        return False


def _is_lost(error: Exception) -> bool:
    """Whether an error is that another process does not answer."""
    words = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe")
    return isinstance(error, dist.DistError) or (
        isinstance(error, RuntimeError) and any(word in str(error) for word in words)
    )
