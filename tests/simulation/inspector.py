"""What must hold of a write at the moment it reaches the server, judged by what is stored: no belief excuses it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import ClassVar, Final

import orjson

from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON, annotations_of
from lws.apimachinery.resources import CONTROLLERREVISIONS, PODS, STATEFULSETS
from lws.client.transport import Request, Response, Stream, Transport
from tests.simulation.budgets import Budgets
from tests.simulation.ledger import Ledger, Shape, controller, target, uid_of

DRIFT_SECONDS: Final = 5.0  # a change of the leader StatefulSet younger than this may not have been heard of
HASH: Final = "controller.kubernetes.io/hash"  # on revisions of StatefulSets
OWNERS: Final = {each.kind: each for each in (PODS, STATEFULSETS, DISAGGREGATEDSETS)}
ALLOWED: Final = {
    "POST": {"controllerrevisions", "services", "statefulsets", "podgroups", "events", "leases"},
    "PATCH": {"statefulsets", "podgroups", "events", "pods", "leaderworkersets"},
    "PUT": {"leaderworkersets/status", "controllerrevisions", "leases", "events"},
    "DELETE": {"pods", "controllerrevisions"},
}


class Inspector:
    """The server's end of an operator's transport."""

    allowed: ClassVar[Mapping[str, set[str]]] = ALLOWED

    def __init__(self, inner: Transport, ledger: Ledger) -> None:
        self._inner = inner
        self._ledger = ledger
        self._budgets = Budgets(ledger)

    async def send(self, request: Request) -> Response:
        """Look at a write together with what is stored, then let it through."""
        if request.method == "GET":
            return await self._inner.send(request)
        kind, namespace, name = target(request)
        if kind not in self.allowed.get(request.method, ()):
            self._ledger.complain(f"{request.method} of {kind} {name}")
        self._look(request, kind, namespace, name)
        before = self._ledger.get(LEADERWORKERSETS, namespace, name)
        answer = await self._inner.send(request)
        if kind == "leaderworkersets" and before is not None and 200 <= answer.status < 300:
            self._budgets.stored(orjson.loads(request.body), before)
        return answer

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
            case "PATCH", "pods":
                self._held(orjson.loads(request.body), name)
            case "PATCH", "podgroups":
                self._followed(orjson.loads(request.body), name)
            case "DELETE", "pods":
                self._deleted(namespace, name, uid_of(request), orjson.loads(request.body or b"{}"))
            case "DELETE", "controllerrevisions":
                self._truncated(namespace, name, uid_of(request))
            case "PUT", "leaderworkersets/status":
                self._described(orjson.loads(request.body), namespace, name)

    def _followed(self, body: JSON, name: str) -> None:
        """Of a PodGroup nothing changes but what follows its group (CD-32, CD-34)."""
        if body.keys() != {"spec", "metadata"} or not body["spec"].keys() <= {"minMember", "queue"}:
            self._ledger.complain(f"PATCH of podgroup {name}: {body}")

    def _held(self, body: JSON, name: str) -> None:
        """Of a pod nothing changes but our finalizer and the marks that go with it (next 5.3)."""
        members = {"uid", "finalizers", "$deleteFromPrimitiveList/finalizers", "annotations"}
        if body.keys() != {"metadata"} or not body["metadata"].keys() <= members:
            self._ledger.complain(f"PATCH of pod {name}: {body}")

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
        most = max(each.replicas + each.surge for each in shapes)
        numbers = {each.told for each in shapes if str(each.replicas) == _recorded(body)}
        self._paced(name, namespace, live, body, numbers, most)
        self._armed(name, live, body)
        ledger.rules.applied(body, live)
        last = ledger.partitions.get((uid, key))
        highest = max(max(each.partition, each.replicas + each.surge) for each in shapes)
        if last is not None and partition > last and partition > highest:
            ledger.complain(f"{name}: partition rises from {last} to {partition}")
        if uid:
            self._released(name, namespace, live or {}, partition, key, shapes)
            ledger.partitions = {(uid, key): partition}

    def _paced(self, name: str, namespace: str, live: JSON | None, body: JSON, numbers: set[int], most: int) -> None:
        """MaxUnavailable is U + S; more only while leaders of another key are there, up to two each (CD-37).

        A raised value stays, so leaders of a surge that is over count as well: ``most`` is how many there may be.
        """
        told = body["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"]
        if told in numbers:
            return
        count = 0 if live is None else live["spec"]["replicas"]
        pods = [self._ledger.get(PODS, namespace, f"{name}-{index}") for index in range(count)]
        key = body["metadata"]["labels"][labels.REVISION]
        keys = {pod["metadata"]["labels"].get(labels.REVISION) for pod in pods if pod is not None}
        lagging = self._ledger.elapsed() - self._ledger.drifted < DRIFT_SECONDS
        if (
            not numbers
            or told < min(numbers)
            or (told > max(*numbers, 2 * count, 2 * most))
            or (keys <= {key} and not lagging)
        ):
            self._ledger.complain(f"{name}: maxUnavailable {told} is no U + S, and holds nothing back")

    def _armed(self, name: str, live: JSON | None, body: JSON) -> None:
        """A new revision first lifts the partition over every existing group, so that it replaces none (spec 7.4)."""
        old = "" if live is None else live["metadata"]["labels"].get(labels.REVISION)
        drifted = self._ledger.elapsed() - self._ledger.drifted < DRIFT_SECONDS
        if live is None or not old or old == body["metadata"]["labels"][labels.REVISION] or drifted:
            return
        least = min(int(_recorded(body)), live["spec"]["replicas"])
        partition = body["spec"]["updateStrategy"]["rollingUpdate"]["partition"]
        if partition < least:
            self._ledger.complain(f"{name}: a new revision comes with partition {partition}, {least} is the least")

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
        least = min(min(each.replicas, replicas) - each.allowed for each in shapes) - tail
        least -= sum(self._exhausted(f"{name}-{index}", namespace, key) for index in range(replicas - tail))
        if partition < least:
            self._ledger.complain(f"{name}: partition {partition} releases more than the budget, {least} is the least")

    def _exhausted(self, name: str, namespace: str, key: str) -> bool:
        """Whether the group of this leader is of another key, and down for good: it is replaced for free (next 5.6)."""
        pod = self._ledger.get(PODS, namespace, name)
        spent = pod is not None and annotations_of(pod).get(labels.RESTART_BUDGET_EXHAUSTED) == "true"
        return pod is not None and spent and _key(pod) != key

    def _created(self, body: JSON, kind: str, namespace: str) -> None:
        """Nothing is made for an owner that is dying or gone; a worker StatefulSet has its leader's key."""
        owner = body["metadata"]["ownerReferences"][0]
        resource = OWNERS.get(owner["kind"], LEADERWORKERSETS)
        live = self._ledger.get(resource, namespace, owner["name"])
        name = body["metadata"]["name"]
        if live is not None and live["metadata"]["uid"] == owner["uid"] and self._ledger.dying(live):
            self._ledger.complain(f"{kind} {name} is made for an owner that is dying")
        if kind == "statefulsets" and live is not None and live["metadata"]["uid"] == owner["uid"]:
            key = body["metadata"]["labels"][labels.REVISION]
            if live["metadata"]["labels"].get(labels.REVISION) != key:
                self._ledger.complain(f"{kind} {name} has another key than its leader")
            size = int(live["metadata"]["annotations"][labels.SIZE])
            if body["spec"]["replicas"] != size - 1:
                self._ledger.complain(f"{kind} {name} has {body['spec']['replicas']} workers in a group of {size}")
            self._of_revision(body, namespace)

    def _of_revision(self, body: JSON, namespace: str) -> None:
        """Workers run what their revision says, whatever the set says now (spec 5.6)."""
        key, name = body["metadata"]["labels"][labels.REVISION], body["metadata"]["labels"][labels.NAME]
        images = {_image(each["data"]) for each in self._revisions(namespace, name) if _key(each) == key}
        image = body["spec"]["template"]["spec"]["containers"][0]["image"]
        if images and image not in images:
            self._ledger.complain(f"workers {body['metadata']['name']} run {image}, their revision says {images}")

    def _revisions(self, namespace: str, name: str) -> list[JSON]:
        """The set's revisions, and not those that StatefulSets have."""
        stored = self._ledger.storage.objects(str(CONTROLLERREVISIONS), namespace)
        return [each for each in stored if _labels(each).get(labels.NAME) == name and HASH not in _labels(each)]

    def _truncated(self, namespace: str, name: str, uid: str) -> None:
        """Revisions go when the rollout is over; none that a pod or StatefulSet still carries."""
        ledger = self._ledger
        revision = ledger.get(CONTROLLERREVISIONS, namespace, name)
        if not uid:
            ledger.complain(f"revision {name} is deleted whichever it is")
        if revision is None or revision["metadata"]["uid"] != uid:
            return
        ledger.rules.truncated(revision)
        named, key = _labels(revision)[labels.NAME], _key(revision)
        leader_set = ledger.get(STATEFULSETS, namespace, named)
        if leader_set is not None and "deletionTimestamp" not in leader_set["metadata"]:
            rolling = leader_set["spec"]["updateStrategy"].get("rollingUpdate") or {}
            if rolling.get("partition", 0) and leader_set["spec"]["replicas"]:  # of no groups none is held back
                ledger.complain(f"revision {name} is deleted while the partition is {rolling['partition']}")
        for resource in (PODS, STATEFULSETS):
            for each in ledger.storage.objects(str(resource), namespace):
                live = "deletionTimestamp" not in each["metadata"] and _labels(each).get(labels.NAME) == named
                if live and _key(each) == key and self._lasts(each):
                    ledger.complain(f"revision {name} is deleted while {each['metadata']['name']} carries its key")

    def _lasts(self, obj: JSON) -> bool:
        """Whether the owner of an object is still there and not going, or the object waits for its collection."""
        owner = controller(obj)
        if owner is None:
            return False
        resource = OWNERS.get(owner["kind"], LEADERWORKERSETS)
        live = self._ledger.get(resource, obj["metadata"]["namespace"], owner["name"])
        if live is None or live["metadata"]["uid"] != owner["uid"] or "deletionTimestamp" in live["metadata"]:
            return False
        return controller(live) is None or self._lasts(live)

    def _deleted(self, namespace: str, name: str, uid: str, body: JSON) -> None:
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
        if uid not in self._ledger.failed:
            self._ledger.complain(f"pod {name} is deleted though nothing befell its group")
        self._ledger.rules.recreated(live)
        self._budgets.deleted(live, body)

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


def _labels(obj: JSON) -> JSON:
    return obj["metadata"].get("labels") or {}


def _key(obj: JSON) -> str:
    return str(_labels(obj).get(labels.REVISION, ""))


def _recorded(body: JSON) -> str:
    """R, as an apply of the leader StatefulSet records it."""
    return str(body["metadata"]["annotations"][labels.REPLICAS])


def _image(data: JSON) -> str:
    template = data["spec"]["leaderWorkerTemplate"]["workerTemplate"]
    return str(template["spec"]["containers"][0]["image"])
