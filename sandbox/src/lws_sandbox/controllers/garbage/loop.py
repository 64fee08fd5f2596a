"""The garbage collector: keeps the graph of owners, and deletes what has no reason to be.

Everything that is looked at is read from the server first; the graph only says where to look.
"""

from __future__ import annotations

import asyncio
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CUSTOMRESOURCEDEFINITIONS, Resource
from lws.client.api import MERGE_PATCH, STRATEGIC_MERGE_PATCH
from lws.errors import ApiError, ConflictError, InvalidError, LwsError, NotFoundError, TransportError
from lws.informers.kinds import RawObject
from lws_sandbox.controllers.base import Done, KeyedLoop, RequeueAfter, Toolbox, Verdict, get_or_none
from lws_sandbox.controllers.discovery import by_kind, discover, group_of
from lws_sandbox.controllers.garbage.graph import FOREGROUND, ORPHAN, Graph, Identity, Look, Node
from lws_sandbox.controllers.garbage.verdict import DeleteObject, Keep, TakeReferences, judge
from lws_sandbox.controllers.objects import meta, owners_of, uid_of

RESYNC: Final = 30.0  # seconds between looks at what the server serves
UNKNOWN_KIND_RETRY: Final = 5.0
_IGNORED: Final = frozenset({("", "events"), ("events.k8s.io", "events"), ("coordination.k8s.io", "leases")})
_UNSUPPORTED: Final = 415


