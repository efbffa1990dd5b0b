"""Removal of the locks that a killed Snakemake left behind, where it is certainly gone.

Snakemake's own lock is a list of files in `.snakemake/locks`, which nobody deletes after a
`kill -9`; it asks for `--unlock`. Beside it, every Snakemake holds a shared lock of the kernel's,
which ends with its process. Whoever gets that lock alone knows that no other Snakemake is alive.
"""

import shutil
import socket
from pathlib import Path
from typing import TextIO


def hold(folder: Path) -> TextIO | None:
    """Hold this folder's lock until the file that is returned is closed; clear what is stale.

    None where the system or the file system knows no such locks. Locks are left alone where
    another Snakemake is alive, or was last alive on another machine (a file system need not tell
    machines of each other's locks).
    """
    try:
        import fcntl

        path = folder / "alive.lock"
        folder.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
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
