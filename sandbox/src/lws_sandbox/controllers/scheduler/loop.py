"""The scheduler's loop: takes pods without a node, finds nodes, binds.

One pass places every pod that waits, in the order of priority and age, against cache that already hold what the pass
itself has placed; bindings are written meanwhile. A pod that finds no node says why and is tried again when something
has changed that could make room, at first after a second, then after up to ten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import NODES, PERSISTENTVOLUMECLAIMS, PODS
from lws.client.api import STRATEGIC_MERGE_PATCH
from lws.errors import ApiError, NotFoundError, TransportError
from lws.informers.kinds import RawObject
from lws_sandbox.controllers.base import Raw, Toolbox
from lws_sandbox.controllers.objects import (
    condition,
    format_time,
    is_terminating,
    meta,
    name_of,
    namespace_of,
    uid_of,
)
from lws_sandbox.controllers.pods import is_finished
from lws_sandbox.controllers.scheduler.gang import SCHEDULER, Gang, fits_message, gang_message
from lws_sandbox.controllers.scheduler.nodecache import NodeCache
from lws_sandbox.controllers.scheduler.placement import NO_NODES, Placer, prefilter_message
from lws_sandbox.controllers.scheduler.podgroups import PodGroups, Turn, is_ganged, write_phase
from lws_sandbox.controllers.scheduler.requests import read_request
from lws_sandbox.controllers.scheduler.schedulinggroups import SchedulingGroups, name_of_group
from lws_sandbox.controllers.scheduler.waiting import Waiting

NAME: Final = "default-scheduler"
UNBOUND: Final = "pod has unbound immediate PersistentVolumeClaims"
_TURN: Final = 25  # placements between which others get their turn
_BINDERS: Final = 32


class SchedulerLoop:
    """Finds nodes for pods.

    Args:
        tools: shared by all loops.
        gang: place the pods of a Volcano PodGroup together or not at all.
        workloads: heed the PodGroups of ``scheduling.k8s.io`` that pods name.
    """

    name = "kube-scheduler"

    def __init__(self, tools: Toolbox, *, gang: bool = False, workloads: bool = False) -> None:
        self._client = tools.client(self.name)
        self._clock = tools.clock
        self._recorder = tools.recorder
        self._pods: Raw = tools.watch(PODS)
        self._nodes: Raw = tools.watch(NODES)
        self._claims: Raw = tools.watch(PERSISTENTVOLUMECLAIMS)
        self._cache = NodeCache()
        self._gangs = PodGroups(tools, self._pods, self._cache) if gang else None
        self._workloads = SchedulingGroups(tools, self._pods) if workloads else None
        self._placer = Placer(self._cache)
        self._waiting: dict[str, Waiting] = {}
        self._assumed: set[str] = set()
        self._wake = asyncio.Event()
        self._binding = asyncio.Semaphore(_BINDERS)

    async def run(self) -> None:
        """Run until cancelled."""
        self._nodes.on_change(self._on_node)
        self._pods.on_change(self._on_pod)
        self._claims.on_change(lambda _old, _new, _initial: self._changed())
        groups = (self._gangs.groups, self._gangs.queues) if self._gangs is not None else ()
        for cache in (*groups, *((self._workloads.groups,) if self._workloads is not None else ())):
            cache.on_change(lambda _old, _new, _initial: self._changed())
        for cache in (self._nodes, self._pods, self._claims):
            await cache.wait_synced()
        async with asyncio.TaskGroup() as group:
            if self._gangs is not None:
                group.create_task(self._gangs.make_default_queue(self._client))
            while True:
                await self._pass(group)
                await self._sleep()

    # What changes.

    def _changed(self) -> None:
        self._cache.version += 1
        self._wake.set()

    def _on_node(self, old: RawObject | None, new: RawObject | None, _initial: bool) -> None:
        before = self._cache.nodes_version
        if new is not None:
            known = new.metadata.name in self._cache.nodes
            self._cache.set_node(new.raw)
            if not known:
                self._place_known(new.metadata.name)
        elif old is not None:
            self._cache.remove_node(old.metadata.name)
        if self._cache.nodes_version != before:
            self._wake.set()

    def _place_known(self, node: str) -> None:
        """Pods that were seen before their node."""
        for pod in self._pods.store:
            if pod.raw["spec"].get("nodeName") == node and not is_finished(pod.raw):
                self._cache.add_pod(read_request(pod.raw), node)

    def _on_pod(self, old: RawObject | None, new: RawObject | None, _initial: bool) -> None:
        if new is None:
            if old is not None:
                self._forget(old.metadata.uid)
            return
        pod, uid = new.raw, new.metadata.uid
        node = pod["spec"].get("nodeName")
        if is_finished(pod):
            self._forget(uid)
        elif node:
            self._waiting.pop(uid, None)
            self._assumed.discard(uid)
            if self._cache.node_of(uid) != node:
                self._cache.add_pod(read_request(pod), node)
                self._wake.set()
            if is_terminating(pod):
                self._cache.end_pod(uid)
                self._wake.set()
        elif uid not in self._assumed:
            self._take_in(uid, pod)

    def _take_in(self, uid: str, pod: JSON) -> None:
        ours = (NAME,) if self._gangs is None else (NAME, SCHEDULER)
        wanted = pod["spec"].get("schedulerName", NAME) in ours and not pod["spec"].get("schedulingGates")
        if not wanted or is_terminating(pod):
            self._waiting.pop(uid, None)
            return
        known = self._waiting.get(uid)
        if known is not None:
            known.pod = pod  # our own condition, or metadata: nothing that changes the demand
            return
        self._waiting[uid] = Waiting(pod, read_request(pod))
        self._wake.set()

    def _forget(self, uid: str) -> None:
        self._waiting.pop(uid, None)
        self._assumed.discard(uid)
        if self._cache.node_of(uid) is not None:
            self._cache.remove_pod(uid)
            self._wake.set()

    # A pass.

    async def _pass(self, group: asyncio.TaskGroup) -> None:
        self._wake.clear()
        now = asyncio.get_running_loop().time()
        due = [item for item in self._waiting.values() if item.seen != self._cache.version and item.retry_at <= now]
        due.sort(key=self._order)
        self._write(group, self._gangs.admit() if self._gangs is not None else [])
        explained: dict[tuple[str, str], str] = {}
        for number, item in enumerate(due):
            if number % _TURN == _TURN - 1:
                await asyncio.sleep(0)
            if item.request.uid not in self._waiting or item.seen == self._cache.version:
                continue
            groups = self._groups_of(item.pod)
            if groups is None:
                self._try(group, item, explained)
                continue
            gang = self._gang_of(groups, item)
            if gang is None:
                self._rest(item)  # nobody looks at pods whose group is missing, nor says so
            elif gang.minimum:
                self._try_gang(group, groups, gang, explained)
            else:
                self._try(group, item, explained)

    def _try(self, group: asyncio.TaskGroup, item: Waiting, explained: dict[tuple[str, str], str]) -> None:
        refused = self._prefilter(item)
        node = None if refused else self._placer.find(item.request)
        if node is None:
            self._fail(group, item, refused or self._explain(item, explained))
            return
        self._assume(item, node)
        group.create_task(self._bind(item, node))

    def _try_gang(
        self,
        group: asyncio.TaskGroup,
        gangs: PodGroups | SchedulingGroups,
        gang: Gang[Waiting],
        explained: dict[tuple[str, str], str],
    ) -> None:
        """Place all members that wait, or none if too few can be."""
        if not gang.whole or not gangs.admitted(gang.group):
            for member in gang.waiting:
                self._fail(group, member, gang_message(gang))
            return
        placed: list[tuple[Waiting, str]] = []
        refused: list[Waiting] = []
        version = self._cache.version
        for member in gang.waiting:
            node = None if self._prefilter(member) else self._placer.find(member.request)
            if node is None:
                refused.append(member)
            else:
                self._assume(member, node)
                placed.append((member, node))
        if gang.placed + len(placed) >= gang.minimum:
            self._write(group, gangs.started(gang.group))
            for member, node in placed:
                group.create_task(self._bind(member, node))
            for member in refused:
                self._fail(group, member, self._prefilter(member) or self._explain(member, explained))
            return
        for member, _node in placed:
            self._unassume(member)
        self._cache.version = version  # what was tried and taken back has changed nothing
        for member in refused:
            self._fail(group, member, self._prefilter(member) or self._explain(member, explained))
        for member, node in placed:
            self._fail(group, member, fits_message(member.request.namespace, member.request.name, node))

    def _groups_of(self, pod: JSON) -> PodGroups | SchedulingGroups | None:
        """Where the pod's group is to be found; None for a pod that names none."""
        if self._gangs is not None and is_ganged(pod):
            return self._gangs
        return self._workloads if self._workloads is not None and name_of_group(pod) else None

    def _gang_of(self, gangs: PodGroups | SchedulingGroups, item: Waiting) -> Gang[Waiting] | None:
        """The gang of a pod that names one; None if its PodGroup does not exist."""
        found = gangs.of_pod(item.pod)
        if found is None:
            return None
        names = {each.metadata.uid for each in gangs.members(namespace_of(item.pod), name_of(found))}
        waiting = [each for uid, each in self._waiting.items() if uid in names and self._groups_of(each.pod) is gangs]
        placed = sum(self._cache.node_of(uid) is not None for uid in names)
        return Gang(gangs.least(found), placed, sorted(waiting, key=self._order), found)

    def _order(self, item: Waiting) -> tuple[int, str, str, str]:
        """Higher priority first, then older, then by name; of a gang the PodGroup's priority and age count."""
        created = meta(item.pod).get("creationTimestamp") or ""
        first = -int(item.pod["spec"].get("priority") or 0), created
        if self._gangs is not None and is_ganged(item.pod):
            found = self._gangs.of_pod(item.pod)
            first = first if found is None else self._gangs.rank(found)
        return (*first, item.request.namespace, item.request.name)

    def _prefilter(self, item: Waiting) -> str:
        """Why no node at all could take the pod: a claim of it is missing, on its way out or without a volume."""
        if not self._cache.nodes:
            return NO_NODES
        for volume in item.pod["spec"].get("volumes") or ():
            name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
            if not name:
                continue
            found = self._claims.store.get(item.request.namespace, name)
            if found is None:
                return prefilter_message(len(self._cache.nodes), f'persistentvolumeclaim "{name}" not found')
            if is_terminating(found.raw):
                return prefilter_message(len(self._cache.nodes), f'persistentvolumeclaim "{name}" is being deleted')
            if (found.raw.get("status") or {}).get("phase") != "Bound":
                return prefilter_message(len(self._cache.nodes), UNBOUND)
        return ""

    def _explain(self, item: Waiting, explained: dict[tuple[str, str], str]) -> str:
        """The reason; pods that ask the same of their node and nothing of their neighbours share it within a pass."""
        if item.request.affinity or item.request.anti_affinity or item.request.spread:
            return self._placer.explain(item.request)
        key = (item.request.placement, repr(sorted(item.request.resources.items())))
        if key not in explained:
            explained[key] = self._placer.explain(item.request)
        return explained[key]

    # What comes of it.

    def _assume(self, item: Waiting, node: str) -> None:
        uid = item.request.uid
        self._waiting.pop(uid, None)
        self._assumed.add(uid)
        self._cache.add_pod(item.request, node)

    def _unassume(self, item: Waiting) -> None:
        self._assumed.discard(item.request.uid)
        self._cache.remove_pod(item.request.uid)
        self._waiting[item.request.uid] = item

    async def _bind(self, item: Waiting, node: str) -> None:
        pod = item.pod
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name_of(pod), "namespace": namespace_of(pod), "uid": uid_of(pod)},
            "target": {"kind": "Node", "name": node},
        }
        try:
            async with self._binding:
                await self._client.create(PODS, binding, name=name_of(pod), subresource="binding")
        except (ApiError, TransportError) as error:
            self._unbound(item, error)
            return
        words = f"Successfully assigned {namespace_of(pod)}/{name_of(pod)} to {node}"
        self._recorder.record(pod, NAME, "Normal", "Scheduled", words, action="Binding")

    def _unbound(self, item: Waiting, error: ApiError | TransportError) -> None:
        """The server would not have it: forget a pod that is gone, try any other again."""
        uid = item.request.uid
        live = self._pods.store.get(item.request.namespace, item.request.name)
        self._assumed.discard(uid)
        self._cache.remove_pod(uid)
        if isinstance(error, NotFoundError) or live is None or live.metadata.uid != uid:
            return
        if not live.raw["spec"].get("nodeName"):
            self._rest(item)
            self._waiting[uid] = item

    def _fail(self, group: asyncio.TaskGroup, item: Waiting, message: str) -> None:
        self._rest(item)
        live = condition(item.pod, "PodScheduled") or {}
        if live.get("status") == "False" and live.get("message") == message:
            return
        self._recorder.record(item.pod, NAME, "Warning", "FailedScheduling", message, action="Scheduling")
        group.create_task(self._write_condition(item.pod, message, live))

    def _rest(self, item: Waiting) -> None:
        item.failed(self._cache.version, asyncio.get_running_loop().time())

    def _write(self, group: asyncio.TaskGroup, turns: Sequence[Turn]) -> None:
        """Write phases of PodGroups, and tell why one is not admitted: Volcano does so by a Normal event of it."""
        for turn in turns:
            if turn.message:
                self._recorder.record(turn.group, SCHEDULER, "Normal", "Unschedulable", turn.message, action="Enqueue")
            if (turn.group.get("status") or {}).get("phase") != turn.phase:
                group.create_task(write_phase(self._client, turn))

    async def _write_condition(self, pod: JSON, message: str, live: JSON) -> None:
        since = live.get("lastTransitionTime") if live.get("status") == "False" else None
        entry = {
            "type": "PodScheduled",
            "status": "False",
            "observedGeneration": meta(pod).get("generation", 0),
            "reason": "Unschedulable",
            "message": message,
            "lastProbeTime": None,
            "lastTransitionTime": since or format_time(self._clock.now()),
        }
        patch = {"metadata": {"uid": uid_of(pod)}, "status": {"conditions": [entry]}}
        try:
            await self._client.patch(
                PODS, namespace_of(pod), name_of(pod), patch, content_type=STRATEGIC_MERGE_PATCH, subresource="status"
            )
        except (ApiError, TransportError):
            return  # said again at the next failure

    async def _sleep(self) -> None:
        """Until something changes, and then until a pod may be tried again."""
        while not self._due():
            wait = self._next_retry()
            try:
                async with asyncio.timeout(wait):
                    await self._wake.wait()
            except TimeoutError:
                return
            self._wake.clear()

    def _due(self) -> bool:
        now = asyncio.get_running_loop().time()
        return any(item.seen != self._cache.version and item.retry_at <= now for item in self._waiting.values())

    def _next_retry(self) -> float | None:
        """Seconds until a pod whose chances have changed may be tried; None when none has."""
        now = asyncio.get_running_loop().time()
        moments: Sequence[float] = [
            item.retry_at for item in self._waiting.values() if item.seen != self._cache.version
        ]
        return max(0.0, min(moments) - now) if moments else None
