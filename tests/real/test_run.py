"""``make run`` on a real control plane, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.real.conftest import LIMIT, need_binaries


@pytest.mark.real
@pytest.mark.timeout(LIMIT)
def test_the_first_example_comes_up_with_one_command(tmp_path: Path) -> None:
    """With ``ONCE=1`` it ends with 0 when all is Ready, and leaves neither a process nor the kubeconfig behind."""
    need_binaries()
    command = [
        sys.executable,
        "-m",
        "lws_sandbox.quickstart",
        "--control-plane",
        "real",
        "--kubeconfig",
        str(tmp_path / "config"),
    ]
    environment = {**os.environ, "ONCE": "1", "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert "leaderworkerset/vllm: 2/2 groups ready, Available" in done.stdout
    assert "everything is Ready after" in done.stdout
    assert not (tmp_path / "config").exists()
    assert list(tmp_path.glob("lws-control-plane-*")) == []
