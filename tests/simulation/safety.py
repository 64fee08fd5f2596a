"""What must hold at every write of an operator, whatever went wrong before (issue: take-over, failures, simulation).

Two looks at each request: `Probe` sees it at the moment it leaves the operator, together with what the operator's
caches show; `Inspector` sees it at the moment it reaches the server, together with what is stored. What a stale cache
makes an operator believe is held against the caches, what no belief excuses against the server.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from lws.api import labels
from lws.api.resources import LEADERWORKERSETS, PODS, STATEFULSETS
from lws.client.transport import Request, Response, Stream, Transport
from lws.operator.operator import Operator
from lws.planning.groups import is_leader
from lws.planning.rollout import Budget
from lws.reconcilers.observe import BY_GROUP, LEADERS_BY_SET, by_group
from lws.sandbox.storage import Storage

JSON = dict[str, Any]
DYING_SECONDS: Final = 5.0  # a deletion younger than this may not have been heard of
ALLOWED: Final = {
    "POST": {"controllerrevisions", "services", "statefulsets", "podgroups", "events", "leases"},
    "PATCH": {"statefulsets", "events"},
    "PUT": {"leaderworkersets/status", "controllerrevisions", "leases", "events"},
    "DELETE": {"pods", "controllerrevisions"},
}


@dataclass
class Shape:
    """The numbers of one generation of a set."""

    replicas: int
    unavailable: int
    surge: int
    partition: int
    size: int


@dataclass
class Ledger:
    """What the invariants remember, and what they found.

    Attributes:
        shapes: the last few generations of each set, by UID, oldest first.
        partitions: the last partition applied, by UID of the leader StatefulSet and key.
        recreated: leader UIDs whose deletion was answered, by operator.
        violations: what was found, with its time.
    """

    now: Callable[[], datetime]
    elapsed: Callable[[], float]
    storage: Storage
    shapes: dict[str, list[Shape]] = field(default_factory=lambda: defaultdict(list))
    partitions: dict[tuple[str, str], int] = field(default_factory=dict)
    recreated: set[tuple[int, str]] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)

    def complain(self, problem: str) -> None:
        """Note a violation."""
        self.violations.append(f"{self.elapsed():9.3f}s {problem}")

    def edited(self, lws: JSON) -> None:
        """A set was written by its user."""
        spec = lws["spec"]
        rolling = ((spec.get("rolloutStrategy") or {}).get("rollingUpdateConfiguration")) or {}
        replicas = spec.get("replicas", 1)
        budget = Budget(replicas, rolling.get("maxUnavailable", 1), min(replicas, rolling.get("maxSurge", 0)))
        size = spec["leaderWorkerTemplate"].get("size", 1)
        shape = Shape(replicas, budget.allowed_unavailable, budget.max_surge, rolling.get("partition", 0), size)
        uid = lws["metadata"]["uid"]
        if uid not in self.shapes:  # pods of a former namesake are still being collected
            self.shapes[uid] = [each for shapes in self.shapes.values() for each in shapes[-1:]]
        self.shapes[uid].append(shape)
        del self.shapes[uid][:-4]

    def get(self, resource: Any, namespace: str, name: str) -> JSON | None:
        """A stored object."""
        return self.storage.get(str(resource), namespace, name)

    def dying(self, obj: JSON) -> bool:
        """Whether an object's deletion began long enough ago for everyone to know."""
        meta = obj["metadata"]
        stamp = meta.get("deletionTimestamp")
        if stamp is None:
            return False
        begun = datetime.fromisoformat(stamp) - timedelta(seconds=meta.get("deletionGracePeriodSeconds") or 0)
        return (self.now() - begun).total_seconds() > DYING_SECONDS

    def look(self) -> None:
        """The invariants of the cluster as a whole."""
        for lws in self.storage.objects(str(LEADERWORKERSETS)):
            shapes = self.shapes[lws["metadata"]["uid"]]
            name = lws["metadata"]["name"]
            pods = [
                each
                for each in self.storage.objects(str(PODS))
                if (each["metadata"].get("labels") or {}).get(labels.NAME) == name
                and "deletionTimestamp" not in each["metadata"]
            ]
            most = max((each.replicas + each.surge for each in shapes), default=0) * max(
                (each.size for each in shapes), default=0
            )
            if len(pods) > most:
                self.complain(f"{name}: {len(pods)} live pods, at most {most} may be")


