"""Commands that tests run as users do: kubectl, and Helm."""

from __future__ import annotations

import os
import shutil

import pytest

from lws_sandbox.real.binaries import VARIABLE


def need(name: str) -> str:
    """The path of a command, of the control plane in use rather than of the machine.

    Without it the test is skipped; in CI it fails where there is Go to build it.
    """
    folders = os.pathsep.join(filter(None, (os.environ.get(VARIABLE), os.environ.get("PATH", os.defpath))))
    found = shutil.which(name, path=folders)
    if found is not None:
        return found
    message = f"{name} is not in PATH: `make control-plane` builds it where Go is, and prints its folder"
    if os.environ.get("CI") and shutil.which("go"):
        pytest.fail(message)
    pytest.skip(message)
