"""Runs the tests of this folder on a real node, in namespaces of their own.

    python -m tests.node [arguments of pytest]

Everything that the node starts shares one network, mount and process namespace, so that its bridges, rules and mounts
are none of the machine's, and ends with them. What must come from a package index is fetched before.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.node.machine import FOLDER, IMAGES, NEEDED, PACKAGES, missing

ROOT = Path(__file__).parents[2]


def main(arguments: list[str]) -> int:
    """Enter the namespaces and run pytest there; the exit code is pytest's, 0 if this machine lacks something."""
    if os.environ.get(FOLDER):
        return _first_process([sys.executable, "-m", "pytest", "-m", "node", "tests/node", *arguments])
    lacking = missing()
    if lacking:
        sys.stdout.write(f"No real node here: {lacking}. Debian's packages are {' '.join(PACKAGES)}.\n")
        return 0
    folder = tempfile.mkdtemp(prefix="lws-node-", dir="/var/tmp")  # unix sockets need a short path
    try:
        _lay_out_image(Path(folder))
        inside = [*NEEDED["unshare"], sys.executable, "-m", "tests.node", *arguments]
        return subprocess.run(inside, check=False, cwd=ROOT, env={**os.environ, FOLDER: folder}).returncode
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _lay_out_image(folder: Path) -> None:
    """The Containerfile's steps, in a folder."""
    packages = folder / "packages"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check"]
    install += ["--require-hashes", "--only-binary", ":all:", "--target", str(packages)]
    subprocess.run([*install, "-r", str(ROOT / "requirements.lock")], check=True)
    lay_out = [sys.executable, str(ROOT / "hack/rootfs.py"), str(folder / IMAGES)]
    lay_out += ["--packages", str(packages), "--source", str(ROOT / "src/lws")]
    subprocess.run(lay_out, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": "0"})


def _first_process(command: list[str]) -> int:
    """Run a command and bury, as the first process of a namespace must, whatever loses its parent meanwhile."""
    main_process = subprocess.Popen(command, cwd=ROOT)
    while True:
        ended, status = os.wait()
        if ended == main_process.pid:
            return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