class Probe:
    """The operator's end of its transport."""

    def __init__(self, inner: Transport, ledger: Ledger) -> None:
        self._inner = inner
        self._ledger = ledger
        self.operator: Operator | None = None

    async def send(self, request: Request) -> Response:
        """Look at a write with the operator's own eyes, then pass it on."""
        if request.method != "GET" and self.operator is not None:
            self._look(self.operator, request)
        response = await self._inner.send(request)
        if request.method == "DELETE" and response.status == 200 and "/pods/" in request.path:
            self._ledger.recreated.add((id(self), _uid(request)))
        return response

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        """Pass on."""
        return self._inner.stream(request)

    async def close(self) -> None:
        """Pass on."""
        await self._inner.close()

    def _look(self, operator: Operator, request: Request) -> None:
        kind, _, name = _target(request)
        if request.method == "DELETE" and kind == "pods":
            self._recreation(operator, name, _uid(request))
        elif request.method == "DELETE" and kind == "controllerrevisions":
            self._truncation(operator, name)

    def _recreation(self, operator: Operator, name: str, uid: str) -> None:
        """One recreation an incident; none under None, none of a group that is pending under AfterStart."""
        ledger, caches = self._ledger, operator.caches
        if (id(self), uid) in ledger.recreated:
            ledger.complain(f"{name}: deleted once more")
        leader = next((pod for pod in caches.pods.store if pod.metadata.uid == uid), None)
        if leader is None or not is_leader(leader):
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
        pending = len(group) != size or any(pod.status.phase == "Pending" for pod in group)
        if policy == "RecreateGroupAfterStart" and pending:
            ledger.complain(f"{name}: recreated while it was pending")

    def _truncation(self, operator: Operator, name: str) -> None:
        """A revision that some leader still refers to stays."""
        revision = next((each for each in operator.caches.revisions.store if each.metadata.name == name), None)
        if revision is None:
            return
        where = f"{revision.metadata.namespace}/{revision.metadata.label(labels.NAME)}"
        leaders = operator.caches.pods.store.by_index(LEADERS_BY_SET, where)
        if any(pod.metadata.label(labels.REVISION) == revision.metadata.label(labels.REVISION) for pod in leaders):
            self._ledger.complain(f"revision {name} is deleted while a leader carries its key")


