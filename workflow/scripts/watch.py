"""Show the status of the runs of studies, from their logs and tables.

    python -m workflow.scripts.watch                    every study that has logs
    python -m workflow.scripts.watch quick --every 5    one study, again every 5 seconds
    python -m workflow.scripts.watch quick@mine         a study on another corpus

It only reads files, so it also works during a pipeline, on another machine with the same folder,
and after all runs have ended. Stop it with Ctrl-C, or wait until nothing is left to do.
"""

import math
import time
from datetime import timedelta
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table

from bitnet.common.errors import refuse
from bitnet.config.load import read_project
from bitnet.config.study import Study
from bitnet.monitoring import status
from bitnet.monitoring.logs import stretch_of
from workflow.helpers.cli import ROOT, flags, run

COLUMNS = ("run", "state", "step", "loss", "count", "tok/s", "left")
LEGEND = """loss: training loss, nats; count: distinct predictions at the last evaluation;
tok/s: tokens a second; left: h:mm:ss to the end of the run"""
COLOURS = {"diverged": "magenta", "training": "green"}
COLOURS |= dict.fromkeys(("failed", "stopped", "stalled"), "red")
AROUND = 8  # lines of a screen around the runs of a study: title, header, summary, legend
PIPED = 120  # characters per line without a terminal


def main(argv: list[str] | None = None) -> None:
    """Print a table per study, once or every few seconds."""
    parser = flags(__doc__)
    parser.add_argument("studies", nargs="*", metavar="STUDY", help="study, or study@corpus")
    parser.add_argument("--every", type=float, help="seconds between two looks; once without it")
    parser.add_argument("--config", default=ROOT / "config.yaml", help="file beside studies/")
    also = "YAML file that changes it, as given to snakemake; again for more"
    parser.add_argument("--configfile", action="append", type=Path, default=[], help=also)
    args = parser.parse_args(argv)
    if args.every is not None and not args.every > 0:
        raise refuse("--every", args.every, "seconds, above 0")
    config = read_project(ROOT, Path(args.config), args.configfile)
    scopes = args.studies or with_logs(config)
    if not scopes:
        raise ValueError("no study has logs yet; name one to see what it would train")
    console = Console()
    console = console if console.is_terminal else Console(width=PIPED)
    page, over = look(config, scopes, console.width)
    if args.every is None:
        console.print(page)
        return
    fits = max(3, console.height // len(scopes) - AROUND) if console.is_terminal else None
    with Live(console=console, auto_refresh=False) as live:
        live.update(look(config, scopes, console.width, fits)[0], refresh=True)
        while not over:
            time.sleep(args.every)
            page, over = look(config, scopes, console.width, fits)
            live.update(page, refresh=True)


def with_logs(config: dict) -> list[str]:
    """Scopes (study or study@corpus) with the log of a training."""
    folders = [path.parent.name for path in Path("logs").glob("*/*.train.log")]
    names = [name for name in dict.fromkeys(folders) if name.partition("@")[0] in config["studies"]]
    main_study = [config["main_study"]] if any(Path("logs").glob("*.train.log")) else []
    return [*main_study, *sorted(names)]


def look(
    config: dict, scopes: list[str], width: int, most: int | None = None
) -> tuple[Group, bool]:
    """Tables of all studies as text, of this width, and whether all their runs are over.

    most: runs to show of each study, those that train first.
    """
    parts, over = [], True
    for scope in scopes:
        name, _, corpus = scope.partition("@")
        study = Study.of(config, name, corpus or None)
        folder = "" if scope == config["main_study"] else f"{scope}/"
        logs, tables = read(study, folder)
        rows = status.rows(study, logs, tables)
        parts.append(table(scope, rows[:most], width))
        if hidden := rows[most:] if most else []:
            parts.append(f"and {len(hidden)} more")
        parts.append(ending(study, rows, logs))
        over = over and all(row.state in status.OVER for row in rows)
    return Group(*parts, LEGEND), over


def read(study: Study, folder: str) -> tuple[dict, dict]:
    """Existing logs and tables of a study; a table older than its log is ignored."""
    logs, tables, dates, now = {}, {}, {}, time.time()
    names = study.runs()
    for name in {*names, *map(study.trunk, names)}:
        path = Path(f"logs/{folder}{name}.train.log")
        if found := stretch_of(path):
            logs[name], dates[name] = found, now - found.age
    for name in names:
        path = Path(f"results/{folder}{name}.csv")
        try:
            if path.stat().st_mtime >= dates.get(name, 0):
                tables[name] = status.read_table(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            continue
    return logs, tables


def table(title: str, rows: list[status.Row], width: int) -> Table:
    """Table with the status of each run as text, of at most this width."""
    shown = Table(title=title, title_justify="left", box=None, padding=(0, 1, 0, 0))
    cells = [
        [
            row.state,
            f"{row.step}/{row.steps}",
            "" if math.isnan(row.loss) else f"{row.loss:.3f}",
            "" if row.unique is None else f"{row.unique:,}",
            "" if math.isnan(row.rate) else f"{row.rate:,.0f}",
            duration(row.left),
        ]
        for row in rows
    ]
    lines = [COLUMNS[1:], *cells]
    room = width - sum(max(map(len, column)) + 1 for column in zip(*lines, strict=True)) - 1
    for column in COLUMNS:
        side = "left" if column in ("run", "state") else "right"
        shown.add_column(column, justify=side, no_wrap=True, overflow="crop")
    for row, line in zip(rows, cells, strict=True):
        shown.add_row(squeezed(row.run, room), *line, style=COLOURS.get(row.state))
    return shown


def squeezed(name: str, width: int) -> str:
    """A name of at most this width, 10 or more: of a longer one the middle is left out."""
    half = max(width - 2, 8) // 2
    return name if len(name) <= 2 * half + 2 else f"{name[:half]}..{name[-half:]}"


def ending(study: Study, rows: list[status.Row], logs: dict) -> str:
    """Line with the number of runs in each state and the expected time left."""
    left = status.seconds_left(study, rows, logs)
    return status.summary(rows) + (f"; about {duration(left)} left" if left > 0 else "") + "\n"


def duration(seconds: float) -> str:
    """A duration like 1:02:33; empty if unknown."""
    return "" if math.isnan(seconds) else str(timedelta(seconds=round(max(0, seconds))))


if __name__ == "__main__":
    run(main)
