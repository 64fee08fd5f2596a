"""LWSAdmissionFailing out of a real API server's own metrics: it fires when nobody answers, and ends with an answer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lws.client.transport import Request
from lws.manager.manager import ControllerManager
from lws.manager.settings import Settings
from tests.monitoring.promtool import Samples, Story, check, gone, steady
from tests.real.conftest import need_binaries
from tests.real.partners.installed import admitted
from tests.real.planes import RealPlane, real_plane

pytestmark = [pytest.mark.real, pytest.mark.timeout(240)]
COUNTER: Final = "apiserver_admission_webhook_rejection_count"


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[RealPlane]:
    """A control plane."""
    with real_plane(need_binaries(), tmp_path) as running:
        yield running


async def rejections(plane: RealPlane) -> dict[str, float]:
    """What the API server counts, by series."""
    answer = await plane.env.transport.send(Request("GET", "/metrics", timeout=30))
    found = {}
    for family in text_string_to_metric_families(answer.body.decode()):
        for sample in family.samples:
            if sample.name == f"{COUNTER}_total":  # the parser names counters so
                labels = ",".join(f'{key}="{value}"' for key, value in sorted(sample.labels.items()))
                found[f"{COUNTER}{{{labels}}}"] = sample.value
    return found


def test_admission_that_fails_fires_and_its_remedy_resolves_it(plane: RealPlane, tmp_path: Path) -> None:
    """Every replica fails to answer; remedy: have one answer again, after which nothing more is refused."""
    series: dict[str, Samples] = {}

    async def scenario() -> None:
        client, settings = plane.env.client("test"), Settings(watchdog=None)
        assert await admitted(client)
        before = await rejections(plane)
        plane.env.serve_reviews(lambda *_: (503, b"no replica"))
        for _ in range(5):
            assert not await admitted(client)
        during = await rejections(plane)
        spare = ControllerManager(settings, plane.env.transport, clock=plane.env.clock, random=Random(0), sockets=False)
        plane.env.serve_reviews(spare.handle_review)
        assert await admitted(client)
        assert await rejections(plane) == during
        for name, value in during.items():
            earlier = steady(before[name], 600) if name in before else gone(600)
            series[name] = [*earlier, *steady(value, 3000)]

    plane.call(scenario())
    story = Story(series).silent(570, 3300, alerts=["LWSAdmissionFailing"])
    check(tmp_path, story.fires("LWSAdmissionFailing", 630, name="mleaderworkerset.kb.io"))