class Inspector:
    """The server's end of an operator's transport."""

    def __init__(self, inner: Transport, ledger: Ledger) -> None:
        self._inner = inner
        self._ledger = ledger

    async def send(self, request: Request) -> Response:
        """Look at a write together with what is stored, then let it through."""
        if request.method != "GET":
            kind, namespace, name = _target(request)
            if kind not in ALLOWED.get(request.method, ()):
                self._ledger.complain(f"{request.method} of {kind} {name}")
            self._look(request, kind, namespace, name)
        return await self._inner.send(request)

    def stream(self, request: Request) -> AbstractAsyncContextManager[Stream]:
        """Pass on."""
        return self._inner.stream(request)

    async def close(self) -> None:
        """Pass on."""
        await self._inner.close()

    def _look(self, request: Request, kind: str, namespace: str, name: str) -> None:
        match request.method, kind:
            case "PATCH", "statefulsets":
                self._applied(orjson.loads(request.body), namespace, name)
            case "POST", "statefulsets" | "services" | "podgroups" | "controllerrevisions":
                self._created(orjson.loads(request.body), kind, namespace)
            case "DELETE", "pods":
                self._deleted(namespace, name, _uid(request))
            case "PUT", "leaderworkersets/status":
                self._described(orjson.loads(request.body), namespace, name)

    def _applied(self, body: JSON, namespace: str, name: str) -> None:
        """The leader StatefulSet is ours; its partition and replicas are within the bounds of recent generations."""
        ledger = self._ledger
        owner = body["metadata"]["ownerReferences"][0]["uid"]
        live = ledger.get(STATEFULSETS, namespace, name)
        uid = live["metadata"]["uid"] if live else ""
        controllers = (live or {"metadata": {}})["metadata"].get("ownerReferences", ())
        if any(each.get("controller") and each["uid"] != owner for each in controllers):
            ledger.complain(f"{name}: an apply over what belongs to another")
        shapes = ledger.shapes[owner]
        if not shapes:
            return
        spec, key = body["spec"], body["metadata"]["labels"][labels.REVISION]
        partition = spec["updateStrategy"]["rollingUpdate"]["partition"]
        if spec["replicas"] > max(each.replicas + each.surge for each in shapes):
            ledger.complain(f"{name}: {spec['replicas']} replicas are beyond R + S")
        if spec["replicas"] < min(each.replicas for each in shapes):
            ledger.complain(f"{name}: {spec['replicas']} replicas are below R")
        if partition < min(each.partition for each in shapes):
            ledger.complain(f"{name}: partition {partition} is below the user's")
        last = ledger.partitions.get((uid, key))
        highest = max(max(each.partition, each.replicas) for each in shapes)
        if last is not None and partition > last and partition > highest:
            ledger.complain(f"{name}: partition rises from {last} to {partition}")
        if uid:
            self._released(name, namespace, live or {}, partition, key, shapes)
            ledger.partitions = {(uid, key): partition}

    def _released(self, name: str, namespace: str, live: JSON, partition: int, key: str, shapes: list[Shape]) -> None:
        """No more groups are released than the budget has, beyond a tail of groups that carry the new key."""
        strategy = live["spec"].get("updateStrategy", {}).get("rollingUpdate") or {}
        if partition >= strategy.get("partition", 0) or live["metadata"]["labels"].get(labels.REVISION) != key:
            return
        replicas = live["spec"]["replicas"]
        tail = 0
        for index in range(replicas - 1, -1, -1):
            pod = self._ledger.get(PODS, namespace, f"{name}-{index}")
            if pod is None or pod["metadata"]["labels"].get(labels.REVISION) != key:
                break
            tail += 1
        least = min(min(each.replicas, replicas) - each.unavailable for each in shapes) - tail
        if partition < least:
            self._ledger.complain(f"{name}: partition {partition} releases more than the budget, {least} is the least")

    def _created(self, body: JSON, kind: str, namespace: str) -> None:
        """Nothing is made for an owner that is dying or gone; a worker StatefulSet has its leader's key."""
        owner = body["metadata"]["ownerReferences"][0]
        resource = PODS if owner["kind"] == "Pod" else LEADERWORKERSETS
        live = self._ledger.get(resource, namespace, owner["name"])
        name = body["metadata"]["name"]
        if live is not None and live["metadata"]["uid"] == owner["uid"] and self._ledger.dying(live):
            self._ledger.complain(f"{kind} {name} is made for an owner that is dying")
        if kind == "statefulsets" and live is not None and live["metadata"]["uid"] == owner["uid"]:
            key = body["metadata"]["labels"][labels.REVISION]
            if live["metadata"]["labels"].get(labels.REVISION) != key:
                self._ledger.complain(f"{kind} {name} has another key than its leader")

    def _deleted(self, namespace: str, name: str, uid: str) -> None:
        """Pods are deleted by UID, and only leaders of ours."""
        if not uid:
            self._ledger.complain(f"pod {name} is deleted whoever it is")
        live = self._ledger.get(PODS, namespace, name)
        if live is None or live["metadata"]["uid"] != uid:
            return
        meta = live["metadata"]
        controllers = [each for each in meta.get("ownerReferences", ()) if each.get("controller")]
        named = (meta.get("labels") or {}).get(labels.NAME)
        if not controllers or controllers[0]["kind"] != "StatefulSet" or controllers[0]["name"] != named:
            self._ledger.complain(f"pod {name} is no leader of ours")

    def _described(self, body: JSON, namespace: str, name: str) -> None:
        """A status never runs ahead of its object, nor says that it is both available and progressing."""
        live = self._ledger.get(LEADERWORKERSETS, namespace, name)
        status = body["status"]
        if "spec" in body:
            self._ledger.complain(f"{name}: the spec is written")
        if live is None or live["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"]:
            return
        if status.get("observedGeneration", 0) > live["metadata"]["generation"]:
            self._ledger.complain(f"{name}: observedGeneration is ahead")
        true = {each["type"] for each in status.get("conditions", ()) if each["status"] == "True"}
        if {"Available", "Progressing"} <= true:
            self._ledger.complain(f"{name}: Available and Progressing are both True")


def _target(request: Request) -> tuple[str, str, str]:
    """Plural with subresource, namespace, and name; the name of a new object is that of its manifest."""
    parts = request.path.strip("/").split("/")
    at = parts.index("namespaces")
    namespace, plural, rest = parts[at + 1], parts[at + 2], parts[at + 3 :]
    kind = "/".join([plural, *rest[1:]])
    name = rest[0] if rest else str(orjson.loads(request.body)["metadata"].get("name", ""))
    return kind, namespace, name


def _uid(request: Request) -> str:
    body = orjson.loads(request.body or b"{}")
    return str((body.get("preconditions") or {}).get("uid", ""))
