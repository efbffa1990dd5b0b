"""Launch the processes of one training on this machine: torchrun, of whose ends one line is seen.

    python -m workflow.helpers.launch --nproc-per-node 2 -m -- MODULE ...
    srun --ntasks-per-node=1 python -m workflow.helpers.launch --nproc-per-node 4 -m -- MODULE ...

Its flags are torchrun's, its rendezvous always of the kind c10d. In a step of SLURM over several
nodes it finds them by itself; elsewhere give --nnodes and --rdzv-endpoint HEAD:PORT on each.
"""

import argparse
import logging
import os
import signal
import socket
import subprocess
import sys
from datetime import timedelta

os.environ["TORCH_CPP_LOG_LEVEL"] = "FATAL"  # read when torch is imported

import torch.distributed as dist
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, parse_min_max_nnodes, run

from bitnet.common.errors import ERROR, refuse
from bitnet.monitoring.together import AGAIN, BOARD, Board

PORT = 29_400  # as torchrun's, where the endpoint names none
PORTS = range(20_000, 30_000)  # of the head node; a job of SLURM takes one by its number
JOIN = timedelta(minutes=5)  # for the first machine to be there
TOGETHER = 10.0  # seconds that launchers wait for each other, so that all see the line


def main(argv: list[str] | None = None) -> int:
    """Launch and wait; returns the exit code."""
    args = parse_args(argv)
    logging.disable(logging.CRITICAL)  # torch's words on the end of a process
    os.environ["TORCH_CPP_LOG_LEVEL"] = "ERROR"  # of the processes of the training
    if int(os.environ.get("SLURM_STEP_NUM_NODES", 1)) > 1 and not args.rdzv_endpoint:
        take_nodes_of_slurm(args)
    nodes, _ = parse_min_max_nnodes(args.nnodes)
    if nodes > 1 and not args.rdzv_endpoint:
        return say(f"{ERROR} {refuse('nnodes', nodes, '1 without srun or --rdzv-endpoint')}")
    host, _, port = (args.rdzv_endpoint or "127.0.0.1:0").partition(":")
    store = held(host, int(port or PORT))  # longer than torchrun would: all see the last line
    address = f"{host}:{store.port if store else port or PORT}"
    args.standalone, args.rdzv_backend = False, "c10d"
    args.rdzv_endpoint, args.rdzv_conf = address, "is_host=0"
    os.environ[BOARD] = address
    try:
        board = Board(address, JOIN)
    except (RuntimeError, ValueError):
        return say(f"{ERROR} no launcher answers at {address}, the first of {nodes} machines")
    try:
        run(args)
        return 0
    except (SignalException, KeyboardInterrupt):
        line = "interrupted; the same command goes on"
    except ChildFailedError as error:
        line = of_killed(error)
    except Exception as error:  # the other machines did not come, or the first one is gone
        line = f"{ERROR} {' '.join(str(error).split())}"
    try:
        if line and board.take(line):
            say(line)
        if nodes > 1:
            board.gathered(nodes, TOGETHER)
    except RuntimeError:  # the store is gone, of which the processes here have said a line
        pass
    return 1


def say(line: str) -> int:
    """Print the last line; returns the exit code."""
    print(line, file=sys.stderr, flush=True)
    return 1


def held(host: str, port: int) -> dist.TCPStore | None:
    """A store at that port, where the host is this machine and no other launcher has it."""
    try:
        for family, _, _, _, address in socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM):
            with socket.socket(family) as probe:
                probe.bind(address)
        return dist.TCPStore(host, port, is_master=True, wait_for_workers=False)
    except (OSError, RuntimeError):
        return None


def take_nodes_of_slurm(args: argparse.Namespace) -> None:
    """Set the flags of a rendezvous of the nodes of this step of SLURM, at its first one."""
    of = os.environ
    args.nnodes, args.rdzv_id = of["SLURM_STEP_NUM_NODES"], of["SLURM_JOB_ID"]
    shown = subprocess.run(
        ["scontrol", "show", "hostnames", of["SLURM_STEP_NODELIST"]],
        check=True,
        capture_output=True,
        encoding="utf-8",
    )
    port = PORTS[int(of["SLURM_JOB_ID"]) % len(PORTS)]
    args.rdzv_endpoint = f"{shown.stdout.split()[0]}:{port}"


def of_killed(error: ChildFailedError) -> str | None:
    """The line on a process that was killed; None where one has ended by itself and said why."""
    if any(failure.exitcode > 0 for failure in error.failures.values()):
        return None
    rank, failure = error.get_first_failure()
    name = signal.Signals(-failure.exitcode).name
    return f"{ERROR} process {rank} was ended by {name} on {os.uname().nodename}; {AGAIN}"


if __name__ == "__main__":
    sys.exit(main())
