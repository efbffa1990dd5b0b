"""A SLURM of two nodes on this machine with two GPUs each that are none, by Debian, as root."""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
SlurmdSpoolDir={folder}/spool.%n
StateSaveLocation={folder}/state
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 Port=17818 {node}
NodeName={host}x NodeAddr=127.0.0.1 Port=17819 {node}
PartitionName=main Nodes={host},{host}x Default=YES MaxTime=INFINITE State=UP
PartitionName=gpus Nodes={host},{host}x MaxTime=INFINITE State=UP
"""
NODE = "CPUs=4 RealMemory=4000 Gres=gpu:2 State=UNKNOWN"
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
    nodes = (host, f"{host}x")  # in this order, of which the first has an address
    for name in ("state", *(f"spool.{node}" for node in nodes)):
        (folder / name).mkdir(parents=True)
    config = CONFIG.format(host=host, folder=folder, node=NODE)
    files = {"slurm.conf": config, "gres.conf": GPUS}
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
        for node in nodes:  # each under a host name of its own
            start = f"hostname {node} && exec slurmd"
            subprocess.run(["unshare", "--uts", "sh", "-c", start], check=True, timeout=60)
        wait_for_idle()
        yield
    finally:
        for name in (*(f"slurmd.{node}" for node in nodes), "slurmctld", "munged"):
            with suppress(FileNotFoundError, ProcessLookupError):
                os.kill(int((folder / f"{name}.pid").read_text()), 15)
        for link in links:
            link.unlink()


def wait_for_idle() -> None:
    """Until both nodes take jobs."""
    for _ in range(60):
        if ask("sinfo", "--noheader", "--Node", "--partition=main", "--format=%T").split() == [
            "idle",
            "idle",
        ]:
            return
        time.sleep(1)
    raise AssertionError(ask("scontrol", "show", "node"))


def ask(*command: str) -> str:
    """What a command of SLURM prints."""
    return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout
