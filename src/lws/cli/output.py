"""Commands whose output cannot be written, as on a full disk."""

from __future__ import annotations

import os
import sys


def cannot_be_written(command: str, error: OSError) -> int:
    """Say so on standard error, and discard whatever is still buffered; returns the exit code."""
    sys.stderr.write(f"{command}: the output cannot be written: {error.strerror or error}\n")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1
