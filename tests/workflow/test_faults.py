"""Whatever kills a training, the next plain `snakemake` finishes it, to the same bits.

Real processes, five kills before a run may end: two such sequences, `pytest -m faults` twenty.
"""

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from bitnet.common.tensors import load_tensors
from tests.helpers.project import ENVIRONMENT, SNAKEMAKE, call, copy_project, snakemake

TARGET, RUNS = "results/quick/h16_wd0.csv", ("h16", "h16_wd0")  # a trunk and its branch
STEPS, EVERY = 1000, 20  # a busy machine may be a hundred steps late with a kill
TINY = (TARGET, "--cores", "1", "--configfile", "tests/tiny.yaml")
TIMEOUT = 120  # seconds: a hang, not a slow machine
SEQUENCES, BY_DEFAULT = 20, 2

pytestmark = pytest.mark.slow
attempts = [
    pytest.param(i, marks=[pytest.mark.faults, *([pytest.mark.often] * (i >= BY_DEFAULT))])
    for i in range(SEQUENCES)
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> tuple[Path, bytes]:
    """A project whose data are made and nothing trained yet, and the table it must come to."""
    project = copy_project(tmp_path_factory.mktemp("faults") / "project")
    tiny = project / "tests/tiny.yaml"
    quick = {"steps": STEPS, "batch_size": 2, "sequence_length": 32}
    quick |= {"warmup_steps": 4, "evaluate_every": STEPS // 6, "evaluate_at": []}
    text, training = tiny.read_text(), f"training: {json.dumps(quick)}"
    longer = re.sub("training: {steps.*}", training, text, count=1)  # of quick, the first
    tiny.write_text(longer.replace("checkpoint_every: 7", f"checkpoint_every: {EVERY}"))
    snakemake(project, *TINY)
    table = (project / TARGET).read_bytes()
    for made in ("results", "models"):
        shutil.rmtree(project / made)
    return project, table


@pytest.fixture
def project(prepared, tmp_path) -> Path:
    return Path(shutil.copytree(prepared[0], tmp_path / "project"))


def start(project: Path) -> subprocess.Popen:
    """A Snakemake in a process group of its own, as a shell starts one."""
    with (project / "output.log").open("w") as output:
        return subprocess.Popen(
            [SNAKEMAKE, *TINY],
            cwd=project,
            env=ENVIRONMENT,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # ignored behind a `&`
        )


def wait_for(what: Callable[[], object], *running: subprocess.Popen) -> object:
    """What a condition gives once it holds, while one of the pipelines runs."""
    end = time.monotonic() + TIMEOUT
    while time.monotonic() < end:
        if found := what():
            return found
        time.sleep(0.005)
        assert any(p.poll() is None for p in running), "the pipeline ended too early"
    raise AssertionError("it did not happen in time")


def trainer(running: subprocess.Popen, run: str = "") -> psutil.Process | None:
    """The process that trains, if a run is named that of this run."""
    for child in psutil.Process(running.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            command = child.cmdline()
            if "workflow.scripts.train" in command and command[-1].endswith(f"{run}.train.log"):
                return child
    return None


def half_written(project: Path) -> bool:
    return any(project.glob("models/**/.*.state.*"))


def state_of(project: Path) -> Path | None:
    return next(project.glob("models/**/*.state"), None)


def interrupt(running: subprocess.Popen, _) -> None:
    """Ctrl-C: the terminal sends it to the whole process group."""
    os.killpg(running.pid, signal.SIGINT)


def terminate(running: subprocess.Popen, victim: psutil.Process) -> None:
    """What `timeout`, a batch system or a shutdown sends to all."""
    os.killpg(running.pid, signal.SIGTERM)


def kill_trainer(running: subprocess.Popen, victim: psutil.Process) -> None:
    """kill -9, or the kernel out of memory."""
    victim.kill()


def kill_snakemake(running: subprocess.Popen, _) -> None:
    """kill -9 of the pipeline alone: its trainer goes on, orphaned."""
    running.kill()


def kill_while_saving(running: subprocess.Popen, victim: psutil.Process) -> None:
    """kill -9 with a checkpoint half written."""
    project = Path(victim.cwd())
    victim.suspend()
    while not half_written(project):  # looked at while it stands: a busy machine hides no moment
        victim.resume()
        assert running.poll() is None, "the pipeline ended too early"
        time.sleep(0.002)
        victim.suspend()
    victim.kill()


KINDS = [interrupt, terminate, kill_trainer, kill_snakemake, kill_while_saving]


def kills_of(attempt: int) -> list[tuple[str, Callable]]:
    """Kills, one after the other: of which run, how. An orphan ends its run: that comes last.

    Two attempts together have every kind in the trunk and in the branch.
    """
    chance, halves = random.Random(attempt // 2), [KINDS[:3], KINDS[3:]]
    drawn = [chance.sample(half, len(half)) for half in halves[:: (-1) ** attempt]]
    ordered = [sorted(half, key=lambda kind: kind is kill_snakemake) for half in drawn]
    return [(run, kind) for run, half in zip(RUNS, ordered, strict=True) for kind in half]


def kill(project: Path, run: str, kind: Callable, late: bool, pause: float) -> tuple | None:
    """Start the pipeline, kill it `pause` seconds later; whose checkpoint it leaves, of which step.

    late: that many seconds after a checkpoint of that run.
    """
    state = project / f"models/quick/{run}.state"
    before = state.stat().st_mtime_ns if state.exists() else None
    running = start(project)
    victim = wait_for(lambda: trainer(running, f"/{run}" if late else ""), running)
    if late:
        wait_for(lambda: state.exists() and state.stat().st_mtime_ns != before, running)
    time.sleep(pause)
    with contextlib.suppress(psutil.NoSuchProcess):
        kind(running, victim)
    running.wait(TIMEOUT)
    if kind is kill_snakemake:
        return None  # its trainer goes on
    psutil.wait_procs([victim], TIMEOUT)
    found = state_of(project)
    return found and (found.stem, int(load_tensors(found)[0]["step"]))


def assert_resumed(project: Path, saved: tuple[str, int] | None, must: bool) -> None:
    """A run went on from its checkpoint, if it had got to that at all, as it `must`."""
    if saved:
        run, step = saved
        log = project / f"logs/quick/{run}.train.log"
        found = re.search(r"resumed at step (\d+)", log.read_text() if log.exists() else "")
        assert int(found[1]) == step if found else not must


@pytest.mark.parametrize("attempt", attempts)
def test_after_any_kills_the_next_snakemake_ends_in_the_same_bits(prepared, project, attempt):
    chance, late, saved = random.Random(f"moments {attempt}"), attempt % 4 < 2, None
    for run, kind in kills_of(attempt):
        left = kill(project, run, kind, late, chance.uniform(0, 0.1 if late else 2))
        assert_resumed(project, saved, must=late)
        saved = left
    snakemake(project, *TINY)
    assert_resumed(project, saved, must=True)
    assert (project / TARGET).read_bytes() == prepared[1]
    left = {path.suffix for path in project.glob("models/**/*") if path.is_file()}
    assert left == {".safetensors", ".lock"}, left  # no state, nothing half written


def orphan(project: Path, running: subprocess.Popen, run: str) -> psutil.Process:
    """Kill a pipeline when it trains a run; its trainer, which stands still."""
    victim = wait_for(lambda: trainer(running, f"/{run}"), running)
    wait_for((project / f"models/quick/{run}.state").exists, running)
    victim.suspend()
    running.kill()
    running.wait()
    return victim


def test_an_orphaned_trainer_is_waited_for_and_what_it_made_is_kept(project, prepared):
    trunk, branch = RUNS
    victim = orphan(project, start(project), trunk)
    again, output = start(project), project / "output.log"
    wait_for(lambda: "waiting for it" in output.read_text(), again)
    victim.resume()
    victim = orphan(project, again, branch)
    victim.resume()
    victim.wait(TIMEOUT)  # this one ends before the next pipeline starts
    snakemake(project, *TINY)
    for run, end in ((trunk, STEPS // 2), (branch, STEPS)):
        log = (project / f"logs/quick/{run}.train.log").read_text()
        assert f"resumed at step {end}, trained on cpu" in log
    assert (project / TARGET).read_bytes() == prepared[1]


def test_snakemakes_at_once_do_no_harm_and_the_lock_of_one_that_is_alive_is_kept(project, prepared):
    both = [start(project), start(project)]
    wait_for(lambda: any(p.poll() is None and trainer(p) for p in both), *both)
    third = call(project, SNAKEMAKE, *TINY)
    assert third.returncode != 0 and "locked" in third.stderr
    if [process.wait(TIMEOUT) for process in both] != [0, 0]:  # one found the folder locked
        snakemake(project, *TINY)
    assert (project / TARGET).read_bytes() == prepared[1]


@contextlib.contextmanager
def mounted(folder: Path, *options: str) -> Iterator[None]:
    """A file system on a folder; skips the test where mounting is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    if shutil.which("mount") is None or call(folder, "mount", *options, str(folder)).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        yield
    finally:
        call(folder.parent, "umount", "-l", str(folder))


def test_a_full_disk_ends_in_one_line_with_the_last_checkpoint_intact(project, prepared):
    with mounted(project / "models", "-t", "tmpfs", "-o", "size=4m", "tmpfs"):
        running = start(project)
        state = project / "models/quick/h16.state"
        wait_for(state.exists, running)
        filler = project / "models/filler"
        with pytest.raises(OSError), filler.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1024))
        assert running.wait(TIMEOUT) != 0
        output = (project / "output.log").read_text()
        [line] = {line for line in output.splitlines() if line.startswith("error: ")}
        assert "No space left" in line and output.rstrip().endswith(line), output
        assert "Traceback" not in output
        saved = int(load_tensors(state)[0]["step"])
        filler.unlink()
        snakemake(project, *TINY)
        resumed = (project / "logs/quick/h16.train.log").read_text()
        assert f"resumed at step {saved}" in resumed
    assert (project / TARGET).read_bytes() == prepared[1]


@pytest.mark.parametrize("name", ["results", "models", "results/quick"])
def test_a_folder_that_cannot_be_written_is_named_before_anything_runs(project, name):
    with mounted(project / name, "-t", "tmpfs", "-o", "ro", "tmpfs"):
        done = call(project, SNAKEMAKE, *TINY)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    line = done.stderr.strip().splitlines()[-1]
    assert line == f"error: the folder {name} cannot be written; allowed: one you may write to"
    assert not (project / "models/quick").exists()


def test_trainings_at_once_on_one_device_and_on_two_give_the_bits_of_one_after_the_other(
    prepared, tmp_path
):
    found = []
    for name, more in (("one", 1), ("four", 4)):
        project = Path(shutil.copytree(prepared[0], tmp_path / name))
        tiny = project / "tests/tiny.yaml"
        devices = {1: "cpu", 4: "cpu,cpu"}[more]
        short = tiny.read_text().replace(f'"steps": {STEPS}', '"steps": 100')
        short = short.replace(f'"evaluate_every": {STEPS // 6}', '"evaluate_every": 16')
        tiny.write_text(short.replace("  gpu: 0", f"  gpu: 1\n  device: {devices}"))
        trunks = [f"models/quick/h16{optimizer}.safetensors" for optimizer in ("", "_adamw")]
        limits = ("--cores", str(more), "--resources", f"gpu={more}")
        snakemake(project, *trunks, "--configfile", "tests/tiny.yaml", *limits)
        seen = [trunk.replace(".safe", ".observations.safe") for trunk in trunks]
        arrays = [load_tensors(project / path)[0] for path in (*trunks, *seen)]
        found.append([{name: a.tobytes() for name, a in one.items()} for one in arrays])
    assert found[0] == found[1]
