"""Whether DisaggregatedSets can be reconciled where the controller starts."""

from __future__ import annotations

import pytest

from lws.errors import TransportError
from lws.manager.preflight import serves_disaggregatedsets
from tests.reconcilers.test_apply import Bench
from tests.virtual import virtual_time


@pytest.mark.parametrize(
    ("code", "reason", "served"),
    [(200, "", True), (404, "NotFound", False), (403, "Forbidden", False), (500, "InternalError", True)],
)
@virtual_time
async def test_who_serves_disaggregatedsets(code: int, reason: str, served: bool) -> None:
    """A server that knows them and lets us; one in trouble is taken at its best."""
    bench = Bench()
    if code != 200:
        bench.server.answers["GET", "disaggregatedsets"] = bench.status(code, reason)
    assert await serves_disaggregatedsets(bench.executor._client) is served


@virtual_time
async def test_a_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The caches will tell once it does."""
    bench = Bench()

    async def gone(_: object) -> None:
        raise TransportError("no route")

    monkeypatch.setattr(bench.server, "send", gone)
    assert await serves_disaggregatedsets(bench.executor._client)
