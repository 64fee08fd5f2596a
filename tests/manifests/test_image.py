"""The image: its instructions, and the same steps in a plain folder."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.manifests.render import ROOT

pytestmark = pytest.mark.long  # the image is laid out from packages

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
    _lay_out(out, packages)
    subprocess.run(["chmod", "-R", "a-w,a+rX", str(out)], check=True)
    return out


def _lay_out(out: Path, packages: Path) -> None:
    command = [sys.executable, str(ROOT / "hack/rootfs.py"), str(out)]
    command += ["--packages", str(packages), "--source", str(ROOT / "src/lws")]
    subprocess.run(command, check=True, env={**os.environ, "SOURCE_DATE_EPOCH": "0"})


def test_nothing_but_the_controller_is_inside(rootfs: Path) -> None:
    """There is no shell, no package manager, no sandbox and no command line for people in the image."""
    names = {path.name for path in rootfs.rglob("*")}
    assert not names & {"sh", "bash", "dash", "busybox", "pip", "pip3", "apt", "apk"}
    assert not names & {"lws_sandbox", "kubectl", "rich", "pygments", "unittest", "sqlite3"}


def test_everything_that_a_start_imports_is_compiled(rootfs: Path) -> None:
    """Each module has bytecode that is not checked against its source, since nobody can write it later."""
    sources = [path for path in rootfs.rglob("*.py") if "kubernetes_asyncio" not in path.parts]
    assert len(sources) > 500
    for source in sources:
        (compiled,) = (source.parent / "__pycache__").glob(f"{source.stem}.*.pyc")
        flags = int.from_bytes(compiled.read_bytes()[4:8], "little")
        assert flags == 0b01, "unchecked hash"


def test_the_same_input_gives_the_same_tree(rootfs: Path, tmp_path: Path) -> None:
    """Laid out once more, every file has the same bytes and times."""
    again = tmp_path / "rootfs"
    _lay_out(again, rootfs.parent / "packages")
    assert _contents(again) == _contents(rootfs)


def _contents(tree: Path) -> dict[str, tuple[str, float]]:
    return {
        str(path.relative_to(tree)): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime)
        for path in tree.rglob("*")
        if path.is_file()
    }


IMPORT_ALL = """
import importlib, pkgutil, sys
sys.path.insert(0, "/app")
import lws
for module in pkgutil.walk_packages(lws.__path__, "lws."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="changing root needs to be root")
def test_nothing_that_is_imported_is_left_out(rootfs: Path) -> None:
    """Every module of the product can be imported inside."""
    python = (rootfs / "manager").read_text().splitlines()[0].removeprefix("#!").split()[0]
    command = ["chroot", str(rootfs), python, "-I", "-B", "-c", IMPORT_ALL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="changing root and user needs to be root")
@pytest.mark.parametrize("user", [f"{USER}:{USER}", "1000680000:0"])
@pytest.mark.parametrize("command", ["controller", "operator"])
def test_a58_it_starts_as_anybody_on_a_read_only_root(rootfs: Path, user: str, command: str) -> None:
    """A58: both start as the image's user and as one that OpenShift assigns, in a tree that nobody can write."""
    entry = {"controller": ["/manager"], "operator": ["/usr/bin/lws-operator", "operator"]}[command]
    version = {"controller": ["/manager", "--version"], "operator": ["/usr/bin/lws-operator", "version"]}[command]
    for arguments, code, expected in ((version, 0, "Version: v"), (entry, 1, "no cluster is configured")):
        done = subprocess.run(
            ["chroot", f"--userspec={user}", str(rootfs), *arguments],
            capture_output=True,
            text=True,
            env={"PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]},
            check=False,
        )
        assert done.returncode == code, done.stderr
        assert expected in done.stdout + done.stderr
        assert "Traceback" not in done.stderr
