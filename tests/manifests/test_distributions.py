"""Two distributions, one version: what each wheel holds, and that the product does without the sandbox."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def wheel(folder: Path, project: Path) -> zipfile.ZipFile:
    """The wheel of a project, built offline."""
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, "-w", str(folder), str(project)], check=True)
    return zipfile.ZipFile(next(folder.glob("*.whl")))


def metadata(archive: zipfile.ZipFile) -> dict[str, str]:
    """The wheel's own description."""
    name = next(each for each in archive.namelist() if each.endswith("METADATA"))
    return dict(message_from_string(archive.read(name).decode()).items())


@pytest.mark.parametrize(("project", "package"), [(ROOT, "lws"), (ROOT / "sandbox", "lws_sandbox")])
def test_a_wheel_holds_its_own_package_only(project: Path, package: str, tmp_path: Path) -> None:
    """The product's wheel holds nothing of the sandbox, and the sandbox's nothing of the product."""
    archive = wheel(tmp_path, project)
    folders = {name.split("/")[0] for name in archive.namelist()}
    assert {each for each in folders if not each.endswith(".dist-info")} == {package}


def test_both_have_the_version_of_the_package(tmp_path: Path) -> None:
    """There is one place for the version, and both wheels take it from there."""
    import lws

    found = {metadata(wheel(tmp_path / each.name, each))["Version"] for each in (ROOT, ROOT / "sandbox")}
    assert found == {lws.__version__}


@pytest.mark.parametrize("command", ["lws.cli.controller", "lws.cli.kubectl.main"])
def test_a_command_of_the_product_imports_nothing_of_the_sandbox(command: str) -> None:
    """``--help`` works and no module of the sandbox is loaded for it."""
    asked = f"import sys; from {command} import main; sys.argv=['x','--help']\n"
    asked += "try: main()\nexcept SystemExit: pass\nsys.exit(any(n.startswith('lws_sandbox') for n in sys.modules))"
    assert subprocess.run([sys.executable, "-c", asked], stdout=subprocess.DEVNULL, check=False).returncode == 0
