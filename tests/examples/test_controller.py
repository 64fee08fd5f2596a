"""The framework is usable alone: `examples/controller` runs on the sandbox, and copies nothing of the product."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from examples.controller import mirror

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONFIGMAPS, EVENTS
from lws.client.api import ApiClient
from lws.errors import NotFoundError
from lws_sandbox.cluster import Sandbox
from lws_sandbox.user import ADMIN
from tests.virtual import virtual_time

ROOT = Path(__file__).parents[2]
NAMESPACE = "default"


@asynccontextmanager
async def running() -> AsyncIterator[ApiClient]:
    """A sandbox in which the mirror runs; a user's client."""
    async with Sandbox() as sandbox:
        client = ApiClient(sandbox.transport(ADMIN), user_agent="mirror", field_manager="mirror")
        task = asyncio.create_task(mirror.build(client, clock=sandbox.clock, rng=Random(1)).run())
        yield sandbox.client()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def config_map(name: str, to: str = "", **data: str) -> JSON:
    """A ConfigMap of these entries, to be mirrored under a name."""
    annotations = {mirror.TO: to} if to else {}
    return {"metadata": {"name": name, "namespace": NAMESPACE, "annotations": annotations}, "data": data}


async def until(client: ApiClient, name: str, good: Callable[[JSON | None], bool]) -> Any:
    """Look once a virtual second until the ConfigMap, or None, is as wanted."""
    async with asyncio.timeout(60):
        while True:
            try:
                found: JSON | None = await client.get(CONFIGMAPS, NAMESPACE, name)
            except NotFoundError:
                found = None
            if good(found):
                return found
            await asyncio.sleep(1)


@virtual_time
async def test_a_mirror_follows_its_source_from_creation_to_deletion() -> None:
    """The copy is made, follows a changed and a removed entry, is made again, and goes with its source."""
    async with running() as client:
        await client.create(CONFIGMAPS, config_map("source", "copy", a="1", b="2"))
        copy = await until(client, "copy", lambda found: found is not None)
        assert copy["data"] == {"a": "1", "b": "2"}
        await client.patch(CONFIGMAPS, NAMESPACE, "source", {"data": {"a": "3", "b": None}})
        await until(client, "copy", lambda found: found is not None and found["data"] == {"a": "3"})
        await client.delete(CONFIGMAPS, NAMESPACE, "copy")
        again = await until(client, "copy", lambda found: found is not None)
        assert again["metadata"]["uid"] != copy["metadata"]["uid"]
        await client.delete(CONFIGMAPS, NAMESPACE, "source")
        await until(client, "copy", lambda found: found is None)


@virtual_time
async def test_what_is_somebody_elses_is_left_alone_and_told() -> None:
    """A ConfigMap that has the copy's name already is not written over; an event on the source says so."""
    async with running() as client:
        before = await client.create(CONFIGMAPS, config_map("copy", mine="yes"))
        await client.create(CONFIGMAPS, config_map("source", "copy", a="1"))
        await asyncio.sleep(30)
        after = await client.get(CONFIGMAPS, NAMESPACE, "copy")
        assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]
        reasons = [event["reason"] for event in (await client.list(EVENTS, NAMESPACE))["items"]]
        assert reasons.count("NameTaken") == 1


@virtual_time
async def test_a_quiet_world_is_not_written_to() -> None:
    """Once all is as desired, ten minutes bring no write."""
    async with running() as client:
        await client.create(CONFIGMAPS, config_map("source", "copy", a="1"))
        copy = await until(client, "copy", lambda found: found is not None)
        await asyncio.sleep(600)
        still = await client.get(CONFIGMAPS, NAMESPACE, "copy")
        assert still["metadata"]["resourceVersion"] == copy["metadata"]["resourceVersion"]


def test_it_stands_on_the_framework_alone() -> None:
    """The example imports no room of any API, and is short enough to read at a sitting."""
    text = (ROOT / "examples/controller/mirror.py").read_text()
    rooms = set(re.findall(r"^from lws\.(\w+)", text, flags=re.MULTILINE))
    assert rooms <= {"apimachinery", "client", "clock", "informers", "runtime"}
    assert text.count("\n") <= 120
