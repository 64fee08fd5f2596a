"""The verbs of the Kubernetes API, over any `Transport`.

Guarantees: a failure answered by the server is raised as the error of its status in `lws.errors`; no answer is a
`TransportError`. Nothing is retried here: queues and watchers have their own back-off.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from time import perf_counter
from typing import Any, Protocol, TypeAlias

import orjson

from lws.apimachinery.gotext import encode
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import Resource
from lws.client.errors import BODY_LIMIT, error_from_answer
from lws.client.limiter import Limiter
from lws.client.transport import Request, Response, Stream, Transport
from lws.errors import TransportError

Query: TypeAlias = tuple[tuple[str, str], ...]

APPLICATION_JSON = "application/json"
JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_MERGE_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"

WARNINGS_REMEMBERED = 200
DEFAULT_TIMEOUT = 65.0  # seconds; a little more than an API server gives a request itself


class Observer(Protocol):
    """Told of every request that ended."""

    def __call__(self, method: str, code: str, host: str, seconds: float) -> None:
        """``code`` is the HTTP status, or ``<error>`` when there was no answer."""
        ...


class ApiClient:
    """Speaks to one API server.

    Args:
        transport: carries the requests; it is not closed by this client.
        user_agent: sent with every request.
        field_manager: owner of the fields that are written, unless a call names another; None lets the server derive it
            from the user agent.
        host: the server's name, for the observer only.
        limiter: asked before every request, if given.
        observer: told of every request, if given.
        warn: told each warning of the server once; by default it is logged.
        timeout: seconds for a whole answer, and for a stream to begin.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        user_agent: str,
        field_manager: str | None,
        host: str = "",
        limiter: Limiter | None = None,
        observer: Observer | None = None,
        warn: Callable[[str], None] | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self._transport = transport
        self.field_manager = field_manager
        self._user_agent = user_agent
        self._host = host
        self._limiter = limiter
        self._observer = observer
        self._tell_warning = warn
        self._timeout = timeout
        self._warned: set[str] = set()

    # Verbs.

    async def get(self, resource: Resource, namespace: str, name: str, subresource: str = "") -> JSON:
        """Read one object.

        Raises:
            NotFoundError: it does not exist.
            ApiError: any other failure answered.
            TransportError: no answer.
        """
        return await self._call("GET", resource.path(namespace, name, subresource))

    async def list(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        limit: int | None = None,
        continue_: str | None = None,
        resource_version: str | None = None,
        resource_version_match: str | None = None,
    ) -> JSON:
        """Read a collection, or one page of it; the next page's token is ``metadata.continue``."""
        query = query_of(
            labelSelector=label_selector,
            fieldSelector=field_selector,
            limit=limit,
            **{"continue": continue_},
            resourceVersion=resource_version,
            resourceVersionMatch=resource_version_match,
        )
        return await self._call("GET", resource.path(namespace), query)

    async def create(
        self,
        resource: Resource,
        manifest: Mapping[str, Any],
        *,
        namespace: str | None = None,
        name: str = "",
        subresource: str = "",
        field_manager: str = "",
        dry_run: bool = False,
    ) -> JSON:
        """Create an object; its namespace is that of the manifest unless given.

        ``name`` and ``subresource`` together address what is created below an object, such as an eviction. A dry run
        goes through all of admission and stores nothing.

        Raises:
            AlreadyExistsError: the name is taken.
            InvalidError: a rule is broken.
        """
        where = _namespace(manifest) if namespace is None else namespace
        path = resource.path(where, name, subresource)
        query = query_of(fieldManager=field_manager or self.field_manager, dryRun="All" if dry_run else None)
        return await self._call("POST", path, query, manifest)

    async def update(
        self,
        resource: Resource,
        manifest: Mapping[str, Any],
        *,
        subresource: str = "",
        field_manager: str = "",
    ) -> JSON:
        """Replace the object that the manifest names; a resourceVersion in it is a precondition.

        Raises:
            ConflictError: the live object has another resourceVersion.
            NotFoundError: it does not exist.
        """
        path = resource.path(_namespace(manifest), _name(manifest), subresource)
        return await self._call("PUT", path, query_of(fieldManager=field_manager or self.field_manager), manifest)

    async def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Any,
        *,
        content_type: str = MERGE_PATCH,
        subresource: str = "",
        field_manager: str = "",
        force: bool | None = None,
        dry_run: bool = False,
    ) -> JSON:
        """Patch one object with JSON of the given type; a dry run goes through all of admission and stores nothing."""
        manager = field_manager or self.field_manager
        query = query_of(fieldManager=manager, force=force, dryRun="All" if dry_run else None)
        path = resource.path(namespace, name, subresource)
        return await self._call("PATCH", path, query, patch, content_type)

    async def apply(
        self,
        resource: Resource,
        manifest: Mapping[str, Any],
        *,
        field_manager: str = "",
        force: bool = True,
        subresource: str = "",
        dry_run: bool = False,
    ) -> JSON:
        """Server-side apply of the object that the manifest names; a dry run stores nothing.

        Raises:
            ConflictError: another manager owns a field, and ``force`` is off.
        """
        return await self.patch(
            resource,
            _namespace(manifest),
            _name(manifest),
            manifest,
            content_type=APPLY_PATCH,
            subresource=subresource,
            field_manager=field_manager,
            force=force,
            dry_run=dry_run,
        )

    async def delete(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        propagation: str | None = None,
        grace_period_seconds: int | None = None,
    ) -> JSON:
        """Delete one object; answers with the object or a ``Status``.

        Args:
            resource: what kind of object.
            namespace: where.
            name: which.
            uid: only the object with this UID.
            resource_version: only at this version.
            propagation: ``Foreground``, ``Background`` or ``Orphan``.
            grace_period_seconds: seconds for a graceful end; 0 is at once.

        Raises:
            NotFoundError: it does not exist.
            ConflictError: a precondition does not hold.
        """
        preconditions = _present(uid=uid, resourceVersion=resource_version)
        options = _present(
            preconditions=preconditions or None,
            propagationPolicy=propagation,
            gracePeriodSeconds=grace_period_seconds,
        )
        body = {"apiVersion": "v1", "kind": "DeleteOptions", **options} if options else None
        return await self._call("DELETE", resource.path(namespace, name), (), body)

    # Plain requests.

    async def send(self, request: Request) -> Response:
        """Send a request as it is, with the common headers, limit and timeout; a status of 400 or more is raised."""
        request = self._prepared(request)
        if self._limiter is not None:
            await self._limiter.acquire()
        begin = perf_counter()
        try:
            response = await self._transport.send(request)
        except TransportError:
            self._observe(request.method, "<error>", begin)
            raise
        self._observe(request.method, str(response.status), begin)
        self._warn(request, response.warnings)
        if response.status >= 400:
            raise error_from_answer(response.status, response.headers, response.body)
        return response

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Stream]:
        """Open an answer that goes on, such as a watch; a status of 400 or more is raised.

        Raises:
            ApiError: the server refused.
            TransportError: no answer.
        """
        request = self._prepared(request)
        if self._limiter is not None:
            await self._limiter.acquire()
        begin = perf_counter()
        opened = False
        try:
            async with self._transport.stream(request) as answer:
                opened = True
                self._observe(request.method, str(answer.status), begin)
                if answer.status >= 400:
                    raise error_from_answer(answer.status, answer.headers, await _head(answer))
                yield answer
        except TransportError:
            if not opened:
                self._observe(request.method, "<error>", begin)
            raise

    async def _call(
        self,
        method: str,
        path: str,
        query: Query = (),
        body: Any = None,
        content_type: str = APPLICATION_JSON,
    ) -> JSON:
        headers = {} if body is None else {"content-type": content_type}
        # As Go spells it: the server compares the data of revisions, which Go controllers write too, byte for byte.
        raw = b"" if body is None else encode(body, sort_keys=False)
        response = await self.send(Request(method, path, query, headers, raw))
        return _document(response)

    def _prepared(self, request: Request) -> Request:
        headers = {"accept": APPLICATION_JSON, "user-agent": self._user_agent, **request.headers}
        timeout = self._timeout if request.timeout is None else request.timeout
        return replace(request, headers=headers, timeout=timeout)

    def _warn(self, request: Request, texts: tuple[str, ...]) -> None:
        """Pass on what the server warns of, each text once."""
        for text in texts:
            if text in self._warned or len(self._warned) >= WARNINGS_REMEMBERED:
                continue
            self._warned.add(text)
            if self._tell_warning is not None:
                self._tell_warning(text)
            else:
                _log_warning(request, text)

    def _observe(self, method: str, code: str, begin: float) -> None:
        if self._observer is not None:
            self._observer(method, code, self._host, perf_counter() - begin)


