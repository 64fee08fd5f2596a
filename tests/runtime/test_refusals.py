"""What the log says of errors: cause and remedy, and of what is forbidden once."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from lws.client.transport import Request
from lws.errors import ForbiddenError, LwsError, TerminalError, TransportError
from lws.runtime.controller import Done
from lws.runtime.errorfields import error_fields
from tests.runtime.test_controller import A, Bench, scripted
from tests.runtime.test_events import running
from tests.virtual import virtual_time

NAMED = {"name": "a", "kind": "pods"}


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (TransportError("refused"), {"cause": "refused"}),
        (TerminalError("label is missing", "add it"), {"cause": "label is missing", "remedy": "add it"}),
        (
            ForbiddenError(403, "Forbidden", 'User "x" cannot delete resource "pods" in API group ""', details=NAMED),
            {
                "cause": 'User "x" cannot delete resource "pods" in API group ""',
                "object": "a",
                "verb": "delete",
                "resource": "pods",
                "remedy": "grant the verb delete on pods to the controller's service account, as config/rbac does",
            },
        ),
        (
            ForbiddenError(403, "Forbidden", "exceeded quota: q"),
            {
                "cause": "exceeded quota: q",
                "remedy": "change what the cause names: a quota, a policy or an admission webhook",
            },
        ),
    ],
)
def test_fields_of_an_error(error: LwsError, expected: dict[str, str]) -> None:
    """A missing permission is told by verb, resource and object; every other refusal by what to look for."""
    assert error_fields(error) == expected


@virtual_time
async def test_what_is_forbidden_is_told_once_with_its_remedy() -> None:
    """However often it is tried again, one line names verb, resource, object and remedy; after a success it is news."""
    words = 'statefulsets.apps "a" is forbidden: User "x" cannot patch resource "statefulsets" in API group "apps"'
    denied = ForbiddenError(403, "Forbidden", words, details={"name": "a"})
    bench = Bench(scripted(denied, denied, denied, Done(), denied))
    with capture_logs() as logs:
        bench.queue.add(A)
        await asyncio.sleep(10)
        bench.queue.add(A)
        await asyncio.sleep(10)
    told = [line for line in logs if line["log_level"] != "debug"]
    assert (len(bench.seen), len(told)) == (6, 2)
    assert (told[0]["verb"], told[0]["resource"], told[0]["object"]) == ("patch", "statefulsets.apps", "a")
    assert told[0]["remedy"].startswith("grant the verb patch on statefulsets.apps ")
    assert bench.count("controller_runtime_reconcile_errors_total") == 4
    await bench.stop()


@virtual_time
async def test_an_error_with_a_remedy_tells_it() -> None:
    """Where the words of an error are fixed, what to do about it stands beside them; elsewhere nothing is added."""
    bench = Bench(scripted(TerminalError("label is missing", "delete the pod"), TransportError("refused")))
    with capture_logs() as logs:
        for _ in range(2):
            bench.queue.add(A)
            await asyncio.sleep(1)
    told = [(line["cause"], line.get("remedy")) for line in logs if line["log_level"] != "debug"]
    assert told == [("label is missing", "delete the pod"), ("refused", None)]
    await bench.stop()


@virtual_time
async def test_that_events_are_forbidden_is_told_once() -> None:
    """Without permission each event is given up at once, and one line for all of them names the remedy."""
    async with running() as bench:

        def forbid(_: Request) -> None:
            raise ForbiddenError(403, "Forbidden", 'events is forbidden: User "x" cannot create resource "events"')

        bench.server.before = forbid
        with capture_logs() as logs:
            for reason in ("One", "Two", "Three"):
                bench.record(reason=reason)
            await asyncio.sleep(10)
        assert bench.dropped == ["refused"] * 3
        told = [line for line in logs if line["log_level"] == "warning"]
        assert [(line["verb"], line["resource"]) for line in told] == [("create", "events")]
