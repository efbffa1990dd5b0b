"""A training of several processes that does nothing but fail, in the way that its argument names.

Rank 0 sleeps as a process does that waits in NCCL: no error of another one wakes it.
"""

import os
import signal
import sys
import time

from bitnet.monitoring.together import together
from bitnet.training.distributed import launched
from workflow.helpers.cli import run


def main() -> None:
    """Fail on rank 1 (or in all)."""
    way, ranks = sys.argv[1], launched()
    if way == "all":
        raise ValueError("vocab_size is 1; allowed: 4")
    if ranks.first or way == "sleep":
        print("sleeping", os.getpid(), flush=True)
        time.sleep(600)
    if way == "fault":
        raise RuntimeError("shape of a\ntensor")
    if way == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    if way == "refused":
        raise ValueError("batch_size is 3; allowed: 4")


if __name__ == "__main__":
    with together(launched()):
        run(main)
