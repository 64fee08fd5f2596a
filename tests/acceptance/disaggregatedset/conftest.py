"""The stage of a scenario as a parameter: the sandbox always, the real control plane where its binaries are named."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.disaggregatedset.stages import STAGE, RealStage
from tests.real.conftest import need_binaries
from tests.real.planes import RealPlane, real_plane

MARKS = [pytest.mark.real, pytest.mark.timeout(400)]


@pytest.fixture(scope="session")
def scenario_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPlane]:
    """A real control plane for all scenarios."""
    with real_plane(need_binaries(), tmp_path_factory.mktemp("scenarios")) as running:
        yield running


@pytest.fixture(params=["sandbox", pytest.param("real", marks=MARKS)])
def stage(request: pytest.FixtureRequest) -> Iterator[None]:
    """Play the scenario there."""
    if request.param == "sandbox":
        yield
        return
    token = STAGE.set(RealStage(request.getfixturevalue("scenario_plane")))
    yield
    STAGE.reset(token)
