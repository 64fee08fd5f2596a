"""What is counted, and how it is told."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import orjson
import pytest

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.resources import EVENTS, LEASES
from lws.client.transport import Request
from lws.manager.version import user_agent
from lws_sandbox.reply import Reply
from lws_sandbox.user import UserInfo
from tests.simulation.cluster import NAMESPACE, Cluster, manifest


def figure(text: str) -> str:
    """Print a measured figure, and return it for the assertion's message."""
    sys.stdout.write(f"\n{text}")
    return text


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as the sandbox's API server saw it.

    Attributes:
        time: virtual seconds.
        agent: who sent it, by user agent.
        verb: HTTP method, or ``WATCH``.
        resource: plural, with its subresource.
        name: the object's; for creations that of the manifest.
        status: HTTP status of the answer.
        reason: of a refusal.
    """

    time: float
    agent: str
    verb: str
    resource: str
    name: str
    status: int
    reason: str

    @property
    def ours(self) -> bool:
        """Whether the controller sent it."""
        return self.agent == user_agent()

    def __str__(self) -> str:
        return f"{self.verb} {self.resource} {self.name} {self.status}"


class Tally:
    """Every request that reaches the API server of a sandbox, whoever sends it, from now on."""

    def __init__(self, cluster: Cluster, patch: pytest.MonkeyPatch) -> None:
        self.seen: list[Seen] = []
        self._handle = cluster.sandbox.server.handle
        patch.setattr(cluster.sandbox.server, "handle", self._count)

    async def _count(self, request: Request, user: UserInfo | None = None) -> Reply:
        reply = await self._handle(request, user)
        what, name = _target(request)
        watch = dict(request.query).get("watch") in ("1", "true")
        reason = str(orjson.loads(reply.body).get("reason", "")) if reply.status >= 400 else ""
        verb = "WATCH" if watch else request.method
        agent, now = request.headers.get("user-agent", ""), asyncio.get_running_loop().time()
        self.seen.append(Seen(now, agent, verb, what, name, reply.status, reason))
        return reply

    def clear(self) -> None:
        """Count from here."""
        self.seen.clear()

    def of_controller(self, *, free: Iterable[str] = (LEASES.plural,)) -> list[Seen]:
        """What the controller asked, but for these resources."""
        return [each for each in self.seen if each.ours and each.resource not in free]

    def writes(self) -> list[Seen]:
        """What the controller wrote, but for leases and events."""
        asked = self.of_controller(free=(LEASES.plural, EVENTS.plural))
        return [each for each in asked if each.verb not in ("GET", "WATCH")]

    def done(self, verb: str, resource: str) -> Counter[str]:
        """How often this succeeded, by name, whoever asked for it."""
        found = (each for each in self.seen if (each.verb, each.resource) == (verb, resource) and each.status < 300)
        return Counter(each.name for each in found)


def _target(request: Request) -> tuple[str, str]:
    """Plural with its subresource, and name."""
    parts = request.path.strip("/").split("/")
    parts = parts[3 if parts[0] == "apis" else 2 :]
    if parts[:1] == ["namespaces"] and len(parts) > 2:
        parts = parts[2:]
    what, name, *below = [*parts, "", ""][: max(2, len(parts))]
    if request.method == "POST" and not below:
        name = str(orjson.loads(request.body).get("metadata", {}).get("name", ""))
    return "/".join([what, *below]), name


def by_kind(seen: Iterable[Seen]) -> str:
    """Counts by verb and resource, as text."""
    counts = Counter(f"{each.verb} {each.resource}" for each in seen)
    return ", ".join(f"{count} {what}" for what, count in sorted(counts.items())) or "none"


async def create_sets(cluster: Cluster, count: int, **arguments: Any) -> list[str]:
    """Create sets at once and wait until each is Available; their names."""
    names = [f"set-{number}" for number in range(count)]
    for name in names:
        await cluster.client.create(LEADERWORKERSETS, manifest(name, **arguments))
    for name in names:
        await cluster.available(name)
    return names


async def rest(cluster: Cluster, seconds: float = 5.0, *, limit: float = 600.0) -> None:
    """Wait until nothing at all was stored for so many virtual seconds; for clusters without leases and heartbeats."""
    storage = cluster.sandbox.server.storage
    async with asyncio.timeout(limit):
        last, since = storage.revision, 0.0
        while since < seconds:
            await asyncio.sleep(0.5)
            since = since + 0.5 if storage.revision == last else 0.0
            last = storage.revision


async def edit_image(cluster: Cluster, name: str, image: str) -> None:
    """Have a set run another image."""
    template = {"spec": {"containers": [{"name": "main", "image": image}]}}
    patch = {"spec": {"leaderWorkerTemplate": {"workerTemplate": template}}}
    await cluster.client.patch(LEADERWORKERSETS, NAMESPACE, name, patch)


@asynccontextmanager
async def counted(patch: pytest.MonkeyPatch, **arguments: Any) -> AsyncIterator[tuple[Cluster, Tally]]:
    """A cluster with an operator that works, and the tally of its API server."""
    async with Cluster(**arguments) as cluster:
        tally = Tally(cluster, patch)
        await cluster.start()
        yield cluster, tally