class GarbageCollectorLoop(KeyedLoop[Look]):
    """Collects what has lost its owners, frees what is orphaned, and ends foreground deletions."""

    def __init__(self, tools: Toolbox) -> None:
        super().__init__(tools, "garbage-collector-controller", self.look, workers=20)
        self._tools = tools
        self._client = tools.client()
        self._graph = Graph()
        self._kinds: dict[tuple[str, str], Resource] = {}
        self._watched: set[tuple[str, str]] = set()
        self._rediscover = asyncio.Event()

    async def run(self) -> None:
        """Run until cancelled."""
        crds = self._tools.watch(CUSTOMRESOURCEDEFINITIONS)
        crds.on_change(lambda _old, _new, _initial: self._rediscover.set())
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_discovery())
            group.create_task(super().run())

    async def _follow_discovery(self) -> None:
        """Watch what is served, and what is served later."""
        while True:
            self._rediscover.clear()
            try:
                await self._discover()
            except (ApiError, TransportError):
                await asyncio.sleep(1.0)
                continue
            try:
                async with asyncio.timeout(RESYNC):
                    await self._rediscover.wait()
                    await asyncio.sleep(0.05)  # a new resource is served a moment after its definition
            except TimeoutError:
                continue

    async def _discover(self) -> None:
        served = await discover(self._client)
        self._kinds = by_kind(served)
        for item in served:
            name = (item.resource.group, item.resource.plural)
            if {"list", "watch", "delete"} <= item.verbs and name not in _IGNORED and name not in self._watched:
                self._watched.add(name)
                self._watch(item.resource)

    def _watch(self, resource: Resource) -> None:
        def changed(old: RawObject | None, new: RawObject | None, _initial: bool) -> None:
            if new is not None:
                work = self._graph.observe(new.raw, resource.api_version, resource.kind)
            else:
                work = self._graph.forget(old.metadata.uid) if old is not None else []
            self._add(work)

        self._tools.watch(resource).on_change(changed)

    def _add(self, work: list[Look]) -> None:
        for look in work:
            self.queue.add(look)

    async def look(self, look: Look) -> Verdict:
        """Look at one object."""
        node = self._graph.node(look.uid)
        if node is None:
            return Done()
        resource = self._kinds.get((group_of(node.identity.api_version), node.identity.kind))
        if resource is None:
            self._rediscover.set()
            return RequeueAfter(UNKNOWN_KIND_RETRY)
        if look.task == "orphan":
            return await self._orphan(node, resource)
        if node.deleting and not node.foreground:
            return Done()
        live = await get_or_none(self._client, resource, node.identity.namespace, node.identity.name)
        if live is None or uid_of(live) != node.identity.uid:
            if node.virtual:
                self._add(self._graph.forget(look.uid))
            return Done()
        if node.foreground:
            return await self._end_foreground(node, resource, live)
        if not owners_of(live):
            return Done()
        return await self._judge(node, resource, live)

    async def _judge(self, node: Node, resource: Resource, live: JSON) -> Verdict:
        owners = {ref["uid"]: await self._owner(node, ref) for ref in owners_of(live)}
        dependents = self._graph.dependents(node)
        verdict = judge(
            live,
            owners,
            has_dependents=bool(dependents),
            circular=any(dependent.foreground for dependent in dependents),
        )
        match verdict:
            case Keep():
                return Done()
            case TakeReferences():
                await self._take_references(resource, live, verdict.uids)
            case DeleteObject():
                if verdict.unblock:
                    await self._unblock(resource, live)
                await self._delete(resource, node.identity, verdict.propagation)
        return Done()

    async def _owner(self, node: Node, reference: JSON) -> JSON | None:
        """The live owner that a reference means, or None."""
        key = (group_of(reference.get("apiVersion", "")), reference.get("kind", ""))
        resource = self._kinds.get(key)
        if resource is None:
            self._rediscover.set()
            raise NotServed(f"no resource serves {reference.get('kind')} of {reference.get('apiVersion')}")
        namespace = node.identity.namespace if resource.namespaced else ""
        found = await get_or_none(self._client, resource, namespace, reference.get("name", ""))
        return found if found is not None and uid_of(found) == reference.get("uid") else None

    async def _end_foreground(self, node: Node, resource: Resource, live: JSON) -> Verdict:
        """Let the object go if nothing holds it any more, else see to those that do."""
        blocking = self._graph.blocking_dependents(node)
        if not blocking:
            await self._remove_finalizer(resource, live, FOREGROUND)
        for dependent in blocking:
            if not dependent.foreground:
                self.queue.add(Look(dependent.identity.uid))
        return Done()

    async def _orphan(self, node: Node, resource: Resource) -> Verdict:
        """Take the reference to this owner from every dependent, then let the owner go."""
        for dependent in self._graph.dependents(node):
            kind = (group_of(dependent.identity.api_version), dependent.identity.kind)
            dependent_resource = self._kinds[kind]
            where = (dependent.identity.namespace, dependent.identity.name)
            live = await get_or_none(self._client, dependent_resource, *where)
            if live is not None and uid_of(live) == dependent.identity.uid:
                await self._take_references(dependent_resource, live, (node.identity.uid,))
        live = await get_or_none(self._client, resource, node.identity.namespace, node.identity.name)
        if live is not None and uid_of(live) == node.identity.uid:
            await self._remove_finalizer(resource, live, ORPHAN)
        return Done()

    async def _take_references(self, resource: Resource, live: JSON, uids: tuple[str, ...]) -> None:
        strategic = [{"$patch": "delete", "uid": uid} for uid in uids]
        left = [ref for ref in owners_of(live) if ref["uid"] not in uids]
        await self._patch_owners(resource, live, strategic, left or None)

    async def _unblock(self, resource: Resource, live: JSON) -> None:
        """Break a circle: the object no longer holds its owners."""
        changed = [{**ref, "blockOwnerDeletion": False} for ref in owners_of(live)]
        partial = [{"uid": ref["uid"], "blockOwnerDeletion": False} for ref in owners_of(live)]
        await self._patch_owners(resource, live, partial, changed)

    async def _patch_owners(
        self, resource: Resource, live: JSON, strategic: list[JSON], merged: list[JSON] | None
    ) -> None:
        """A strategic patch where the server knows the type, a merge patch guarded by the version elsewhere."""
        where = (meta(live).get("namespace") or "", meta(live)["name"])
        try:
            await self._client.patch(
                resource,
                *where,
                {"metadata": {"ownerReferences": strategic, "uid": uid_of(live)}},
                content_type=STRATEGIC_MERGE_PATCH,
            )
        except NotFoundError:
            return
        except ApiError as error:
            if error.status != _UNSUPPORTED:
                raise
            version = meta(live)["resourceVersion"]
            patch = {"metadata": {"ownerReferences": merged, "uid": uid_of(live), "resourceVersion": version}}
            await self._client.patch(resource, *where, patch, content_type=MERGE_PATCH)

    async def _remove_finalizer(self, resource: Resource, live: JSON, finalizer: str) -> None:
        finalizers = meta(live).get("finalizers") or []
        if finalizer not in finalizers:
            return
        left = [item for item in finalizers if item != finalizer]
        patch = {
            "metadata": {
                "resourceVersion": meta(live)["resourceVersion"],
                "uid": uid_of(live),
                "finalizers": left or None,
            }
        }
        where = (meta(live).get("namespace") or "", meta(live)["name"])
        try:
            await self._client.patch(resource, *where, patch, content_type=MERGE_PATCH)
        except NotFoundError:
            return

    async def _delete(self, resource: Resource, identity: Identity, propagation: str) -> None:
        try:
            await self._client.delete(
                resource, identity.namespace, identity.name, uid=identity.uid, propagation=propagation
            )
        except (NotFoundError, InvalidError):
            return
        except ConflictError:
            return  # replaced meanwhile: the one meant is gone


class NotServed(LwsError):  # noqa: N818 -- says what is the case; the look is tried again
    """A reference names a kind that nobody serves, so its owner cannot be judged."""