def _log_warning(request: Request, text: str) -> None:
    import structlog  # short commands print warnings, and need not wait for its import

    log = structlog.get_logger("lws.client")
    log.warning("the API server warns", warning=text, method=request.method, path=request.path)


def query_of(**parameters: str | int | bool | None) -> Query:
    """Query parameters in the order given, without those that are None or empty."""
    return tuple((name, _query_text(value)) for name, value in parameters.items() if value is not None and value != "")


def _query_text(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _present(**members: Any) -> JSON:
    return {name: value for name, value in members.items() if value is not None}


def _namespace(manifest: Mapping[str, Any]) -> str:
    return str(manifest.get("metadata", {}).get("namespace") or "")


def _name(manifest: Mapping[str, Any]) -> str:
    name = manifest.get("metadata", {}).get("name")
    if not name:
        raise ValueError("the manifest has no metadata.name")
    return str(name)


def _document(response: Response) -> JSON:
    try:
        document = orjson.loads(response.body)
    except orjson.JSONDecodeError as error:
        raise TransportError("the answer is not JSON: something between us and the server broke it") from error
    if not isinstance(document, dict):
        raise TransportError("the answer is not a JSON object")
    return document


async def _head(answer: Stream) -> bytes:
    """The beginning of an error's body, as far as it is kept."""
    body = b""
    async for chunk in answer.chunks():
        body += chunk
        if len(body) >= 16 * BODY_LIMIT:
            break
    return body
