"""What all scripts share: flags, errors as one line, a log file, text read back from parquet."""

import argparse
import logging
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

log = logging.getLogger("bitnet")
log.addHandler(logging.NullHandler())


def run(main: Callable[[], None]) -> None:
    """Call a script's main; an error of input or disk ends in one line and exit code 1."""
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted; run again and it goes on")
    except (ValueError, OSError) as error:
        log.error(" ".join(str(error).split()))
        sys.exit(f"error: {' '.join(str(error).split())}")


def flags(usage: str | None) -> argparse.ArgumentParser:
    """A parser that shows a script's docstring and knows --log."""
    parser = argparse.ArgumentParser(
        description=usage, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--log", help="log file")
    return parser


def parsed(parser: argparse.ArgumentParser, argv: list[str] | None) -> argparse.Namespace:
    """Arguments, with the log opened where they say."""
    args = parser.parse_args(argv)
    log_to(args.log)
    return args


def log_to(path: str | None) -> None:
    """Send the log to a file; without one it is dropped (a terminal shows the progress bar)."""
    if path:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        handler: logging.Handler = logging.FileHandler(path, mode="w", encoding="utf-8")
    else:
        handler = logging.NullHandler()
    handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%d %H:%M:%S"))
    log.handlers, log.propagate = [handler], False
    log.setLevel(logging.INFO)


def read_text(path: str | Path) -> Iterator[str]:
    """Documents of a text file that the script `text` wrote."""
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=1024, columns=["text"]):
            yield from batch.column(0).to_pylist()
