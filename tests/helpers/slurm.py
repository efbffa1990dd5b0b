"""A SLURM of one node with two GPUs that are none, from what Debian packages, as root."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

DAEMONS = ("munged", "slurmctld", "slurmd")
SYSTEM = Path("/etc/slurm")  # where the commands inside a job look, whatever SLURM_CONF says
CONFIG = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort=17817
SlurmdPort=17818
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmdSpoolDir={folder}/spool
StateSaveLocation={folder}/state
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=4000 Gres=gpu:2 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
GPUS = "Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n"


def missing() -> str:
    """Why no SLURM can be started here; empty where one can."""
    if os.geteuid():
        return "starting SLURM's daemons needs root"
    if not all(map(shutil.which, DAEMONS)):
        return "needs slurmctld: apt-get install slurm-wlm munge"
    return "a SLURM is configured here" if (SYSTEM / "slurm.conf").exists() else ""


@contextmanager
def cluster(folder: Path) -> Iterator[None]:
    """Start the daemons, wait for the node; at the end stop them and leave no trace."""
    host = os.uname().nodename.split(".")[0]
    for name in ("spool", "state"):
        (folder / name).mkdir(parents=True)
    files = {"slurm.conf": CONFIG.format(host=host, folder=folder), "gres.conf": GPUS}
    links = []
    try:
        for name, content in files.items():
            (folder / name).write_text(content)
            (SYSTEM / name).symlink_to(folder / name)
            links.append(SYSTEM / name)
        (folder / "munge.key").write_bytes(os.urandom(1024))
        (folder / "munge.key").chmod(0o400)
        ways = {"key-file": "key", "socket": "socket", "log-file": "log", "seed-file": "seed"}
        own = [f"--{flag}={folder}/munge.{name}" for flag, name in ways.items()]
        subprocess.run(
            ["munged", "--force", f"--pid-file={folder}/munged.pid", *own], check=True, timeout=60
        )
        subprocess.run(["slurmctld"], check=True, timeout=60)
        subprocess.run(["slurmd", "-N", host], check=True, timeout=60)
        wait_for_idle()
        yield
    finally:
        for name in reversed(DAEMONS):
            if (pid := folder / f"{name}.pid").exists():
                os.kill(int(pid.read_text()), 15)
        for link in links:
            link.unlink()


def wait_for_idle() -> None:
    """Until the node takes jobs."""
    for _ in range(60):
        if "idle" in ask("sinfo", "--noheader", "--format=%T"):
            return
        time.sleep(1)
    raise AssertionError(ask("scontrol", "show", "node"))


def ask(*command: str) -> str:
    """What a command of SLURM prints."""
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
