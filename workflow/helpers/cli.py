"""Helpers of all scripts: flags, errors as one line, a log file, the code's fingerprint."""

import argparse
import io
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TextIO

from bitnet.common.errors import ERROR
from bitnet.common.files import date_now
from workflow.provenance.fingerprint import script_fingerprint

ROOT = Path(__file__).resolve().parents[2]

_named: list[object] = []  # what the flags of a step of the pipeline say: files among others

log = logging.getLogger("bitnet")
log.addHandler(logging.NullHandler())
logging.raiseExceptions = False  # a full disk under the log must not stop a job


def run(main: Callable[[], None]) -> None:
    """Call a script's main; a ValueError or OSError becomes one line and exit code 1.

    At a good end, inputs of a step that are dated in the future are dated now: see `date_now`.
    """
    for stream in (sys.stdout, sys.stderr):
        printable(stream)
    # See workflow/scripts/__init__.py; several processes of a training leave it to their launcher.
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL and "RANK" not in os.environ:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        main()
        with suppress(OSError):  # files of somebody else
            date_now(str(value) for value in _named)
    except KeyboardInterrupt:
        sys.exit("interrupted; the same command goes on")
    except Exception as error:
        line = f"{ERROR} {' '.join(str(error).split())}"
        if not isinstance(error, ValueError | OSError):  # a fault of the code
            log.exception("with all that it takes to find it:")
            log.error(line)
            raise
        log.error(line)
        sys.exit(line)


def printable(stream: TextIO | None) -> None:
    """Have characters that a stream's encoding lacks (ASCII has no ×) printed as escapes."""
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="backslashreplace")


def flags(usage: str | None) -> argparse.ArgumentParser:
    """A parser that shows a script's docstring and knows --log and --code."""
    parser = argparse.ArgumentParser(
        description=usage, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--log", help="log file")
    parser.add_argument("--code", help="fingerprint that the code must have")
    return parser


def parsed(parser: argparse.ArgumentParser, argv: list[str] | None) -> argparse.Namespace:
    """Parsed arguments, after opening the log file that they name (in rank 0 of torchrun only)."""
    args = parser.parse_args(argv)
    if args.log:  # a step of the pipeline
        for value in vars(args).values():
            _named.extend(value if isinstance(value, list) else [value])
    log_to(args.log if os.environ.get("RANK", "0") == "0" else None)
    return args


def code_of(script: str, expected: str | None, source: str | None = None) -> str:
    """Fingerprint of a script; ValueError in one line where it is not the `expected` one.

    The pipeline computes fingerprints when it starts; code edited since then would be recorded
    wrongly. source: kind of text, as in `script_fingerprint`.
    """
    found = script_fingerprint(ROOT, script, source)
    if expected and found != expected:
        raise ValueError(f"code of {script} was edited while the pipeline ran; run snakemake again")
    return found


def log_to(path: str | None) -> None:
    """Write the log to a file, or nowhere if path is None (a terminal shows the progress bar)."""
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handler: logging.Handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    else:
        handler = logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.INFO)
