"""Lives of sets whose groups are known by a key (next 3, 4): who acts, what must hold, and how it must end."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

import orjson

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON, annotations_of, labels_of
from lws.apimachinery.resources import CONTROLLERREVISIONS, DEPLOYMENTS, PODS, REPLICASETS, STATEFULSETS, Resource
from lws.client.transport import Request, Transport
from lws.planning.leaderworkerset.statusnews import RECORD_SECONDS
from lws.reconcilers.leaderworkerset.caches import OWN_REVISIONS
from tests.simulation.budgets import Budgets, counts_of
from tests.simulation.driver import Cast, Simulation
from tests.simulation.faults import Faults
from tests.simulation.hashed import HASH_LOOPS, ended, gates, going, key
from tests.simulation.inspector import Inspector
from tests.simulation.ledger import HEARSAY, Ledger, controller, target, uid_of
from tests.simulation.probe import Probe
from tests.simulation.states import common_expectation, pod_ready
from tests.simulation.users import User
from tests.simulation.world import NAME, World

POLICIES: Final = ("PostTermination", "PostTermination", "Immediate")


class KeyedUser(User):
    """Creates and edits such a set."""

    partitions: ClassVar[Sequence[int]] = (0,)

    def _identity(self) -> JSON:
        policy = self._world.random.choice(POLICIES)
        self._note(policy)
        return {"groupIdentity": "Hash", "groupReplacementPolicy": policy}

    async def replacement(self) -> str:
        """Another replacement policy."""
        policy = self._world.random.choice(POLICIES)
        self._note(policy)
        return f"{policy}: " + await self.patch({"spec": {"groupReplacementPolicy": policy}})

    def _note(self, policy: str) -> None:
        assert isinstance(self._world.ledger, KeyedLedger)
        self._world.ledger.policy(policy)


class KeyedFaults(Faults):
    """The same harm; leaders come from a Deployment."""

    leaders_by: ClassVar[Resource] = DEPLOYMENTS

    async def _leader_of(self, worker: str, _base: str) -> JSON | None:
        pod = await self._world.cluster.get(PODS, worker)
        noted = "" if pod is None else annotations_of(pod).get(labels.LEADER_NAME, "")
        return await self._world.cluster.get(PODS, noted) if noted else None


@dataclass
class KeyedLedger(Ledger):
    """What the invariants remember besides.

    Attributes:
        immediate: when the policy was last Immediate.
    """

    immediate: float = field(default=-60.0)
    _waits: bool = False

    def policy(self, policy: str) -> None:
        """The user's replacement policy from now on."""
        if not self._waits:
            self.immediate = self.elapsed()
        self._waits = policy != "Immediate"

    @property
    def waits(self) -> bool:
        """Whether replacements wait, as every operator knows by now."""
        return self._waits and self.elapsed() - self.immediate > HEARSAY and not self.meddled

    def own_leaders(self, lws: JSON) -> list[JSON]:
        """The leaders that the present Deployment of a set has made."""
        found = []
        for pod in self.pods_of(lws["metadata"]["name"]):
            owner = controller(pod)
            made = None if owner is None else self.get(REPLICASETS, pod["metadata"]["namespace"], owner["name"])
            by = None if made is None else controller(made)
            present = self.get(DEPLOYMENTS, pod["metadata"]["namespace"], lws["metadata"]["name"])
            leads = labels_of(pod).get(labels.WORKER_INDEX) == "0"
            if leads and by is not None and present is not None and by["uid"] == present["metadata"]["uid"]:
                found.append(pod)
        return found

    def pods_of(self, name: str) -> list[JSON]:
        """All pods of a set."""
        return [each for each in self.storage.objects(str(PODS)) if labels_of(each).get(labels.NAME) == name]

    def most(self, lws: JSON) -> int:
        """How many groups there may be, as recent generations have it."""
        return max((each.replicas + each.surge for each in self.shapes[lws["metadata"]["uid"]]), default=0)

    def look(self) -> None:
        """Live leaders are within R + S; a worker has no leader that waits; no key is there twice."""
        for lws in self.storage.objects(str(LEADERWORKERSETS)):
            live = [pod for pod in self.own_leaders(lws) if not going(pod) and not ended(pod)]
            if len(live) > self.most(lws) and not self.meddled:
                self.complain(f"{len(live)} live leaders, at most {self.most(lws)} may be")
            if len({key(pod) for pod in live}) < len(live):
                self.complain("two leaders have the same key")

    def occupied(self, lws: JSON) -> int:
        """How many groups hold places: with a leader that was admitted, or pods of one that is gone."""
        pods = self.pods_of(lws["metadata"]["name"])
        own = self.own_leaders(lws)
        admitted = {key(pod) for pod in own if labels.REPLACEMENT_GATE not in gates(pod)}
        led = {key(pod) for pod in own}
        known = self.groups.setdefault(lws["metadata"]["uid"], set())
        known |= admitted
        left = {labels_of(pod).get(labels.GROUP_KEY, "") for pod in pods if pod["spec"].get("nodeName")}
        return len(admitted | ((left - led) & known))

    groups: dict[str, set[str]] = field(default_factory=dict)


