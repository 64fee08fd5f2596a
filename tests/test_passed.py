"""A run of the real half is red unless enough of it ran."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = """
import pytest

def test_passes():
    pass

@pytest.mark.parametrize("n", range(3))
def test_is_skipped(n):
    pytest.skip("no control plane")
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("options", "status"),
    [
        (["--at-least-passed", "1"], 0),
        (["--at-least-passed", "2"], 1),
        pytest.param(["-k", "nothing"], 1, marks=pytest.mark.long),
        pytest.param(["-n", "2", "--at-least-passed", "2"], 1, marks=pytest.mark.long),
    ],
)
def test_too_few_that_pass_fail_the_run(tmp_path: Path, options: list[str], status: int) -> None:
    """Skipped tests do not count, nor does an empty selection pass; with workers as without."""
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_some.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.passed", "-p", "no:cacheprovider", *options]
    done = subprocess.run([*command, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    assert ("tests passed, at least" in done.stdout) == bool(status)
