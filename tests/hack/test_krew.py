"""What krew installs: the manifest by krew's rules, the archive byte for byte, and the launcher on odd machines."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hack import krew_archive

import lws

RELEASES = "https://example.com/releases"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive, unpacked, with the link that krew makes."""
    folder = tmp_path_factory.mktemp("krew")
    packed = folder / "plugin.tar.gz"
    packed.write_bytes(krew_archive.archive())
    with tarfile.open(packed) as tar:
        tar.extractall(folder / "store", filter="data")
    (folder / "bin").mkdir()
    (folder / "bin" / "kubectl-lws").symlink_to(folder / "store" / "kubectl-lws")
    (folder / "bin" / "kubectl_complete-lws").symlink_to("kubectl-lws")
    return folder


def launch(folder: Path, *words: str, command: str = "kubectl-lws", **environment: str) -> Any:
    """Run the launcher in an environment of its own."""
    base = {"PATH": "/usr/bin:/bin", "HOME": str(folder), **environment}
    run = [str(folder / "bin" / command), *words]
    return subprocess.run(run, capture_output=True, text=True, timeout=60, env=base, check=False)


def test_the_manifest_keeps_to_krews_rules() -> None:
    """Kind, name, version, short description, one sum and one binary for each platform; and our version."""
    document = yaml.safe_load(krew_archive.manifest(RELEASES, b"content"))
    assert (document["apiVersion"], document["kind"]) == ("krew.googlecontainertools.github.com/v1alpha2", "Plugin")
    spec = document["spec"]
    assert re.fullmatch(r"[\w-]+", document["metadata"]["name"])
    assert spec["version"] == f"v{lws.__version__}"
    assert 0 < len(spec["shortDescription"]) <= 50
    assert "kubectl" not in spec["shortDescription"].lower()
    assert spec["homepage"] == RELEASES
    (platform,) = spec["platforms"]
    assert platform["uri"] == f"{RELEASES}/v{lws.__version__}/{krew_archive.ARCHIVE}"
    assert platform["sha256"] == hashlib.sha256(b"content").hexdigest()
    names = [name for name, _ in krew_archive.files()]
    assert platform["bin"] in names
    assert {"LICENSE", "requirements.lock", "src/lws/cli/kubectl/main.py"} <= set(names)
    assert {term["operator"] for term in platform["selector"]["matchExpressions"]} == {"In"}


def test_the_same_tree_gives_the_same_archive() -> None:
    """No time, no owner and no order of the machine is in it."""
    assert krew_archive.archive() == krew_archive.archive()


def test_the_launcher_runs_the_plugin_through_its_link(installed: Path) -> None:
    """Wherever krew links it; by its other name it completes."""
    done = launch(installed, "version", KUBECTL_LWS_VENV=sys.prefix)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"kubectl-lws {lws.__version__}\n", "")
    offered = launch(installed, "tre", command="kubectl_complete-lws", KUBECTL_LWS_VENV=sys.prefix)
    assert offered.stdout.splitlines()[-1] == ":4"
    assert offered.stdout.startswith("tree\t")


@pytest.mark.parametrize("version", ["3.9.18", "3.10.13"])
def test_an_old_python_first_in_the_path_is_passed_over(installed: Path, tmp_path: Path, version: str) -> None:
    """Of several Pythons the first that is new enough is taken, whatever ``python3`` is (U1)."""
    old, new = tmp_path / "python3", tmp_path / "python3.11"
    old.write_text(f"#!/bin/sh\n[ \"$1\" = -c ] && exit 1\necho 'Python {version}'\n")
    new.write_text('#!/bin/sh\n[ "$1" = -c ] && exit 0\necho "made with $0 $*" >&2\nexit 1\n')
    for path in (old, new):
        path.chmod(0o755)
    done = launch(installed, "version", PATH=f"{tmp_path}:/usr/bin:/bin", PYTHON="python3 python3.11")
    assert done.returncode == 1
    assert f"made with {new} -m venv" in done.stderr
    assert "the environment could not be made" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_python_that_is_new_enough_is_one_sentence(installed: Path, tmp_path: Path) -> None:
    """Nothing is made, and the remedy is named."""
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = launch(installed, "version", PYTHON=str(old))
    assert done.returncode == 1
    assert done.stderr == (
        "kubectl-lws: Python 3.11 or later is needed: install one, or name it in the environment variable PYTHON\n"
    )
    assert not os.path.exists(installed / ".cache")
