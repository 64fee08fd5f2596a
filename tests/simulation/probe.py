"""What must hold of a write at the moment it leaves its operator, judged by what the operator's own caches show.

What a stale cache makes an operator believe is held against the caches here; what no belief excuses is held against the
server by `tests.simulation.inspector`.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager

import orjson

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws.client.transport import Request, Response, Stream, Transport
from lws.manager.manager import ControllerManager
from lws.planning.leaderworkerset.groups import marked
from lws.reconcilers.leaderworkerset.caches import BY_GROUP, BY_LEADER, LEADERS_BY_SET, by_group
from tests.simulation.ledger import Ledger, Shape, target, uid_of


class Probe:
    """The operator's end of its transport."""

    def __init__(self, inner: Transport, ledger: Ledger) -> None:
        self._inner = inner
        self._ledger = ledger
        self.operator: ControllerManager | None = None
        self._ran: set[tuple[str, str]] = set()  # UID of a worker StatefulSet, and the name of a pod that ran or failed
        self._watched: ControllerManager | None = None

    async def send(self, request: Request) -> Response:
        """Look at a write with the operator's own eyes, then pass it on."""
        if request.method != "GET" and self.operator is not None:
            self._look(self.operator, request)
        if request.method != "DELETE" or "/pods/" not in request.path:
            return await self._inner.send(request)
        asked = (id(self), uid_of(request))
        self._ledger.asked.add(asked)
        status = 0
        try:
            response = await self._inner.send(request)
            status = response.status
            return response
        finally:
            if status != 200:  # it may be asked for again
                self._ledger.asked.discard(asked)

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        """Pass on."""
        return self._inner.stream(request)

    async def close(self) -> None:
        """Pass on."""
        await self._inner.close()

    def _look(self, operator: ControllerManager, request: Request) -> None:
        if self._watched is not operator:
            self._watched = operator
            operator.caches.pods.on_change(self._seen)
        kind, namespace, name = target(request)
        match request.method, kind:
            case "DELETE", "pods":
                self._recreation(operator, name, request)
            case "DELETE", "controllerrevisions":
                self._truncation(operator, name)
            case "PATCH", "statefulsets":
                self._release(operator, namespace, name, orjson.loads(request.body))
            case "POST", "statefulsets":
                self._workers(operator, namespace, name)

    def _recreation(self, operator: ControllerManager, name: str, request: Request) -> None:
        """One recreation an incident; none under None, none of a group that is pending under AfterStart."""
        ledger, caches, uid = self._ledger, operator.caches, uid_of(request)
        if (id(self), uid) in ledger.asked:
            ledger.complain(f"{name}: deleted once more")
        if orjson.loads(request.body or b"{}").get("propagationPolicy") != "Foreground":
            ledger.complain(f"{name}: its workers may outlive it")
        leader = next((pod for pod in caches.pods.store if pod.metadata.uid == uid), None)
        if leader is None or leader.metadata.label(labels.WORKER_INDEX) != "0":
            ledger.complain(f"{name}: a deletion of what the caches do not know as a leader")
            return
        lws = caches.sets.store.get(leader.metadata.namespace, leader.metadata.label(labels.NAME))
        if lws is None or lws.metadata.deleting:
            ledger.complain(f"{name}: recreated without its set")
            return
        policy = lws.spec.leader_worker_template.restart_policy
        if policy in ("None", "Default"):
            ledger.complain(f"{name}: recreated under {policy}")
        group = caches.pods.store.by_index(BY_GROUP, by_group(leader))
        size = int(leader.metadata.annotation(labels.SIZE) or 0)
        if _after_start(lws) and self._pending(operator, lws, leader, group, size):
            ledger.complain(f"{name}: recreated while it was pending")

    def _seen(self, _old: Pod | None, new: Pod | None, _initial: bool) -> None:
        owner = None if new is None else new.metadata.controller
        # One that failed before it ran is a failure to whoever sees it, and replaced before a deletion is on its way.
        ran = new is not None and new.status.phase in ("Running", "Failed")
        if new is not None and ran and owner is not None and owner.kind == "StatefulSet":
            self._ran.add((owner.uid, new.metadata.name))

    def _pending(
        self, operator: ControllerManager, lws: LeaderWorkerSet, leader: Pod, group: Iterable[Pod], size: int
    ) -> bool:
        """Whether the group had not started: some member is missing or Pending that never ran (CD-38)."""
        if leader.status.phase == "Pending":
            return True
        name = leader.metadata.name
        well = {pod.metadata.name for pod in group if pod.status.phase != "Pending"}
        lacking = {f"{name}-{index}" for index in range(1, size)} - well
        workers = operator.caches.statefulsets.store.get(leader.metadata.namespace, name)
        if workers is None or any(each.type == "Available" and each.status == "True" for each in lws.status.conditions):
            return False  # nothing speaks for the members, or the status does: all were there
        return any((workers.metadata.uid, each) not in self._ran for each in lacking)

    def _truncation(self, operator: ControllerManager, name: str) -> None:
        """A revision that some leader still refers to stays."""
        revision = next((each for each in operator.caches.revisions.store if each.metadata.name == name), None)
        if revision is None:
            return
        where = f"{revision.metadata.namespace}/{revision.metadata.label(labels.NAME)}"
        leaders = operator.caches.pods.store.by_index(LEADERS_BY_SET, where)
        if any(pod.metadata.label(labels.REVISION) == revision.metadata.label(labels.REVISION) for pod in leaders):
            self._ledger.complain(f"revision {name} is deleted while a leader carries its key")

    def _workers(self, operator: ControllerManager, namespace: str, name: str) -> None:
        """Workers start when their names are free, and under LeaderReady when their leader is ready."""
        caches = operator.caches
        leader = caches.pods.store.get(namespace, name)
        if leader is None:
            return
        lws = caches.sets.store.get(namespace, leader.metadata.label(labels.NAME))
        live = self._ledger.get(PODS, namespace, name)
        early = live is not None and live["metadata"]["uid"] == leader.metadata.uid and not _stored_ready(live)
        if lws is not None and lws.spec.startup_policy == "LeaderReady" and early and not _ready(leader):
            self._ledger.complain(f"workers of {name} are made before it is ready")
        owned = [
            pod.metadata.name
            for pod in caches.pods.store.by_index(BY_LEADER, f"{namespace}/{name}")
            if pod.metadata.controller is not None and 1 <= _ordinal(pod) < _size(leader)
        ]
        if owned:
            self._ledger.complain(f"workers of {name} are made while {owned} have their names")

    def _release(self, operator: ControllerManager, namespace: str, name: str, body: JSON) -> None:
        """While the partition falls, ready groups that are given up and groups that are down are within U + S.

        With N groups of R + S there, those of the surge that are not there yet cannot be spent (spec 7.5).
        """
        lws = operator.caches.sets.store.get(namespace, name)
        live = operator.caches.statefulsets.store.get(namespace, name)
        if lws is None or live is None or live.spec.replicas is None or live.spec.update_strategy is None:
            return
        rolling = live.spec.update_strategy.rolling_update
        before = (rolling.partition or 0) if rolling is not None else 0
        partition = body["spec"]["updateStrategy"]["rollingUpdate"]["partition"]
        key = body["metadata"]["labels"][labels.REVISION]
        if partition >= before or live.metadata.label(labels.REVISION) != key:
            return
        count = live.spec.replicas
        if before == 0 or count < lws.spec.replicas:
            return
        budget = lws.spec.rollout_strategy.rolling_update_configuration
        shape = Shape.resolved(lws.spec.replicas, budget.max_unavailable, budget.max_surge, budget.partition)
        step = max(0, shape.allowed + shape.surge - (shape.replicas + shape.surge - count))
        groups = [_group(operator, namespace, f"{name}-{index}", key) for index in range(count)]
        tail = next((at for at, (ready, new) in enumerate(reversed(groups)) if not (ready and new)), count)
        given_up = sum(1 for ready, new in groups[partition:] if ready and not new)
        spent = {at for at in range(count) if _exhausted(operator, namespace, f"{name}-{at}", key)}
        end = max(0, count - tail - step)
        down = sum(1 for at, (ready, _) in enumerate(groups[:end]) if not ready and at not in spent)
        if given_up and given_up + down > step:
            self._ledger.complain(f"{name}: partition {partition} gives up {given_up}, {down} are down, {step} may be")


