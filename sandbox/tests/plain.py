"""A server whose kinds have no rules of their own: what remains are the rules of the API machinery."""

from __future__ import annotations

import json
from random import Random
from typing import Any, Self

from lws.apimachinery.manifests import JSON
from lws.client.transport import Request, Response
from lws_sandbox.admission import Unreachable, WebhookAdmission
from lws_sandbox.builtinresources import builtins
from lws_sandbox.catalog import build
from lws_sandbox.codec import SchemaCodec
from lws_sandbox.server import ApiServer
from lws_sandbox.storage import WINDOW, Storage
from lws_sandbox.transport import InProcessTransport
from lws_sandbox.user import ADMIN
from lws_sandbox.virtual_time import VirtualClock

MAPS = "/api/v1/namespaces/default/configmaps"
JSON_TYPE = "application/json"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


def plain_server(seed: int = 1, window: int = WINDOW) -> ApiServer:
    """A server of generic kinds, in virtual time."""
    storage = Storage(window)
    catalog = build(builtins(), {})
    random = Random(seed)
    admission = WebhookAdmission(
        mutating=lambda: (),
        validating=lambda: (),
        namespace=lambda name: storage.get("namespaces", "", name),
        strategies=catalog.strategies,
        caller=Unreachable(),
        random=random,
    )
    return ApiServer(
        clock=VirtualClock(),
        random=random,
        catalog=catalog,
        codec=SchemaCodec(catalog),
        admission=admission,
        storage=storage,
    )


class Answer:
    """An answer, read."""

    def __init__(self, response: Response) -> None:
        self.status = response.status
        self.headers = response.headers
        self.warnings = response.warnings
        self.raw = response.body

    @property
    def body(self) -> Any:
        """The JSON of the body."""
        return json.loads(self.raw) if self.raw else None

    @property
    def version(self) -> str:
        """The resourceVersion of the object or list."""
        return str(self.body["metadata"]["resourceVersion"])

    @property
    def names(self) -> list[str]:
        """Names of a list's items."""
        return [item["metadata"]["name"] for item in self.body["items"]]

    @property
    def events(self) -> list[JSON]:
        """The events of a watch that has ended."""
        return [json.loads(line) for line in self.raw.splitlines() if line]

    @property
    def story(self) -> list[tuple[str, str]]:
        """Type and name of each event of a watch that has ended."""
        return [(event["type"], event["object"]["metadata"].get("name", "")) for event in self.events]


class Plain:
    """A server with a namespace, and a client of it."""

    def __init__(self, server: ApiServer | None = None) -> None:
        self.server = server or plain_server()
        self.transport = InProcessTransport(self.server, ADMIN)

    async def begin(self) -> Self:
        """Create the namespace ``default``."""
        await self.post("/api/v1/namespaces", {"metadata": {"name": "default"}})
        return self

    async def ask(
        self, method: str, path: str, body: Any = None, *, media: str = JSON_TYPE, accept: str = "", **query: Any
    ) -> Answer:
        """Send a request; ``_`` in names of query parameters stands for nothing."""
        pairs = tuple((name.rstrip("_"), str(value)) for name, value in query.items())
        headers = {"content-type": media, "user-agent": "test/1"} | ({"accept": accept} if accept else {})
        raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        return Answer(await self.transport.send(Request(method, path, pairs, headers, raw)))

    async def get(self, path: str, **options: Any) -> Answer:
        """GET."""
        return await self.ask("GET", path, **options)

    async def post(self, path: str, body: Any, **options: Any) -> Answer:
        """POST."""
        return await self.ask("POST", path, body, **options)

    async def put(self, path: str, body: Any, **options: Any) -> Answer:
        """PUT."""
        return await self.ask("PUT", path, body, **options)

    async def merge(self, path: str, body: Any, **options: Any) -> Answer:
        """PATCH with a merge patch."""
        return await self.ask("PATCH", path, body, media=MERGE, **options)

    async def delete(self, path: str, body: Any = None, **options: Any) -> Answer:
        """DELETE."""
        return await self.ask("DELETE", path, body, **options)

    async def make(self, name: str, *, labels: JSON | None = None, data: JSON | None = None, **meta: Any) -> Answer:
        """Create a ConfigMap."""
        metadata = {"name": name, **({"labels": labels} if labels else {}), **meta}
        answer = await self.post(MAPS, {"metadata": metadata, **({"data": data} if data else {})})
        assert answer.status == 201, answer.raw
        return answer
