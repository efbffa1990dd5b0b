"""Snakemake's time stamps, taken out of exported folders, which are copied and published."""

import os
from collections.abc import Iterable
from pathlib import Path

STAMP = ".snakemake_timestamp"


def take_out(folders: Iterable[str | Path]) -> None:
    """Remove the stamp from each folder; its date becomes the folder's, as Snakemake reads it."""
    for folder in map(Path, folders):
        stamp = folder / STAMP
        if stamp.is_file() and not folder.is_symlink():
            date = stamp.stat().st_mtime_ns
            stamp.unlink()
            os.utime(folder, ns=(date, date))
