"""Informers against the sandbox's API server, which goes wrong in every way that it can."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lws.apimachinery.resources import CONFIGMAPS, NAMESPACES
from lws.client.api import ApiClient
from lws.errors import AlreadyExistsError, NotFoundError
from lws.informers.kinds import raw_kind
from lws.informers.registry import InformerRegistry
from lws_sandbox import virtual_time
from lws_sandbox.server import ApiServer
from lws_sandbox.serverbuilder import build_server
from lws_sandbox.transport import InProcessTransport
from tests.informers.support import Told, held, version

Drill = Callable[[ApiServer], object]
NAMES = st.sampled_from([f"n{number}" for number in range(6)])
WRITES = st.tuples(st.sampled_from(["create", "label", "delete"]), NAMES, st.sampled_from(["x", "y"]))
READS = frozenset({"list", "watch"})
DRILLS: st.SearchStrategy[Drill] = st.one_of(
    st.sampled_from([ApiServer.break_watches, ApiServer.compact, ApiServer.heal]),
    st.builds(
        lambda code, count, verb: lambda server: server.fail(code, count=count, verbs=frozenset({verb})),
        st.sampled_from([403, 404, 410, 429, 500, 503, 504]),
        st.integers(1, 3),
        st.sampled_from(["list", "watch"]),
    ),
    st.builds(lambda seconds: lambda server: server.slow(seconds, count=2, verbs=READS), st.sampled_from([0.5, 40.0])),
)
STEPS = st.lists(st.tuples(st.one_of(WRITES, WRITES, DRILLS), st.sampled_from([0.0, 0.01, 2.0, 90.0])), max_size=25)


async def write(client: ApiClient, verb: str, name: str, label: str) -> None:
    """Create, label or delete an object; whether it is there does not matter."""
    try:
        if verb == "create":
            meta = {"name": name, "namespace": "default", "labels": {"app": label}}
            await client.create(CONFIGMAPS, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta})
        elif verb == "label":
            await client.patch(CONFIGMAPS, "default", name, {"metadata": {"labels": {"app": label}}})
        else:
            await client.delete(CONFIGMAPS, "default", name)
    except (AlreadyExistsError, NotFoundError):
        pass


def truth(server: ApiServer, label: str) -> dict[tuple[str, str], str]:
    """Versions of the selected objects in the server's store."""
    return {
        (namespace, name): obj["metadata"]["resourceVersion"]
        for namespace, name, obj in server.storage.entries("configmaps")
        if not label or obj["metadata"]["labels"]["app"] == label
    }


async def live(steps: list[tuple[Any, float]], seed: int) -> None:
    """Two informers, one with a selector, watch while the steps are taken."""
    server = build_server(clock=virtual_time.VirtualClock(), random=Random(seed))
    client = ApiClient(InProcessTransport(server), user_agent="test", field_manager=None)
    await client.create(NAMESPACES, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}})
    registry = InformerRegistry(client, clock=virtual_time.VirtualClock(), random=Random(seed))
    watched = {
        label: registry.informer(raw_kind(CONFIGMAPS), label_selector=label and f"app={label}") for label in ("", "x")
    }
    told = {label: Told(informer) for label, informer in watched.items()}
    task = asyncio.create_task(registry.run())
    for step, pause in steps:
        if isinstance(step, tuple):
            await write(client, *step)
        else:
            step(server)
        await asyncio.sleep(pause)
    server.heal()
    await asyncio.sleep(400)
    for label, informer in watched.items():
        assert held(informer) == truth(server, label)
        assert {key: version(obj) for key, obj in told[label].world.items()} == truth(server, label)
        assert informer.healthy
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert server.watches == 0


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS, seed=st.integers(0, 1000))
def test_informers_hold_what_the_server_holds(steps: list[tuple[Any, float]], seed: int) -> None:
    """Whatever the server does meanwhile, in the end an informer holds what the server holds of its selection."""
    virtual_time.run(live(steps, seed))
