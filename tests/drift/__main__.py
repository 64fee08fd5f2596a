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
from tests.drift.telling import RECORDING, RELEASE, expected, tell_real, tell_sandbox, write


def main(arguments: list[str]) -> int:
    """Record, or compare; returns 1 if something differs."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    if arguments == ["record"]:
        real = find()
        if real.release() != RELEASE:
            print(f"the recording is of {RELEASE}, not of {real.release()}")  # noqa: T201
            return 1
        write(tell_real(real))
        print(f"recorded: {RECORDING}")  # noqa: T201
        return 0
    binaries = find() if arguments == ["--real"] else None
    release = RELEASE if binaries is None else binaries.release()
    found = differences(expected(release), tell_sandbox() if binaries is None else tell_real(binaries))
    for line in found:
        print(line)  # noqa: T201
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