class KeyedBudgets(Budgets):
    """Counts move to the groups that replace others, and are never made of nothing (next 5.7)."""

    def stored(self, body: JSON, live: JSON) -> None:
        """A count rises by one for a leader that is charged, or is one that another group has left; no other way."""
        name, meta = live["metadata"]["name"], body.get("metadata", {})
        notes = meta.get("annotations", {})
        if body.keys() != {"metadata"} or not meta.keys() <= {"resourceVersion", "uid", "annotations"}:
            self._ledger.complain(f"PATCH of set {name}: {body}")
        if live["metadata"]["resourceVersion"] != meta.get("resourceVersion"):
            self._ledger.complain(f"counts of {name} are stored over what was not read")
        before, after = counts_of(annotations_of(live)), counts_of(notes)
        charged = [orjson.loads(each.get(labels.RESTART_CHARGED) or "{}") for each in (annotations_of(live), notes)]
        left = [count for entry, count in before.items() if entry not in after]
        for entry, count in after.items():
            if count <= before.get(entry, 0):
                continue
            if charged[1].get(entry) != charged[0].get(entry):
                lawful = count == before.get(entry, 0) + 1
            else:
                lawful = count in left
                left = [*left[: left.index(count)], *left[left.index(count) + 1 :]] if lawful else left
            if not lawful:
                self._ledger.complain(f"{name}: the counts rise from {before} to {after}")


