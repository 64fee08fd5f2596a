"""A real kube-apiserver still answers as recorded, so the recordings are the truth (needs ``KUBEBUILDER_ASSETS``)."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.real_target import HOW, VARIABLE, ControlPlane, assets, control_plane, real_target
from tests.conformance.replay import Replay
from tests.conformance.test_exchanges import SCENARIOS, _name

pytestmark = pytest.mark.timeout(300)
ALONE = [path for path in SCENARIOS if path.parent.name != "controllers"]


@pytest.fixture(scope="session")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A real API server for the whole run."""
    binaries = assets()
    if binaries is None:
        pytest.skip(HOW)
    with control_plane(binaries, tmp_path_factory.mktemp("plane")) as running:
        yield running


async def _replay(plane: ControlPlane, scenario: dict[str, Any]) -> list[str]:
    async with real_target(plane, scenario) as target:
        return await Replay(scenario, target).run()


@pytest.mark.skipif(assets() is None, reason=HOW)
@pytest.mark.parametrize("path", ALONE, ids=_name)
def test_real_server_answers_as_recorded(plane: ControlPlane, path: Path) -> None:
    """Every recorded scenario that needs no controller is answered alike by the server at hand."""
    found = asyncio.run(_replay(plane, json.loads(path.read_text())))
    assert not found, "\n".join(found)


def test_binaries_are_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a folder that holds both binaries counts, and the sentence says how to get them."""
    monkeypatch.delenv(VARIABLE, raising=False)
    assert assets() is None
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    assert assets() is None
    for name in ("etcd", "kube-apiserver"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(stat.S_IRWXU)
    assert assets() == tmp_path
    assert VARIABLE in HOW


def test_a_server_that_dies_is_told_with_its_log(tmp_path: Path) -> None:
    """When kube-apiserver ends at once, the error carries the end of its log, and etcd is stopped."""
    binaries = tmp_path / "bin"
    binaries.mkdir()
    (binaries / "etcd").write_text("#!/bin/sh\nexec sleep 60\n")
    (binaries / "kube-apiserver").write_text("#!/bin/sh\necho no such flag: $1\nexit 1\n")
    for binary in binaries.iterdir():
        binary.chmod(stat.S_IRWXU)
    with pytest.raises(RuntimeError, match="no such flag: --etcd-servers"), control_plane(binaries, tmp_path):
        pytest.fail("it is not ready")
