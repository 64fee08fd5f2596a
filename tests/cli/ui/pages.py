"""The page over a sandbox's API server, and a browser's part in it: cookies, streams, writes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import aiohttp
import orjson

from lws.api.leaderworkerset import labels
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CUSTOMRESOURCEDEFINITIONS
from lws.cli.kubectl.ui.command import page
from lws.cli.kubectl.ui.gate import WRITING
from lws.client.api import ApiClient
from lws_sandbox.cluster import Sandbox
from lws_sandbox.user import ADMIN, UserInfo
from tests.simulation.cluster import DISAGGREGATED, LEADERWORKERSET, _slim_crd

WITHIN: Final = 20.0  # seconds that anything may take


@dataclass
class Tab:
    """One tab of a browser.

    Attributes:
        session: with its cookies.
        base: where the page is, such as ``http://127.0.0.1:1234``.
        token: of the address.
        state: the document, as the events made it.
    """

    session: aiohttp.ClientSession
    base: str
    token: str
    state: dict[str, Any] = field(default_factory=dict)
    beats: int = 0
    sizes: list[int] = field(default_factory=list)

    async def enter(self) -> None:
        """Open the address."""
        async with self.session.get(f"{self.base}/?token={self.token}") as answer:
            assert answer.status == 200, await answer.text()

    async def post(self, path: str, body: JSON) -> JSON:
        """A write of the page."""
        headers = {"Origin": self.base, WRITING: "1"}
        async with self.session.post(f"{self.base}{path}", json=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            found: JSON = await answer.json()
            return found

    async def until(self, query: str, wanted: Any) -> dict[str, Any]:
        """Follow a view until its document is as wanted."""
        async with asyncio.timeout(WITHIN), self.session.get(f"{self.base}/api/stream?{query}") as answer:
            assert answer.status == 200
            event = ""
            async for raw in answer.content:
                line = raw.decode().rstrip("\n")
                if line.startswith("event: "):
                    event = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    self.sizes.append(len(raw))
                    self._take(event, orjson.loads(line.removeprefix("data: ")))
                    if wanted(self.state):
                        return self.state
        raise AssertionError("the stream ended")

    def _take(self, event: str, data: JSON) -> None:
        if event == "beat":
            self.beats += 1
        if event == "reset":
            self.state = {}
        self.state.update(data.get("new", {}))
        for key, members in data.get("changed", {}).items():
            merged = {**self.state[key], **members}
            self.state[key] = {name: value for name, value in merged.items() if value is not None}
        for key in data.get("gone", ()):
            del self.state[key]


@asynccontextmanager
async def tab(address: str) -> AsyncIterator[Tab]:
    """A tab that has not entered yet."""
    parts = urlsplit(address)
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address
    async with aiohttp.ClientSession(cookie_jar=jar, read_bufsize=2**24) as session:
        yield Tab(session, f"http://{parts.netloc}", parse_qs(parts.query)["token"][0])


@asynccontextmanager
async def served(user: UserInfo = ADMIN, **options: Any) -> AsyncIterator[tuple[ApiClient, str]]:
    """An API server with our definitions and no controllers, and the page over it; a client and the address."""
    async with Sandbox(loops=("none",)) as sandbox:
        client = sandbox.client()
        for name in (LEADERWORKERSET, *DISAGGREGATED):
            await client.create(CUSTOMRESOURCEDEFINITIONS, _slim_crd(name))
        async with page(sandbox.client(user), namespace="", server="here", **options) as address:
            yield client, address


def manifest(name: str, **spec: Any) -> JSON:
    """A LeaderWorkerSet of groups of two."""
    template = {"size": 2, "workerTemplate": {"spec": {"containers": [{"name": "main", "image": "app:1"}]}}}
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": 2, "leaderWorkerTemplate": template, **spec},
    }


def leader(name: str, group: int, **spec: Any) -> JSON:
    """A leader pod of a set."""
    identity = {labels.NAME: name, labels.GROUP_INDEX: str(group), labels.WORKER_INDEX: "0", labels.REVISION: "new"}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{name}-{group}", "namespace": "default", "labels": identity},
        "spec": {"containers": [{"name": "main", "image": "app:1"}], **spec},
    }


def leader_set(name: str, owner: str) -> JSON:
    """The leader StatefulSet of a set with this UID."""
    of = {"apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": "LeaderWorkerSet", "name": name, "uid": owner}
    identity = {labels.NAME: name, labels.REVISION: "new"}
    template = {"metadata": {"labels": identity}, "spec": {"containers": [{"name": "main", "image": "app:1"}]}}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": identity,
            "ownerReferences": [{**of, "controller": True}],
        },
        "spec": {"replicas": 1, "serviceName": name, "selector": {"matchLabels": identity}, "template": template},
    }