def _after_start(lws: LeaderWorkerSet) -> bool:
    policy = lws.spec.leader_worker_template.restart_policy
    marked = lws.metadata.annotation(labels.RECREATE_GROUP_AFTER_START) is not None
    return policy == "RecreateGroupAfterStart" or marked


def _group(operator: ControllerManager, namespace: str, name: str, key: str) -> tuple[bool, bool]:
    """Whether the group of this leader is ready, and whether it is of this key (spec 7.2)."""
    leader = operator.caches.pods.store.get(namespace, name)
    if leader is None or leader.metadata.deleting:
        return False, False
    ready = leader.status.phase == "Running" and _ready(leader)
    new = leader.metadata.label(labels.REVISION) == key
    if _size(leader) == 1:
        return ready, new
    workers = operator.caches.statefulsets.store.get(namespace, name)
    if workers is None or workers.metadata.controller is None or workers.metadata.controller.uid != leader.metadata.uid:
        return False, False
    status = workers.status
    complete = status.available_replicas == workers.spec.replicas and status.current_revision == status.update_revision
    return ready and complete, new and workers.metadata.label(labels.REVISION) == key


def _exhausted(operator: ControllerManager, namespace: str, name: str, key: str) -> bool:
    """Whether the group is of another key and down for good: its restart budget is spent (next 5.6)."""
    leader = operator.caches.pods.store.get(namespace, name)
    return leader is not None and marked(leader) and leader.metadata.label(labels.REVISION) != key


def _ready(pod: Pod) -> bool:
    return any(each.type == "Ready" and each.status == "True" for each in pod.status.conditions or ())


def _stored_ready(pod: JSON) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


def _ordinal(pod: Pod) -> int:
    text = pod.metadata.name.rpartition("-")[2]
    return int(text) if text.isdigit() else -1


def _size(leader: Pod) -> int:
    return int(leader.metadata.annotation(labels.SIZE) or 1)
