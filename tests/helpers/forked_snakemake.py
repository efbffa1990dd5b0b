"""Snakemake without its start: each command runs in a fork of a process that has imported it.

A third of a dry run's time goes into importing Snakemake. The tests type it more than a hundred
times; here it is imported once a test process. What a fork runs is Snakemake's own `main`, in the
folder and with the arguments of the command; project modules are imported anew by each. Its jobs
are forks too, of a second process: forked_jobs.py.
"""

import atexit
import gc
import json
import os
import signal
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from tests.helpers import forked_jobs

AVAILABLE = sys.platform == "linux"  # elsewhere forks of a process with threads are not safe


def run(
    folder: Path, arguments: tuple[str, ...], env: dict[str, str], timeout: int
) -> subprocess.CompletedProcess:
    """What the command `snakemake *arguments` prints in a folder, and how it ends.

    env: of all commands of this process. One that runs longer than `timeout` seconds is killed.
    """
    server = _server(tuple(sorted(env.items())))
    with tempfile.TemporaryDirectory() as made:
        outputs = [f"{made}/out", f"{made}/err"]
        asked = [str(folder), arguments, outputs, timeout]
        print(json.dumps(asked), file=server.stdin, flush=True)
        code = int(server.stdout.readline())
        printed = [Path(output).read_text() for output in outputs]
    return subprocess.CompletedProcess(("snakemake", *arguments), code, *printed)


@cache
def _server(env: tuple[tuple[str, str], ...]) -> subprocess.Popen:
    made = tempfile.TemporaryDirectory()
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.helpers.forked_snakemake", made.name],
        cwd=Path(__file__).parents[2],
        env=dict(env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    atexit.register(made.cleanup)
    atexit.register(server.communicate)  # the end of its input ends it
    return server


def _serve(made: Path) -> None:
    """Run the commands that come in, one after the other; answer with their exit codes."""
    sys.path = [path for path in sys.path if path not in ("", os.getcwd())]  # as the command has it
    python, jobs = forked_jobs.start(made)
    import jsonschema
    import numpy
    import snakemake.cli
    import snakemake.report.html_reporter

    assert jsonschema and numpy and snakemake.report  # imported for the forks
    gc.freeze()
    for line in sys.stdin:
        folder, arguments, outputs, timeout = json.loads(line)
        pid = os.fork()
        if pid:
            print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)
            continue
        signal.alarm(timeout)
        os.chdir(folder)
        for number, path in enumerate([os.devnull, *outputs]):
            flags = os.O_WRONLY | os.O_CREAT if number else os.O_RDONLY
            os.dup2(os.open(path, flags), number)
        sys.argv = ["snakemake", *arguments]
        sys.executable = str(python)  # that jobs find first
        forked_jobs.end_with(lambda arguments=arguments: sys.exit(snakemake.cli.main(arguments)))
    os.kill(jobs, signal.SIGTERM)
    os.waitpid(jobs, 0)


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
