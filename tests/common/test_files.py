"""Files are written whole or not at all, and neither a kill nor a full disk leaves more."""

import os
import resource
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest

from bitnet.common.files import date_now, whole_file, write_text
from bitnet.common.tensors import load_tensors, save_tensors
from bitnet.common.visible import visible
from tests.helpers.project import ROOT

LIMIT = 100_000  # bytes of a file


@contextmanager
def little_room():
    """No file may grow beyond LIMIT; more is an error as of a full disk: it names no file."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


KILLED = f"""
import resource, signal, sys
import numpy as np
from bitnet.common.tensors import save_tensors
signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, ({LIMIT}, {LIMIT}))
save_tensors(sys.argv[1], {{"a": np.zeros({LIMIT})}}, {{}})
"""


def test_what_a_kill_leaves_of_a_checkpoint_goes_with_the_next_one(tmp_path):
    # Kind of fault: a library that writes to a temporary file with a name of its own
    path = tmp_path / "h16.state"
    save_tensors(path, {"a": np.ones(3)}, {"step": 1})
    before = path.read_bytes()
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGXFSZ and path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) > 1
    save_tensors(path, {"a": np.ones(4)}, {"step": 2})
    assert list(tmp_path.iterdir()) == [path] and load_tensors(path)[1] == {"step": 2}


def test_a_full_disk_names_the_file_and_leaves_the_old_one(tmp_path):
    path = tmp_path / "a.md"
    path.write_text("old")
    with little_room(), pytest.raises(OSError, match=r"a\.md"):
        write_text(path, "new" * LIMIT)
    with little_room(), pytest.raises(OSError, match=r"a\.md"), whole_file(path) as beside:
        beside.write_bytes(bytes(2 * LIMIT))
    with little_room(), pytest.raises(OSError, match=r"b\.state"):
        save_tensors(tmp_path / "b.state", {"a": np.zeros(LIMIT)}, {})
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_files_of_the_future_are_dated_now_and_others_left(tmp_path):
    now = time.time()
    for name, date in (("old", now - 100), ("early", now + 7200)):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (date, date))
    old, early, absent = (str(tmp_path / name) for name in ("old", "early", "absent"))
    assert date_now([old, early, absent, str(tmp_path)]) == [early]
    assert os.path.getmtime(old) == pytest.approx(now - 100)
    assert now - 1 <= os.path.getmtime(early) <= time.time()


def test_markdown_holds_no_control_characters(tmp_path):
    raw = "".join(map(chr, range(160))) + "\u00e9\u200d\U0001f600"
    for name in ("a.md", "a.csv"):
        write_text(tmp_path / name, raw)
    text = (tmp_path / "a.md").read_bytes().decode()
    assert text == visible(raw)
    assert {c for c in text if not c.isprintable()} <= {"\n", "\t", "\xa0", "\u200d"}
    assert r"\x1b" in text and r"\x9b" in text and text.endswith(raw[-3:])
    assert (tmp_path / "a.csv").read_bytes().decode() == raw
