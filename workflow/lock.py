"""Removal of the locks of a killed Snakemake, if it is certain that the process is gone.

Snakemake's own lock is a list of files in `.snakemake/locks`. They survive a `kill -9`, and
Snakemake then asks for `--unlock`. So every Snakemake here also holds a shared lock of the kernel,
which ends with its process. A process that gets that lock exclusively knows that no other is alive.
"""

import shutil
import socket
from pathlib import Path
from typing import TextIO


def hold(folder: Path) -> TextIO | None:
    """Hold a folder's lock until the returned file is closed; remove stale locks of Snakemake.

    None if the system or file system has no such locks. Snakemake's locks stay if another Snakemake
    is alive, or the last one ran on another machine (file systems need not share kernel locks).
    """
    try:
        import fcntl

        path = folder / "alive.lock"
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="utf-8", errors="replace")
        file.seek(0)
        before = file.read()
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass
        else:
            if before in ("", socket.gethostname()):
                shutil.rmtree(folder / "locks", ignore_errors=True)
            file.truncate(0)
            file.write(socket.gethostname())
            file.flush()
        fcntl.flock(file, fcntl.LOCK_SH)
    except (ImportError, OSError):
        return None
    return file
