"""What the controller of a rehearsal wrote to objects of sets, and which members each write changed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any, Final

import orjson

from lws.api.disaggregatedset import labels as role_labels
from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.cli.kubectl.plan.rehearsal import Write
from lws.client.transport import Request, Response, Stream, Transport
from lws.planning.leaderworkerset.course import Place
from lws_sandbox.requests import parse
from lws_sandbox.rest.call import Query
from lws_sandbox.storage import Storage

MOST: Final = 8  # members named of one write
_PASSED: Final = ("events", "leases")
_VERBS: Final = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_SYSTEM: Final = ("managedFields", "resourceVersion", "generation")


class Ledger:
    """Writes by set, in their order; those about DisaggregatedSets in ``roles``."""

    def __init__(self) -> None:
        self._writes: dict[Place, list[Write]] = {}
        self._roles: dict[Place, list[Write]] = {}

    def clear(self) -> None:
        """Forget."""
        self._writes.clear()
        self._roles.clear()

    def note(self, place: Place, write: Write, *, roles: bool) -> None:
        """One more."""
        (self._roles if roles else self._writes).setdefault(place, []).append(write)

    def by_set(self) -> dict[Place, tuple[Write, ...]]:
        """All that were about LeaderWorkerSets."""
        return {place: tuple(writes) for place, writes in sorted(self._writes.items())}

    def of_roles(self, place: Place) -> tuple[Write, ...]:
        """Those about a DisaggregatedSet itself, its Services and scalers."""
        return tuple(self._roles.get(place, ()))


class Noting:
    """A transport that notes every write that changed something, and passes everything on."""

    def __init__(self, inner: Transport, ledger: Ledger, storage: Storage) -> None:
        self._inner = inner
        self._ledger = ledger
        self._storage = storage

    async def send(self, request: Request) -> Response:
        """Pass on, and note."""
        if request.method not in _VERBS or ("dryRun", "All") in request.query:
            return await self._inner.send(request)
        info = parse(request.method, request.path, Query(request.query))
        name = info.name or str((orjson.loads(request.body).get("metadata") or {}).get("name", ""))
        key = f"{info.resource}.{info.group}" if info.group else info.resource
        before = self._storage.get(key, info.namespace, name)
        response = await self._inner.send(request)
        after = self._storage.get(key, info.namespace, name)
        if response.status < 300 and info.resource not in _PASSED and before is not after:
            self._note(request.method, before, after, name)
        return response

    def _note(self, method: str, before: JSON | None, after: JSON | None, name: str) -> None:
        known: JSON = after or before or {}
        meta = known.get("metadata") or {}
        kind = str(known.get("kind") or "")
        place, roles = _about(kind, meta, name)
        if place[1]:
            changes = tuple(changed(before or {}, after or {})) if before and after else ()
            shown = changes if len(changes) <= MOST else (*changes[:MOST], f"and {len(changes) - MOST} more")
            self._ledger.note(place, Write(_VERBS[method], kind, name, shown), roles=roles)

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        """Pass on."""
        return self._inner.stream(request)

    async def close(self) -> None:
        """Close what is inside."""
        await self._inner.close()


def _about(kind: str, meta: JSON, name: str) -> tuple[Place, bool]:
    """The set that an object belongs to, of an empty name for none; and whether it is a DisaggregatedSet."""
    namespace, own = str(meta.get("namespace") or ""), meta.get("labels") or {}
    if kind == LEADERWORKERSETS.kind:
        return (namespace, name), False
    if (lws := own.get(labels.NAME)) or (kind != DISAGGREGATEDSETS.kind and role_labels.NAME not in own):
        return (namespace, str(lws or "")), False
    return (namespace, name if kind == DISAGGREGATEDSETS.kind else str(own[role_labels.NAME])), True


def changed(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Dotted paths of the members that differ, but for those that every write changes."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        if before != after:
            yield path
        return
    for name in (*before, *(each for each in after if each not in before)):
        if not path or path != "metadata" or name not in _SYSTEM:
            yield from changed(before.get(name), after.get(name), f"{path}.{name}" if path else name)
