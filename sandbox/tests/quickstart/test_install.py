"""What ``make run`` does before there is a Python to run: it finds one, or says in one sentence that there is none."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
TOOLS = ("sh", "env", "make", "sed", "grep", "rm", "touch", "cp", "mkdir", "cat", "chmod", "dirname", "test")
FAKE = """#!/bin/sh
# A Python of version {version}: it notes what it is asked for.
case "$*" in
*"sys.exit(sys.version_info < (3, 11))"*) exit {old} ;;
*"print(sys.version"*) echo {version} ;;
"-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" && echo "venv {version}" >>asked ;;
"-m pip "*) echo "pip $*" >>asked; exit ${{PIP_EXIT:-0}} ;;
*) echo "$*" >>asked ;;
esac
"""


def checkout(tmp_path: Path, **pythons: str) -> Path:
    """A checkout with the files that `make run` reads, and a PATH with these Pythons only."""
    folder, binaries = tmp_path / "checkout", tmp_path / "bin"
    (folder / "hack").mkdir(parents=True)
    (folder / "sandbox").mkdir()
    binaries.mkdir()
    for name in ("Makefile", "hack/install.sh", "hack/link_checkout.py", "pyproject.toml", "sandbox/pyproject.toml"):
        shutil.copy(ROOT / name, folder / name)
    for name in ("requirements-dev.lock", "sandbox/requirements.lock"):
        (folder / name).write_text("one==1.0 --hash=sha256:00\n")
    for tool in TOOLS:
        found = shutil.which(tool)
        assert found is not None
        (binaries / tool).symlink_to(found)
    for name, version in pythons.items():
        script = binaries / name.replace("_", ".")
        old = int(tuple(map(int, version.split("."))) < (3, 11))
        script.write_text(FAKE.format(version=version, old=old))
        script.chmod(0o755)
    return folder


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make there."""
    path = str(folder.parent / "bin")
    return subprocess.run(
        ["make", *arguments],
        cwd=folder,
        env={"PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def asked(folder: Path) -> list[str]:
    """What the Pythons were asked for, in order."""
    path = folder / "asked"
    return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("version", ["3.9.18", "3.10.13"])
def test_an_old_python_is_one_sentence_and_leaves_nothing(tmp_path: Path, version: str) -> None:
    """Where python3 is too old and nothing else is there, that is said at once, and no broken environment stays."""
    folder = checkout(tmp_path, python3=version)
    done = make(folder, "run")
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if not line.startswith("make: ***")]
    remedy = "install one, or name it, as in: make PYTHON=/path/to/python3.12 run"
    assert said == [f"make: Python 3.11 or later is needed, and only python3 {version} is found: {remedy}"]
    assert not (folder / ".venv").exists()
    assert asked(folder) == []


@pytest.mark.parametrize(
    ("pythons", "chosen"),
    [
        ({"python3": "3.10.1", "python3_11": "3.11.7"}, "3.11.7"),
        ({"python3": "3.9.1", "python3_11": "3.11.7", "python3_13": "3.13.0"}, "3.13.0"),
        ({"python3": "3.12.1"}, "3.12.1"),
        ({"python3": "3.11.1", "python3_12": "3.12.4"}, "3.12.4"),
    ],
)
def test_the_newest_supported_python_is_taken(tmp_path: Path, pythons: dict[str, str], chosen: str) -> None:
    """python3.13, 3.12 and 3.11 come before a python3 of unknown age; an old python3 first in the PATH is no harm."""
    folder = checkout(tmp_path, **pythons)
    assert make(folder, "run").returncode == 0
    assert asked(folder)[0] == f"venv {chosen}"


def test_only_what_running_needs_is_installed_and_is_said(tmp_path: Path) -> None:
    """The lock of the sandbox is installed, not the developers' one, with pip's progress; then the example runs."""
    folder = checkout(tmp_path, python3_12="3.12.4")
    done = make(folder, "run", "ARGS=--preset gpu-rack")
    installs = [line for line in asked(folder) if line.startswith("pip")]
    assert len(installs) == 1
    assert "--require-hashes -r sandbox/requirements.lock" in installs[0]
    assert "--quiet" not in installs[0]
    assert "installing 1 packages into .venv (once, about a minute)" in done.stderr
    assert asked(folder)[-1] == "-m lws_sandbox.quickstart --control-plane sandbox --preset gpu-rack"
    make(folder, "run")
    assert len([line for line in asked(folder) if line.startswith("pip")]) == 1


def test_a_python_that_is_named_is_taken_or_refused(tmp_path: Path) -> None:
    """PYTHON=… beats the search; where it is too old, it is named."""
    folder = checkout(tmp_path, python3_13="3.13.0", python3_11="3.11.7", python3="3.10.1")
    assert "PYTHON=python3 is none: 3.10.1." in make(folder, "run", "PYTHON=python3").stderr
    make(folder, "run", "PYTHON=python3.11")
    assert asked(folder)[0] == "venv 3.11.7"


def test_developers_keep_the_python_that_they_chose(tmp_path: Path) -> None:
    """For the whole toolchain python3 comes first, if it is new enough."""
    folder = checkout(tmp_path, python3="3.11.7", python3_13="3.13.0")
    make(folder, ".venv/.installed")
    assert asked(folder)[0] == "venv 3.11.7"
    assert any("-r requirements-dev.lock" in line for line in asked(folder))


def test_an_environment_of_an_old_python_is_replaced(tmp_path: Path) -> None:
    """What an earlier try left behind does not make the next one fail."""
    folder = checkout(tmp_path, python3="3.10.1", python3_11="3.11.7")
    old = folder / ".venv" / "bin" / "python"
    old.parent.mkdir(parents=True)
    shutil.copy(tmp_path / "bin" / "python3", old)
    assert make(folder, "run").returncode == 0
    assert asked(folder)[0] == "venv 3.11.7"


def test_a_failed_installation_leaves_nothing(tmp_path: Path) -> None:
    """Without a package index the reason is pip's, and no half environment stays."""
    folder = checkout(tmp_path, python3_11="3.11.7")
    done = make(folder, "run", PIP_EXIT="1")
    assert done.returncode != 0
    assert "pip could not install sandbox/requirements.lock" in done.stderr
    assert not (folder / ".venv").exists()


def test_a_checkout_is_linked_without_a_build(tmp_path: Path) -> None:
    """The environment that ran it imports both packages from the checkout, and has their commands."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True, timeout=60)
    python = venv / "bin" / "python"
    clean = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    subprocess.run([python, "hack/link_checkout.py", ".", "sandbox"], cwd=ROOT, env=clean, check=True, timeout=60)
    assert {path.name for path in (venv / "bin").iterdir()} >= {"lws-controller", "kubectl-lws", "lws-sandbox"}
    done = subprocess.run(
        [venv / "bin" / "kubectl-lws", "version"], cwd=tmp_path, env=clean, capture_output=True, text=True, check=False
    )
    assert done.stdout.startswith("kubectl-lws "), done.stderr
