"""Captures the terminals of ``docs/tutorials/`` and of the page of the plugin's output.

Every ``$ command`` of a page is run on a sandbox with its manifest.

Usage: ``python -m hack.tutorials``. Needs kubectl. A page names its manifest in the ``make run ARGS=…`` that a reader
starts with; what its commands print replaces what stands below them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PAGES: Final = ROOT / "docs" / "tutorials"
PLUGIN: Final = ROOT / "docs" / "kubectl-lws-output.md"
ANSWERS: Final = 1  # exit code of the plugin for what waits, differs or would be refused
PROMPT: Final = "$ "
UP: Final = "everything is Ready"
_START: Final = re.compile(r"^make run ARGS=(\S+)$", re.MULTILINE)
_TERMINAL: Final = re.compile(r"(?<=```text\n)\$ .*?(?=```)", re.DOTALL)


def manifest(page: str) -> Path:
    """The manifest that a page starts with.

    Raises:
        ValueError: it names none.
    """
    found = _START.search(page)
    if found is None:
        raise ValueError("the page has no `make run ARGS=…`")
    return ROOT / found[1]


def captured(page: str, run: Callable[[str], str]) -> str:
    """The page with what ``run`` says that each of its commands prints."""

    def terminal(found: re.Match[str]) -> str:
        commands = [line for line in found[0].splitlines() if line.startswith(PROMPT)]
        return "\n".join(f"{line}\n{run(line.removeprefix(PROMPT))}" for line in commands)

    return _TERMINAL.sub(terminal, page)


@contextmanager
def sandbox(path: Path) -> Iterator[Callable[[str], str]]:
    """A sandbox where everything of a manifest is Ready; yields what runs a command line beside it.

    Raises:
        RuntimeError: it does not come up.
    """
    with tempfile.TemporaryDirectory() as folder:
        kubeconfig = Path(folder) / "kubeconfig"
        command = [sys.executable, "-m", "lws_sandbox.quickstart", "--kubeconfig", str(kubeconfig), str(path)]
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "NO_COLOR": "1", "COLUMNS": "110"}

        def run(line: str) -> str:
            shell = ["bash", "-c", line]
            done = subprocess.run(shell, env=environment, check=False, capture_output=True, text=True, cwd=ROOT)
            if done.returncode > (ANSWERS if line.startswith("kubectl lws ") else 0):
                raise RuntimeError(f"{line}: {done.stdout}{done.stderr}")
            return done.stdout + done.stderr

        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
            assert process.stdout is not None
            try:
                if not any(line.startswith(UP) for line in process.stdout):
                    raise RuntimeError(f"{path.name} did not come up")
                yield run
            finally:
                process.terminate()
                process.wait(30)


def main() -> None:
    """Capture every page."""
    for path in (*sorted(PAGES.glob("*.md")), PLUGIN):
        page = path.read_text()
        with sandbox(manifest(page)) as run:
            path.write_text(captured(page, run))


if __name__ == "__main__":
    main()