class KeyedInspector(Inspector):
    """What must hold of a write for such a set."""

    allowed: ClassVar[Any] = {
        "POST": {"controllerrevisions", "services", "statefulsets", "events", "leases"},
        "PATCH": {"deployments", "statefulsets", "pods", "pods/status", "leaderworkersets", "events"},
        "PUT": {"leaderworkersets/status", "controllerrevisions", "leases", "events"},
        "DELETE": {"pods", "controllerrevisions"},
    }

    def __init__(self, inner: Transport, ledger: Ledger) -> None:
        super().__init__(inner, ledger)
        self._budgets = KeyedBudgets(ledger)

    def _look(self, request: Request, kind: str, namespace: str, name: str) -> None:
        match request.method, kind:
            case "PATCH", "deployments":
                self._deployed(orjson.loads(request.body), namespace, name)
            case "PATCH", "pods":
                body = orjson.loads(request.body)
                if isinstance(body, dict):
                    self._held(body, name)
                else:
                    self._lifted(body, namespace, name)
            case "PATCH", "pods/status":
                self._told(orjson.loads(request.body), namespace, name)
            case "POST", "statefulsets":
                self._workers(orjson.loads(request.body), namespace, name)
                self._created(orjson.loads(request.body), kind, namespace)
            case "POST", "services" | "controllerrevisions":
                self._created(orjson.loads(request.body), kind, namespace)
            case "DELETE", "pods":
                self._ended(namespace, name, uid_of(request))
            case "DELETE", "controllerrevisions":
                self._truncated(namespace, name, uid_of(request))
            case "PUT", "leaderworkersets/status":
                self._described(orjson.loads(request.body), namespace, name)

    def _deployed(self, body: JSON, namespace: str, name: str) -> None:
        """The Deployment is ours, and has as many replicas as the user asked for lately."""
        ledger, owner = self._ledger, body["metadata"]["ownerReferences"][0]["uid"]
        live = ledger.get(DEPLOYMENTS, namespace, name)
        by = None if live is None else controller(live)
        if by is not None and by["uid"] != owner:
            ledger.complain(f"{name}: an apply over what belongs to another")
        wanted = {each.replicas for each in ledger.shapes[owner]}
        if wanted and body["spec"]["replicas"] not in wanted:
            ledger.complain(f"{name}: {body['spec']['replicas']} replicas, {sorted(wanted)} were asked for")

    def _lifted(self, body: Any, namespace: str, name: str) -> None:
        """Only our gate goes, and under PostTermination only where no more groups hold places than may be."""
        ledger = self._ledger
        paths = {each["path"].rpartition("/")[0] for each in body if each["op"] == "remove"}
        if not paths <= {"/spec/schedulingGates", "/metadata/annotations"}:
            ledger.complain(f"pod {name}: {paths} are removed")
        pod = ledger.get(PODS, namespace, name)
        lws = None if pod is None else ledger.get(LEADERWORKERSETS, namespace, labels_of(pod)[labels.NAME])
        if pod is None or lws is None or going(pod) or labels.REPLACEMENT_GATE not in gates(pod):
            return
        assert isinstance(ledger, KeyedLedger)
        if ledger.waits and pod in ledger.own_leaders(lws) and ledger.occupied(lws) >= ledger.most(lws):
            ledger.complain(f"pod {name} is admitted while {ledger.occupied(lws)} groups hold places")

    def _told(self, body: JSON, namespace: str, name: str) -> None:
        """Of a pod's status only our condition is written."""
        (condition,) = body["status"]["conditions"]
        if body["status"].keys() != {"conditions"} or condition["type"] != labels.GROUP_READY:
            self._ledger.complain(f"pod {name}: {body['status']} is written")
        pod = self._ledger.get(PODS, namespace, name)
        if pod is not None and labels.REPLACEMENT_GATE in gates(pod):
            self._ledger.complain(f"pod {name} is told of its group while it is gated")

    def _workers(self, body: JSON, namespace: str, name: str) -> None:
        """Workers are made for a leader that was admitted, under its host name."""
        owner = body["metadata"]["ownerReferences"][0]
        leader = self._ledger.get(PODS, namespace, owner["name"])
        if leader is None or leader["metadata"]["uid"] != owner["uid"]:
            return
        if labels.REPLACEMENT_GATE in gates(leader):
            self._ledger.complain(f"workers {name} are made while their leader is gated")
        if leader["spec"]["hostname"] != name:
            self._ledger.complain(f"workers {name} have another name than host {leader['spec']['hostname']}")

    def _ended(self, namespace: str, name: str, uid: str) -> None:
        """Pods are deleted by UID, and only leaders of ours whose group something befell."""
        if not uid:
            self._ledger.complain(f"pod {name} is deleted whoever it is")
        live = self._ledger.get(PODS, namespace, name)
        if live is None or live["metadata"]["uid"] != uid:
            return
        owner = controller(live)
        if owner is None or owner["kind"] != "ReplicaSet" or labels_of(live).get(labels.WORKER_INDEX) != "0":
            self._ledger.complain(f"pod {name} is no leader of ours")
        if uid not in self._ledger.failed and live["status"].get("phase") != "Failed":
            self._ledger.complain(f"pod {name} is deleted though nothing befell its group")

    def _truncated(self, namespace: str, name: str, uid: str) -> None:
        """A revision goes when no leader carries it any more; what a leader left behind needs none."""
        revision = self._ledger.get(CONTROLLERREVISIONS, namespace, name)
        if not uid:
            self._ledger.complain(f"revision {name} is deleted whichever it is")
        if revision is None or revision["metadata"]["uid"] != uid:
            return
        assert isinstance(self._ledger, KeyedLedger)
        for pod in self._ledger.pods_of(labels_of(revision)[labels.NAME]):
            leads = labels_of(pod).get(labels.WORKER_INDEX) == "0" and not going(pod)
            if leads and labels_of(pod).get(labels.REVISION) == labels_of(revision)[labels.REVISION]:
                self._ledger.complain(f"revision {name} is deleted while leader {pod['metadata']['name']} carries it")


