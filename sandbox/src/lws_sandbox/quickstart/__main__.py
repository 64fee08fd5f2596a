"""``python -m lws_sandbox.quickstart``, which ``make run`` runs.

Until the command can end in order, which takes the second or two of its imports, Ctrl-C ends the process at once and
without a word.
"""

from __future__ import annotations

import signal
import sys

signal.signal(signal.SIGINT, signal.SIG_DFL)
sys.stdout.write("Starting a cluster, the controller and an example...\n")
sys.stdout.flush()

from lws_sandbox.quickstart.run import main  # noqa: E402

signal.signal(signal.SIGINT, signal.default_int_handler)
sys.exit(main())
