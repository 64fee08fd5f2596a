"""The commands that ``make run`` prints work where people paste them: in a new shell, in any folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import LIMIT, ROOT
from tests.tools import need

PACKAGES = os.pathsep.join(path for path in sys.path if path)  # of the environment that runs the tests
WAITS = "explain-stuck"  # exits with 1 while the set waits for something


@pytest.fixture(scope="module")
def hints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """What a run of another example than the first prints, while it goes on."""
    folder = tmp_path_factory.mktemp("run with spaces")
    python = folder / "venv" / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder / "venv")], check=True, timeout=LIMIT)
    environment = {key: value for key, value in os.environ.items() if key not in ("ONCE", "KUBECONFIG")}
    environment["PYTHONPATH"] = PACKAGES
    linking = [str(python), "hack/link_checkout.py", ".", "sandbox"]
    subprocess.run(linking, cwd=ROOT, env=environment, check=True, timeout=LIMIT)
    command = [str(python), "-m", "lws_sandbox.quickstart", str(ROOT / "examples" / "02-minimal.yaml")]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith("Ctrl-C"):
                break
        try:
            yield lines[[line.startswith("The cluster is at") for line in lines].index(True) :]
        finally:
            process.terminate()
            process.wait(LIMIT)


@pytest.mark.long
def test_every_hint_works_in_a_new_shell_in_another_folder(hints: list[str], tmp_path: Path) -> None:
    """Two lines set the shell up, with absolute paths; every other one is a command that succeeds there."""
    kubectl = Path(need("kubectl")).parent
    lines = [line.strip() for line in hints if line.startswith("  ")]
    setup, commands = lines[:2], lines[2:]
    assert [line.split("=")[0] for line in setup] == ["export KUBECONFIG", "export PATH"]
    assert any(line.startswith("lws-sandbox pod crash") for line in commands)
    environment = {"HOME": str(tmp_path), "PATH": f"{kubectl}:/usr/bin:/bin", "PYTHONPATH": PACKAGES}
    shell = shutil.which("sh") or "sh"
    for command in commands:
        script = "\n".join([*setup, command])
        done = subprocess.run(
            [shell, "-c", script],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=LIMIT,
            check=False,
        )
        told = f"{command}: {done.stdout}{done.stderr}"
        assert done.returncode == 0 or (WAITS in command and done.stdout and not done.stderr), told
