"""Reads the log of a training from disk: last lines, age, whether its process still lives."""

import os
import platform
import time
from dataclasses import replace
from pathlib import Path

import psutil

from bitnet.monitoring.status import RUNS, Stretch, read_log

HEAD, TAIL = 4096, 16384  # bytes that are read: the log of a training of days has many megabytes


def stretch_of(path: str | Path) -> Stretch | None:
    """Status of the training that writes a log; None where there is no log.

    A training whose process was on this machine and is gone has stopped. On another machine that is
    not known, and its log must show it by its age.
    """
    try:
        with Path(path).open("rb") as file:
            written = os.fstat(file.fileno()).st_mtime
            text = file.read(HEAD)
            rest = file.seek(0, os.SEEK_END) - len(text)
            file.seek(-min(rest, TAIL), os.SEEK_END)
            text += file.read()
    except OSError:
        return None
    found = read_log(text.decode("utf-8", errors="replace"), time.time() - written)
    if found.state in RUNS and found.process and _is_gone(*found.process, written):
        return replace(found, state="stopped")
    return found


def _is_gone(pid: int, host: str, written: float) -> bool:
    if host != platform.node():
        return False
    try:
        process = psutil.Process(pid)
        # a number may be given again, to a process that began after the last line
        return process.status() == psutil.STATUS_ZOMBIE or process.create_time() > written + 1
    except psutil.NoSuchProcess:
        return True
