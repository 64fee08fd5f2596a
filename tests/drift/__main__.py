"""``python -m tests.drift [--real | record]``: what a server answers to our own requests differently.

Compares the sandbox, or with ``--real`` the server out of ``KUBEBUILDER_ASSETS``, with the recording. ``record`` makes
the recording anew out of what that server answers.
"""

from __future__ import annotations

import logging
import sys

import structlog

from lws_sandbox.real.binaries import find
from tests.drift.plain import differences
from tests.drift.telling import RECORDING, read, tell_real, tell_sandbox, write


def main(arguments: list[str]) -> int:
    """Record, or compare; returns 1 if something differs."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if arguments == ["record"]:
        write(tell_real(find()))
        print(f"recorded: {RECORDING}")  # noqa: T201
        return 0
    found = differences(read(), tell_real(find()) if arguments == ["--real"] else tell_sandbox())
    for line in found:
        print(line)  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
