"""The API server: from a request to its answer, without sockets and without knowing any kind by name."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from random import Random
from typing import Any, Final

import orjson
import structlog

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CUSTOMRESOURCEDEFINITIONS
from lws.client.transport import Request
from lws.clock import Clock
from lws_sandbox import diagnostics, discovery, negotiation, protobuf, tables
from lws_sandbox.access import Access, OpenAccess, refused
from lws_sandbox.catalog import Catalog, Served
from lws_sandbox.faults import Fault, Faults, failure
from lws_sandbox.openapi import OpenApi
from lws_sandbox.reply import CACHE, Reply, of_error, of_json, page_not_found
from lws_sandbox.requests import parse, selected
from lws_sandbox.rest import creating, deleting, patching, reading, subresources, updating
from lws_sandbox.rest.call import Call, Query, RequestInfo, delete_options, query_delete_options
from lws_sandbox.rest.core import Admission, Core, ObjectCodec
from lws_sandbox.rest.watching import Watch
from lws_sandbox.status import (
    StatusError,
    internal_error,
    method_not_allowed,
    no_such_resource,
    not_found,
    of,
    success,
    too_large,
)
from lws_sandbox.storage import Storage
from lws_sandbox.user import UserInfo

Review = Callable[[Call], Awaitable[JSON]]
Computed = Callable[[Call], JSON]
BODY_LIMIT: Final = 3 * 1024 * 1024
WATCH_SECONDS: Final = (1800.0, 3600.0)
LIST_PIECE: Final = 200
_log = structlog.get_logger(__name__)


class ApiServer:
    """An API server over a `Storage` and a `Catalog`.

    Everything that it does depends on its arguments alone, so that a run with the same clock and chance gives the same
    answers twice. It opens no socket and starts no task.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        random: Random,
        catalog: Catalog,
        codec: ObjectCodec,
        admission: Admission,
        access: Access | None = None,
        reviews: Mapping[tuple[str, str], Review] | None = None,
        storage: Storage | None = None,
    ) -> None:
        self.storage = storage or Storage()
        self.catalog = catalog
        self.access: Access = access or OpenAccess()
        self.reviews: dict[tuple[str, str], Review] = {("", "bindings"): self._bind, **(reviews or {})}
        self.computed: dict[tuple[str, str], Computed] = {}  # what is read and stored nowhere, by group and plural
        self.faults = Faults(random)
        self.core = Core(self.storage, clock, random, codec, admission, catalog.strategies, self._allow)
        definitions = str(CUSTOMRESOURCEDEFINITIONS)
        self.discovery = discovery.Discovery(catalog, OpenApi(catalog, lambda: self.storage.objects(definitions)))
        self.clock = clock
        self._random = random
        self._watches: dict[Watch, None] = {}
        self.requests: diagnostics.RequestCounts = Counter()
        self.rejections: diagnostics.RejectionCounts = Counter()  # by admission webhooks
        self.discovery.add_pages(diagnostics.pages(self, clock.now(), clock.now))

    async def handle(self, request: Request, user: UserInfo | None = None) -> Reply:
        """Answer a request; never raises.

        Args:
            request: as it came.
            user: the caller, when the transport knows; else the headers tell.
        """
        query = Query(request.query)
        info = parse(request.method, request.path, query)
        accept = request.headers.get("accept", "")
        warnings: list[str] = []
        try:
            reply = await self._answer(request, info, query, user, warnings)
        except StatusError as error:
            warnings += [text for text in error.warnings if text not in warnings]
            reply = of_error(error, accept)
        except Exception as error:
            _log.exception("request failed", method=request.method, path=request.path)
            reply = of_error(internal_error(str(error)), accept)
        self.requests[info.verb, info.group, info.resource, reply.status] += 1
        reply.warnings = tuple(dict.fromkeys(warnings))
        if request.method == "HEAD":
            reply.body = b""
        return reply

    async def _answer(
        self, request: Request, info: RequestInfo, query: Query, user: UserInfo | None, warnings: list[str]
    ) -> Reply:
        late = await self.faults.before(info)
        asked = selected(info, query)
        who = await self.access.authenticate(request.headers, user, asked)
        await self._authorize(who, asked, request.method)
        reply = await self._route(request, info, query, who, warnings)
        if late:
            raise failure(late[0].code)
        return reply

    async def _authorize(self, who: UserInfo, info: RequestInfo, method: str) -> None:
        if self.discovery.is_public(info.path, method):
            return
        allowed, reason = await self.access.authorize(who, info)
        if not allowed:
            raise refused(who, info, reason)

    async def _allow(self, call: Call, verb: str) -> None:
        """The caller may also use another verb, as a PUT that creates needs."""
        info = replace(call.info, verb=verb)
        allowed, reason = await self.access.authorize(call.user, info)
        if not allowed:
            raise refused(call.user, info, reason)

    async def _route(
        self, request: Request, info: RequestInfo, query: Query, who: UserInfo, warnings: list[str]
    ) -> Reply:
        if not info.resource:
            return self.discovery.answer(request.method, info.path, query, request.headers)
        request = _readable(request)
        served = self.catalog.find(info.group, info.version, info.resource)
        if served is None:
            if not self.catalog.is_builtin(info.group):
                return page_not_found()
            raise no_such_resource()
        call = Call(self._scoped(served, info), served.strategy, who, query, request.headers, request.body, warnings)
        if not self._is_served(served, info):
            if served.strategy.custom:
                return page_not_found()
            raise method_not_allowed() if _shaped(served, info) else no_such_resource()
        if len(request.body) > BODY_LIMIT:
            raise too_large(f"Request entity too large: limit is {BODY_LIMIT}")
        return await self._serve(served, call, request.method)

    @staticmethod
    def _scoped(served: Served, info: RequestInfo) -> RequestInfo:
        return info if served.strategy.resource.namespaced else replace(info, namespace="")

    @staticmethod
    def _is_served(served: Served, info: RequestInfo) -> bool:
        """Whether the path's scope fits the kind's."""
        if not served.strategy.resource.namespaced:
            return not info.namespace or info.resource == "namespaces"
        return (
            bool(info.namespace)
            or info.verb in ("list", "watch")
            or (not served.strategy.custom and info.verb == "deletecollection")
        )

    async def _serve(self, served: Served, call: Call, method: str) -> Reply:
        accept = call.headers.get("accept", "")
        strategy, info = call.strategy, call.info
        call.warnings += [strategy.deprecation] if strategy.deprecation else []
        if not strategy.custom:
            negotiation.check_route(accept)
        if info.subresource:
            found = served.subresource(info.subresource)
            if found is None:
                raise _no_subresource(call)
            if info.verb not in found.verbs or method == "HEAD":
                raise method_not_allowed()
            review = self.reviews.get((info.group, f"{info.resource}/{info.subresource}"))
            if review is not None:
                return of_json(await review(call), 201)
            return await self._subresource(call)
        if info.verb not in served.verbs or method == "HEAD" or bool(info.name) != _named(info):
            raise method_not_allowed()
        review = self.reviews.get((info.group, info.resource))
        if review is not None:
            return of_json(await review(call), 201)
        computed = self.computed.get((info.group, info.resource))
        return await self._verb(call) if computed is None else of_json(computed(call))

    async def _verb(self, call: Call) -> Reply:
        match call.info.verb:
            case "get":
                return self._object(call, reading.get(self.core, call))
            case "list":
                return await self._list(call, reading.list_page(self.core, call))
            case "watch":
                return self._watch(call)
            case "create":
                return self._object(call, await creating.create(self.core, call), 201)
            case "update":
                obj, created = await updating.update(self.core, call)
                return self._object(call, obj, 201 if created else 200)
            case "patch":
                obj, created = await patching.patch(self.core, call)
                return self._object(call, obj, 201 if created else 200)
            case "delete":
                return await self._delete(call)
            case "deletecollection":
                return await self._delete_collection(call)
        raise method_not_allowed()

    async def _subresource(self, call: Call) -> Reply:
        if call.info.subresource == "status":
            return await self._verb(call)
        body, status = await subresources.serve(self.core, call)
        form = negotiation.choose(call.headers.get("accept", ""))
        return of_json(body, status, media=form.media)

    async def _bind(self, call: Call) -> JSON:
        pods = self.catalog.find("", "v1", "pods")
        if pods is None:
            raise no_such_resource()
        return await subresources.bind_by_body(self.core, call, pods.strategy)

    def _object(self, call: Call, obj: JSON, status: int = 200) -> Reply:
        form = negotiation.choose(call.headers.get("accept", ""))
        include = call.query.text("includeObject")
        shaped = tables.shape_object(obj, call.strategy, form, self.clock.now(), include)
        return of_json(shaped, status, media=form.media, pretty=bool(call.query.flag("pretty")))

    async def _list(self, call: Call, page: reading.Page) -> Reply:
        form = negotiation.choose(call.headers.get("accept", ""))
        if form.target or form.media != negotiation.JSON_TYPE or call.query.flag("pretty"):
            include = call.query.text("includeObject")
            shaped = tables.shape_page(page, call.strategy, form, self.clock.now(), include)
            return of_json(shaped, media=form.media, pretty=bool(call.query.flag("pretty")))
        items: list[bytes] = []
        for index, obj in enumerate(page.items):
            items.append(orjson.dumps(tables.list_item(obj, call.strategy)))
            if index % LIST_PIECE == LIST_PIECE - 1:
                await asyncio.sleep(0)
        body = negotiation.joined(tables.list_head(page, call.strategy), items)
        return Reply(200, {**CACHE, "content-type": negotiation.JSON_TYPE}, body)

    def _watch(self, call: Call) -> Reply:
        form = negotiation.choose_watch(call.headers.get("accept", ""))
        encode = self._encoder(call, form)
        shared = "" if form.target == "Table" else f"{call.strategy.resource.api_version}/{form.target}/{form.version}"
        seconds = self._random.uniform(*WATCH_SECONDS)
        watch = Watch(self.core, call, encode, form=shared, default_timeout=seconds, open_watches=self._watches)
        headers = {**CACHE, "content-type": negotiation.JSON_TYPE}
        return Reply(200, headers, stream=watch.frames(), abort=watch.abort)

    def _encoder(self, call: Call, form: negotiation.Form) -> Callable[[str, JSON], bytes]:
        strategy = call.strategy
        if form.target == "Table":
            stream = tables.TableStream(strategy, form, call.query.text("includeObject"))

            def table(kind: str, obj: JSON) -> bytes:
                if kind == "ERROR":
                    return _line(kind, obj)
                now = self.clock.now()
                return _line(kind, stream.bookmark(obj, now) if kind == "BOOKMARK" else stream.shape(obj, now))

            return table

        def plain(kind: str, obj: JSON) -> bytes:
            if kind == "ERROR":
                return _line(kind, obj)
            return _line(kind, tables.shape_object(obj, strategy, form, self.clock.now(), ""))

        return plain

    async def _delete(self, call: Call) -> Reply:
        options = delete_options(self._delete_source(call))
        deleted = await deleting.delete(self.core, call, options)
        if deleted.gone and not call.strategy.returns_deleted:
            meta = deleted.obj["metadata"]
            return of_json(success(of(call.strategy.resource), meta["name"], meta.get("uid", "")))
        accepted = not deleted.gone and options.orphan_dependents is False
        return self._object(call, deleted.obj, 202 if accepted else 200)

    def _delete_source(self, call: Call) -> JSON:
        if call.body:
            return self.core.codec.decode_options(call)
        return query_delete_options(call.query)

    async def _delete_collection(self, call: Call) -> Reply:
        options = delete_options(self._delete_source(call))
        page = reading.list_page(self.core, call)
        names = [(obj["metadata"].get("namespace") or "", obj["metadata"]["name"]) for obj in page.items]
        await deleting.delete_each(self.core, call, names, options)
        return await self._list(call, page)

    # What can go wrong, on purpose.

    def slow(self, seconds: float, **where: Any) -> Fault:
        """Hold requests; ``where`` are members of `Fault`."""
        fault = Fault(seconds=seconds, **where)
        self.faults.add(fault)
        return fault

    def fail(self, code: int = 500, **where: Any) -> Fault:
        """Fail requests with ``code``; ``where`` are members of `Fault`."""
        fault = Fault(code=code, **where)
        self.faults.add(fault)
        return fault

    def heal(self) -> None:
        """End all faults."""
        self.faults.clear()

    def compact(self, revision: int | None = None) -> int:
        """Forget changes up to ``revision``, by default all; returns it. Watches from before it get 410."""
        return self.storage.compact(revision)

    def break_watches(self) -> int:
        """End every watch as a lost connection does; returns how many."""
        watches = list(self._watches)
        for watch in watches:
            watch.abort()
        return len(watches)

    @property
    def watches(self) -> int:
        """How many watches are open."""
        return len(self._watches)


def _line(kind: str, obj: JSON) -> bytes:
    return orjson.dumps({"type": kind, "object": obj}, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_NON_STR_KEYS)


def _readable(request: Request) -> Request:
    """The request, a protobuf body read into JSON."""
    if not request.headers.get("content-type", "").startswith(protobuf.MEDIA_TYPE) or not request.body:
        return request
    headers = {**request.headers, "content-type": negotiation.JSON_TYPE}
    return replace(request, headers=headers, body=protobuf.to_json(request.body))


def _named(info: RequestInfo) -> bool:
    """Whether the verb is one for a single object."""
    if info.verb == "watch":
        return bool(info.name)
    return info.verb in ("get", "update", "patch", "delete")


def _shaped(served: Served, info: RequestInfo) -> bool:
    """Whether the path is one of the resource's, though not for this method."""
    return served.strategy.resource.namespaced and not info.namespace and not info.name


def _no_subresource(call: Call) -> StatusError:
    if call.strategy.custom:
        return not_found(of(call.strategy.resource), call.info.name)
    return no_such_resource()
