"""A pipeline's jobs without their imports: each runs in a fork of a process that has them.

Most of a tiny job's time goes into importing torch, scipy or matplotlib. Here a pipeline finds a
`python` that hands its command, folder, environment and standard streams to a server. A fork of the
server runs the script, whose project modules are imported anew. Nobody can kill such a job: tests
of kills start Snakemake as a process of its own, whose jobs are real ones.
"""

import atexit
import gc
import importlib
import json
import os
import runpy
import socket
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

HEAVY = ("torch", "pandas", "scipy.stats", "matplotlib.figure", "sentencepiece")
PYTHON = """#!{python} -IS
import json, os, socket, sys
if sys.argv[1:2] != ["-m"]:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
server = socket.socket(socket.AF_UNIX)
server.connect({path!r})
socket.send_fds(server, [b" "], [0, 1, 2])
server.sendall(json.dumps([os.getcwd(), sys.argv[2:], dict(os.environ)]).encode())
server.shutdown(socket.SHUT_WR)
sys.exit(int(server.recv(16) or 1))
"""


def start(folder: Path) -> tuple[Path, int]:
    """Fork a server that listens in a folder; the `python` of its jobs, and the server's id."""
    server, path, python = socket.socket(socket.AF_UNIX), folder / "jobs", folder / "python"
    server.bind(str(path))
    server.listen(16)
    python.write_text(PYTHON.format(python=sys.executable, path=str(path)))
    python.chmod(0o755)
    pid = os.fork()
    if not pid:
        _serve(server)
    server.close()
    return python, pid


def _serve(server: socket.socket) -> None:
    """Answer each command with its exit code; several may run at once."""
    known = False
    while True:
        asked, _ = server.accept()
        if not known:  # many tests only plan jobs
            known = [importlib.import_module(name) for name in HEAVY]
            gc.freeze()  # no fork looks at, and so copies, what is imported
        if not os.fork():
            _, streams, *_ = socket.recv_fds(asked, 1, 3)
            with asked.makefile("rb") as message:
                folder, arguments, env = json.loads(message.read())
            job = os.fork()
            if not job:
                _run(streams, folder, arguments, env)
            code = os.waitstatus_to_exitcode(os.waitpid(job, 0)[1])
            asked.sendall(str(code if code >= 0 else 128 - code).encode())
            os._exit(0)
        asked.close()
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:  # those that have answered
                pass


def _run(streams: list[int], folder: str, arguments: list[str], env: dict[str, str]) -> None:
    """Do what `python -m` does with these arguments, and end."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(env)
    sys.path = [folder, *env.get("PYTHONPATH", "").split(os.pathsep), *sys.path]
    sys.argv = arguments
    end_with(lambda: runpy.run_module(arguments[0], run_name="__main__", alter_sys=True))


def end_with(action: Callable[[], object]) -> NoReturn:
    """Do it and end this fork as Python ends, but without taking down all that was imported."""
    code = 0
    try:
        action()
    except SystemExit as ended:
        code = ended.code or 0
        if isinstance(code, str):
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
