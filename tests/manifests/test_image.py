"""The image: its instructions, and the same steps in a plain folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.manifests.render import ROOT

USER = 65532
CONTAINERFILE = (ROOT / "Containerfile").read_text()


def _instructions() -> list[tuple[str, str]]:
    joined = CONTAINERFILE.replace("\\\n", " ")
    lines = [line for line in joined.splitlines() if line and not line.startswith("#")]
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in lines)]


def test_packages_come_from_the_lock_with_hashes() -> None:
    """Every package is installed from requirements.lock, with its hash, and only as a wheel."""
    installs = [rest for word, rest in _instructions() if word == "RUN" and "install" in rest]
    assert len(installs) == 1
    assert "--require-hashes" in installs[0]
    assert "--only-binary :all:" in installs[0]
    assert "-r requirements.lock" in installs[0]


def test_the_final_stage_is_empty_and_without_root() -> None:
    """The final stage begins from nothing, runs as user 65532, and enters at the reference's /manager."""
    instructions = _instructions()
    last = max(index for index, (word, _) in enumerate(instructions) if word == "FROM")
    final = instructions[last:]
    assert final[0] == ("FROM", "scratch")
    assert ("USER", f"{USER}:{USER}") in final
    assert ("ENTRYPOINT", '["/manager"]') in final
    assert "RUN" not in [word for word, _ in final]


def test_no_index_host_is_named() -> None:
    """Neither the image's instructions nor the locks name a package index."""
    for path in ("Containerfile", "requirements.lock", "requirements-dev.lock"):
        assert not re.search(r"https?://", (ROOT / path).read_text()), path


@pytest.fixture(scope="module")
def rootfs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's file system, laid out by the Containerfile's own steps, read-only."""
    folder = tmp_path_factory.mktemp("image")
    packages, out = folder / "packages", folder / "rootfs"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--require-hashes"]
    install += ["--only-binary", ":all:", "--target", str(packages), "-r", str(ROOT / "requirements.lock")]
    done = subprocess.run(install, capture_output=True, text=True, check=False)
    if done.returncode and not os.environ.get("CI"):
        pytest.skip(f"no package index at hand: {done.stderr.splitlines()[-1:]}")
    assert not done.returncode, done.stderr
    command = [sys.executable, str(ROOT / "hack/rootfs.py"), str(out)]
    command += ["--packages", str(packages), "--source", str(ROOT / "src/lws")]
    subprocess.run(command, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": "0"})
    subprocess.run(["chmod", "-R", "a-w,a+rX", str(out)], check=True)
    return out


def test_nothing_but_the_controller_is_inside(rootfs: Path) -> None:
    """There is no shell, no package manager, no compiler cache and no sandbox in the image."""
    names = {path.name for path in rootfs.rglob("*")}
    assert not names & {"sh", "bash", "dash", "busybox", "pip", "pip3", "apt", "apk", "__pycache__"}
    assert not (rootfs / "app/lws/sandbox").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="changing root and user needs to be root")
def test_it_starts_as_nobody_on_a_read_only_root(rootfs: Path) -> None:
    """The entry point starts as user 65532 with nothing but the laid out tree, and fails politely without a cluster."""
    environ = {"PYTHONDONTWRITEBYTECODE": "1"}
    for arguments, code, expected in ((["--version"], 0, "Version: v"), ([], 1, "no cluster is configured")):
        done = subprocess.run(
            ["chroot", f"--userspec={USER}:{USER}", str(rootfs), "/manager", *arguments],
            capture_output=True,
            text=True,
            env={**environ, "PATH": os.environ["PATH"]},
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert expected in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
