"""All processes of a training end when one of them does, and one line says why."""

import re
import signal
import subprocess
import sys
import time

import psutil
import pytest
import torch.distributed as dist

from bitnet.monitoring.together import AGAIN, Board, _is_lost
from tests.helpers.project import ENVIRONMENT, ROOT

SOON = 30  # seconds


def start(way: str) -> subprocess.Popen:
    """Two processes of which rank 1 fails that way, while rank 0 waits as if in NCCL."""
    command = [sys.executable, "-m", "workflow.helpers.launch", "--nproc-per-node", "2"]
    return subprocess.Popen(
        [*command, "-m", "--", "tests.helpers.ranks", way],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(run: subprocess.Popen) -> list[str]:
    """The lines on the error stream of a run that ends soon after rank 0 has begun to wait."""
    run.stdout.readline()
    began = time.monotonic()
    _, said = run.communicate(timeout=60)
    assert run.returncode and time.monotonic() - began < SOON
    return said.splitlines()


def test_an_error_of_one_process_ends_the_one_that_waits_for_it_and_is_said_once():
    assert ended(start("refused")) == ["error: batch_size is 3; allowed: 4"]


@pytest.mark.often
def test_a_fault_of_the_code_has_its_traceback_and_its_line_last():
    said = ended(start("fault"))
    assert said[-1] == "error: shape of a tensor"
    assert sum("Traceback" in line for line in said) == 1


@pytest.mark.often
def test_a_process_that_is_killed_is_named_by_its_launcher():
    (line,) = ended(start("killed"))
    assert re.fullmatch(rf"error: process 1 was ended by SIGKILL on \S+; {AGAIN}", line)


@pytest.mark.often
def test_what_all_processes_refuse_is_said_once():
    run = start("all")
    assert run.communicate(timeout=120)[1] == "error: vocab_size is 1; allowed: 4\n"
    assert run.returncode == 1


def test_processes_end_with_a_launcher_that_is_killed():
    run = start("sleep")
    pids = [int(run.stdout.readline().split()[1]) for _ in range(2)]
    run.kill()
    began = time.monotonic()
    while any(map(psutil.pid_exists, pids)) and time.monotonic() - began < SOON:
        time.sleep(0.1)
    assert not any(map(psutil.pid_exists, pids))
    assert run.stderr.read() == f"error: the launcher of this training was killed; {AGAIN}\n"


@pytest.mark.often
def test_ctrl_c_and_a_time_limit_end_all_with_one_line():
    for number in (signal.SIGINT, signal.SIGTERM):
        run = start("sleep")
        for _ in range(2):
            run.stdout.readline()
        run.send_signal(number)
        _, said = run.communicate(timeout=SOON)
        assert said == "interrupted; the same command goes on\n" and run.returncode == 1


def test_the_first_line_counts():
    store = dist.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    one, other = (Board(f"127.0.0.1:{store.port}") for _ in range(2))
    assert other.line() is None
    assert one.take("first") and not other.take("second") and not one.take("third")
    assert one.line() == other.line() == "first"


@pytest.mark.parametrize(
    ("error", "lost"),
    [
        (RuntimeError("[../gloo/transport/tcp/pair.cc:547] Connection closed by peer"), True),
        (dist.DistBackendError("NCCL error: remote process exited"), True),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), False),
        (ValueError("Connection reset is 3; allowed: 4"), False),
    ],
)
def test_what_others_do_is_told_from_an_own_fault(error, lost):
    assert _is_lost(error) is lost
