"""The ``kubectl-lws`` command, from its first moment.

Until it can end in order, Ctrl-C ends the process at once and without a word: half of a short command is imports, of
which Python would print a traceback.
"""

from __future__ import annotations

import signal
import sys

signal.signal(signal.SIGINT, signal.SIG_DFL)


def main() -> int:
    """Run the command."""
    from lws.cli.kubectl.main import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
