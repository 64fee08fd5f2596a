"""One version, in one place; everything that mentions it follows."""

from __future__ import annotations

import re
import tomllib
from functools import partial

import pytest
import yaml
from hack import generate, version

import lws
from tests.manifests.render import ROOT

TAG = f"v{lws.__version__}"


def test_the_version_is_semantic() -> None:
    """The version has the form that chart, image tag and wheel all take: three numbers."""
    assert re.fullmatch(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", lws.__version__)


def test_the_chart_has_the_version() -> None:
    """Chart and image of the chart are of this version."""
    chart = yaml.safe_load((ROOT / "charts/lws/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (lws.__version__, TAG)


def test_the_manifests_have_the_version() -> None:
    """The manifests install the image of this version."""
    (image,) = yaml.safe_load((ROOT / "config/manager/kustomization.yaml").read_text())["images"]
    assert image["newTag"] == TAG


def test_the_pages_have_the_version() -> None:
    """Every image tag that a page names is of this version."""
    named = [
        tag for page in ROOT.glob("docs/*.md") for tag in re.findall(r"lws-controller:(v[\w.]+)", page.read_text())
    ]
    assert set(named) == {TAG}


@pytest.mark.parametrize("folder", [".", "sandbox"])
def test_both_distributions_read_the_version_there(folder: str) -> None:
    """Product and sandbox take their version from the same line."""
    project = tomllib.loads((ROOT / folder / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    source = (ROOT / folder / project["tool"]["hatch"]["version"]["path"]).resolve()
    assert source == (ROOT / "src/lws/__init__.py").resolve()


@pytest.mark.long
def test_a_new_version_reaches_every_mention(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a change of the version every file that mentions it is stale, and `make generate` mends it."""
    for name in version.MENTIONS:
        assert f"v{'9.8.7'}" in version.render(name, "9.8.7")
        assert lws.__version__ not in version.render(name, "9.8.7")
        monkeypatch.setitem(generate.FILES, name, partial(version.render, name, "9.8.7"))
    assert set(generate.stale()) == set(version.MENTIONS)


def test_a_lost_mention_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that has no place for the version any more is told, not passed over."""
    monkeypatch.setitem(version.MENTIONS, "docs/install.md", {"^no such line$": "{}"})
    with pytest.raises(ValueError, match=r"docs/install.md has no line"):
        version.render("docs/install.md")


def test_the_newest_release_in_the_changelog_is_this_version() -> None:
    """The changelog begins with what is unreleased; the release after it, once there is one, is this version."""
    first, *released = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert first == "Unreleased"
    assert released[:1] in ([], [lws.__version__])
