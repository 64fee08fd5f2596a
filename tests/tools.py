"""Commands that tests run as users do: kubectl, and Helm."""

from __future__ import annotations

import os
import shutil

import pytest
from hack.control_plane import PARTNER_PROGRAMS

from lws_sandbox.real.binaries import VARIABLE


def need(name: str) -> str:
    """The path of a command, of the control plane in use rather than of the machine.

    Without it the test is skipped; in CI it fails where there is Go to build it, unless it is a partner's program,
    which CI does not build.
    """
    folders = os.pathsep.join(filter(None, (os.environ.get(VARIABLE), os.environ.get("PATH", os.defpath))))
    found = shutil.which(name, path=folders)
    if found is not None:
        return found
    partner = name in (each.name for each in PARTNER_PROGRAMS)
    builder = "make control-plane PARTNERS=1" if partner else "make control-plane"
    message = f"{name} is not in PATH: `{builder}` builds it where Go is, and prints its folder"
    if os.environ.get("CI") and shutil.which("go") and not partner:
        pytest.fail(message)
    pytest.skip(message)
