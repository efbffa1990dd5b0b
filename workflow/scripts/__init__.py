"""The steps of the pipeline, a script each; python -m runs one."""

import signal
import sys

# A script is imported for seconds (torch). A Ctrl-C in that time ends it without a traceback; from
# then on `workflow.helpers.cli.run` answers it. While Python looks for a module, it is named "-m".
if sys.argv[0] == "-m" and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
