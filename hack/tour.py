"""Captures ``docs/tour.md``: the README's tour, run against a fresh ``make run``. Needs kubectl.

Usage: ``python -m hack.tour``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = ROOT / "docs" / "tour.md"
# Commands that people would wait for between two of the tour, by the command that they come before.
WAITS: Final = {
    "kubectl lws explain-stuck": "kubectl wait leaderworkerset vllm --for=jsonpath={.status.replicas}=5 --timeout=30s",
    "kubectl get events": "kubectl wait leaderworkerset vllm --for=condition=Progressing --timeout=30s",
    "kubectl describe": "kubectl wait leaderworkerset vllm --for=condition=Available --timeout=60s",
}
HEAD: Final = """# A tour, captured

What a terminal shows while `make run` runs in another one. First, in the folder of the clone:

```console
{setup}
```

Look, scale beyond what the cluster has, ask why, scale back, crash, and see the whole group come back:

```text
"""
TAIL: Final = """```

A crashed container takes its whole group along (`RecreateGroupOnPodRestart`), once. `lws-sandbox pod --help` and
`lws-sandbox node --help` list what else can go wrong; `kubectl lws explain-stuck vllm` names it.
"""


def tour() -> list[str]:
    """The commands of the README's tour."""
    text = (ROOT / "README.md").read_text()
    block = re.search(r"## A tour in .*?```console\n(.*?)```", text, re.DOTALL)
    assert block is not None, "README.md has no tour"
    return block[1].splitlines()


@contextmanager
def running(folder: Path) -> Iterator[Path]:
    """`make run` with the first example Ready; yields the kubeconfig."""
    kubeconfig = folder / "kubeconfig"
    command = [sys.executable, "-m", "lws_sandbox.quickstart", "--kubeconfig", str(kubeconfig)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("Ctrl-C"):
                break
        try:
            yield kubeconfig
        finally:
            process.terminate()
            process.wait(30)


def capture() -> str:
    """The page."""
    setup, *commands = tour()
    shown = []
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as kubeconfig:
        environment = {**os.environ, "KUBECONFIG": str(kubeconfig), "NO_COLOR": "1", "COLUMNS": "110"}
        for command in commands:
            for beginning, wait in WAITS.items():
                if command.startswith(beginning):
                    subprocess.run(wait, shell=True, env=environment, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
            done = subprocess.run(
                command, shell=True, env=environment, check=False, capture_output=True, text=True, cwd=ROOT
            )
            shown.append(f"$ {command}\n{_trimmed(command, done.stdout + done.stderr)}")
    return HEAD.format(setup=setup) + "\n".join(shown) + TAIL


def _trimmed(command: str, output: str) -> str:
    """Of a description its events only."""
    if command.startswith("kubectl describe"):
        return "…\n" + output[output.index("Events:") :]
    return output


if __name__ == "__main__":
    PAGE.write_text(capture())
