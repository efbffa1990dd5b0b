# Reads and checks config.yaml and studies/; functions that all rules use. Nothing here imports torch or pandas.
import json
import os
import shlex
import shutil
import sys
import tempfile
from pathlib import Path

ROOT = Path(workflow.basedir)
sys.path.insert(0, str(ROOT))

from bitnet.common.errors import refuse
from bitnet.common.files import date_now, read_json
from bitnet.config import budget, run_names
from bitnet.config.load import read_project
from bitnet.config.recipe import Recipe
from bitnet.config.study import OVER_STEPS, TRAINED, Study
from bitnet.data import corpora, parts
from workflow.helpers import cuda, ending, screen
from workflow.helpers.cli import printable
from workflow.helpers.stamps import take_out
from workflow.helpers.strays import strays
from workflow.provenance import fingerprint, records

printable(sys.stdout)
if (
    workflow.is_main_process
):  # first of all, for a Ctrl-C that comes early; what it calls, comes below
    _ending = ending.Ending(
        unknown=lambda target: unknown_target(workflow, target),
        planned=lambda table: planned(workflow, table),
        finished=lambda: ([] if workflow.dryrun else [screen.fitted(answer(workflow, brief=True))]),
    )
    _asked = workflow.output_settings
    HIDDEN = not (_asked.verbose or _asked.printshellcmds or _asked.quiet)
    if HIDDEN:
        screen.hide_blocks()
    SCREEN = screen.Screen(interrupted=lambda: _ending.interrupted)

# Any --directory and an environment that is not activated work: jobs find this Python first.
_BIN, _ROOT = (shlex.quote(str(path)) for path in (Path(sys.executable).parent, ROOT))
_BEFORE = f"set -euo pipefail; export PATH={_BIN}:$PATH PYTHONPATH={_ROOT}; "
shell.prefix(_BEFORE.replace("{", "{{").replace("}", "}}"))  # which Snakemake formats

# Not by Snakemake, which would take the last of two equal keys and obey __use_yte__.
try:
    CONFIG = read_project(
        ROOT,
        overrides=workflow.overwrite_configfiles,
        changes=workflow.config_settings.config,
    )
except ValueError as _error:
    sys.exit(str(_error))


wildcard_constraints:
    scope=r"([a-z][a-z0-9_]*(@[a-z][a-z0-9_]*)?/)?",
    run=run_names.RUN,
    trunk=run_names.TRUNK,
    corpus=r"[a-z][a-z0-9_]*",
    tokenizer=r"[^/]+",
    length=r"\d+",
    split=r"train|validation",
    ledger=r"[a-z][a-z0-9_]*",


def check_writable(*folders):
    """End in one line, before hours of training, where what is trained could not be written."""
    for folder in folders:
        there = next(path for path in (Path(folder), *Path(folder).parents) if path.exists())
        if not os.access(there, os.W_OK):
            sys.exit(f"error: the folder {folder} cannot be written; allowed: one you may write to")


def check_temporary():
    """End in one line where no file can be made in the folder that the environment names."""
    name = next((name for name in ("TMPDIR", "TEMP", "TMP") if os.environ.get(name)), None)
    try:
        tempfile.TemporaryFile(dir=name and os.environ[name]).close()
    except OSError as error:
        why = f"a folder that can be written to ({error.strerror})"
        sys.exit(f"error: {refuse(name or 'TMPDIR', os.environ.get(name or 'TMPDIR'), why)}")


for _stray in strays("data", "models", "results", "logs") if workflow.is_main_process else ():
    sys.exit(f"error: {_stray}")

if workflow.is_main_process and not workflow.dryrun:
    check_temporary()
    check_writable("data", "models", "results", "logs", ".snakemake")


def refused(function, *arguments):
    """Call; what it refuses ends the pipeline in one line."""
    try:
        return function(*arguments)
    except ValueError as error:
        sys.exit(f"error: {error}")


def has_cuda():
    """Whether there is a CUDA device, asked without torch."""
    return shutil.which("nvidia-smi") is not None


def chosen_study():
    """What `all` builds."""
    if config["study"] != "auto":
        return config["study"]
    return config["main_study"] if has_cuda() or "quick" not in config["studies"] else "quick"


def canonical(block):
    """A block of the config as one string that a rule can be judged by."""
    return json.dumps(block, sort_keys=True)


def code(script, source=None):
    """Fingerprint of a script, for text of one kind of source if it reads many."""
    return refused(fingerprint.script_fingerprint, ROOT, script, source)
