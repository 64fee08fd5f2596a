"""What happens when what a command prints cannot be written."""

from __future__ import annotations

import os
import sys


def cannot_be_written(command: str, error: OSError) -> int:
    """Say that standard output takes no more, and have nobody try it again; the exit code."""
    sys.stderr.write(f"{command}: the output cannot be written: {error.strerror or error}\n")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1
