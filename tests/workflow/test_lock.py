"""Locks of a Snakemake that is gone are removed, those of one that is alive are not."""

import socket
import subprocess
import sys
from pathlib import Path

from workflow.lock import hold


def left_behind(folder: Path) -> Path:
    lock = folder / "locks/0.output.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("results/verdict.csv\n")
    return lock


def holder(folder: Path) -> subprocess.Popen:
    """Another process that holds the lock until its input is closed."""
    code = (
        "import sys; from pathlib import Path; from workflow.lock import hold\n"
        f"held = hold(Path({str(folder)!r})); print('held', flush=True); sys.stdin.read()"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", code], **pipes)
    assert process.stdout.readline() == "held\n"
    return process


def test_a_lock_that_nobody_alive_left_is_removed(tmp_path):
    lock = left_behind(tmp_path)
    assert hold(tmp_path) is not None and not lock.exists()


def test_the_lock_of_a_living_process_stays_and_goes_once_it_is_killed(tmp_path):
    other = holder(tmp_path)
    lock = left_behind(tmp_path)
    assert hold(tmp_path) is not None and lock.exists()
    other.kill()
    other.wait()
    assert hold(tmp_path) is not None and not lock.exists()


def test_a_damaged_lock_costs_nothing(tmp_path):
    tmp_path.joinpath("alive.lock").write_bytes(b"\xff\xfe")  # which is not UTF-8
    lock = left_behind(tmp_path)
    for _ in range(2):
        hold(tmp_path).close()
    assert not lock.exists()  # the second time this machine's name stands there


def test_locks_left_by_another_machine_are_not_ours_to_judge(tmp_path):
    lock = left_behind(tmp_path)
    (tmp_path / "alive.lock").write_text(f"not-{socket.gethostname()}")
    hold(tmp_path)
    assert lock.exists()
