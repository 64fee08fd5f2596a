"""The whole operator under virtual time gives the same trace for the same seed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def trace(seed: int, hash_seed: int) -> subprocess.Popen[str]:
    """A simulation in a process of its own, whose hashes of strings are its own too."""
    return subprocess.Popen(
        [sys.executable, "-m", "tests.manager.trace", str(seed)],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": str(hash_seed)},
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.long
def test_the_same_seed_gives_the_same_trace() -> None:
    """Every write, its time and its bytes are the same in another process with other hashes."""
    processes = [trace(1, 11), trace(1, 22)]
    first, again = (process.communicate(timeout=100)[0].strip() for process in processes)
    assert [process.returncode for process in processes] == [0, 0]
    assert int(first.split()[0]) > 30
    assert first == again