class KeyedProbe(Probe):
    """What must hold of a write by what its operator believes: one recreation an incident, in the foreground."""

    def _look(self, operator: Any, request: Request) -> None:
        kind, _, name = target(request)
        if (request.method, kind) != ("DELETE", "pods"):
            return
        if (id(self), uid_of(request)) in self._ledger.asked:
            self._ledger.complain(f"{name}: deleted once more")
        if orjson.loads(request.body or b"{}").get("propagationPolicy") != "Foreground":
            self._ledger.complain(f"{name}: its workers may outlive it")
        known = next((pod for pod in operator.caches.pods.store if pod.metadata.uid == uid_of(request)), None)
        if known is None or known.metadata.label(labels.WORKER_INDEX) != "0":
            self._ledger.complain(f"{name}: a deletion of what the caches do not know as a leader")


@dataclass
class KeyedWorld(World):
    """A world of such a set."""

    inspector: type[Inspector] = KeyedInspector
    probe: type[Probe] = KeyedProbe


class KeyedSimulation(Simulation):
    """The course of one life."""

    user = KeyedUser
    faults = KeyedFaults

    def __init__(self, world: World, life: Any) -> None:
        super().__init__(world, life)
        assert isinstance(self._user, KeyedUser)
        self._actions.append((3, self._user.replacement))

    async def _judge(self) -> None:
        await asyncio.sleep(RECORD_SECONDS)  # the failure of a group that is wanted no more is told in its own time
        await super()._judge()

    async def _unrest(self) -> list[str]:
        cluster, selector = self._world.cluster, f"{labels.NAME}={NAME}"
        found = await cluster.get(LEADERWORKERSETS, NAME)
        deployment = await cluster.get(DEPLOYMENTS, NAME)
        if found is None or deployment is None:
            return ["the set or its Deployment is not there"]
        pods, sets = await cluster.all(PODS, selector), await cluster.all(STATEFULSETS, selector)
        revision = labels_of(deployment).get(labels.REVISION)
        problems = _groups(found, pods, sets)
        others = [each for each in (*pods, *sets) if labels_of(each).get(labels.REVISION) != revision]
        problems += [f"{each['metadata']['name']} has another revision than {revision}" for each in others]
        revisions = await cluster.all(CONTROLLERREVISIONS, OWN_REVISIONS)
        keys = {labels_of(each)[labels.REVISION] for each in revisions}
        return problems + ([] if keys == {revision} else [f"revisions {sorted(keys)}, used {revision}"])


CAST: Final = Cast(KeyedLedger, KeyedWorld, KeyedSimulation, HASH_LOOPS)


def _groups(found: JSON, pods: list[JSON], sets: list[JSON]) -> list[str]:
    """What is wrong with the groups of a quiet cluster."""
    replicas, size = found["spec"]["replicas"], found["spec"]["leaderWorkerTemplate"]["size"]
    leaders = [pod for pod in pods if labels_of(pod).get(labels.WORKER_INDEX) == "0"]
    problems = [] if len(leaders) == replicas else [f"{len(leaders)} leaders instead of {replicas}"]
    hosts = {pod["spec"]["hostname"] for pod in leaders}
    made = {each["metadata"]["name"] for each in sets}
    if made != (hosts if size > 1 else set()):
        problems.append(f"worker sets {sorted(made)}, hosts {sorted(hosts)}")
    expected = {f"{host}-{index}" for host in hosts for index in range(1, size)}
    names = {pod["metadata"]["name"] for pod in pods if pod not in leaders and controller(pod) is not None}
    if names != expected:
        problems.append(f"workers missing {sorted(expected - names)}, too many {sorted(names - expected)}")
    problems += [f"{pod['metadata']['name']} is gated" for pod in leaders if gates(pod)]
    problems += [f"{pod['metadata']['name']} is not ready" for pod in pods if not pod_ready(pod)]
    return problems + common_expectation(found, pods)
