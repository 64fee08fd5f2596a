"""What can keep a group from being ready: each reason of resilience 4 in two forms, as facts of one group.

`docs/diagnosis.md` is generated from this table and from what the diagnosis says of it, so that it cannot go stale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import PodGroup
from lws.apimachinery.manifests import JSON
from lws.planning.leaderworkerset.diagnosis.facts import Facts, GangFacts, GroupFacts, Holder
from lws.planning.leaderworkerset.diagnosis.findings import Reason
from lws.planning.leaderworkerset.diagnosis.objects import Event, NodeReport, PodReport
from tests.planning.diagnosis_facts import (
    HEALTHY,
    event,
    group,
    healthy,
    leader_set,
    pod,
    set_facts,
    terminated,
    unscheduled,
    waiting,
    worker_set,
)

NO_GPU = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu."
ENDING: JSON = {"deletionTimestamp": "2026-01-01T00:00:30Z", "deletionGracePeriodSeconds": 30}
ZONE = "topology.kubernetes.io/zone"


@dataclass(frozen=True)
class Parts:
    """One group and what is known around it; ``lws`` are members of the set that it needs."""

    group: GroupFacts
    events: tuple[Event, ...] = ()
    nodes: Mapping[str, NodeReport | None] = field(default_factory=dict)
    lws: Mapping[str, Any] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    gangs: Mapping[str, GangFacts | None] = field(default_factory=dict)
    holders: tuple[Holder, ...] = ()
    strays: tuple[PodReport, ...] = ()


@dataclass(frozen=True)
class Situation:
    """Something that happens.

    Attributes:
        title: what it is, as a person would say it.
        reason: under which it is told.
        look: what to look at; ``{i}`` is the group.
        remedy: words that say what to do.
        make: the facts, for a group of that index.
    """

    title: str
    reason: Reason
    look: str
    remedy: str
    make: Callable[[int], Parts]


def leader(i: int, **parts: Any) -> PodReport:
    """The leader of a group."""
    return pod(f"s-{i}", group=i, worker=0, **parts)


def worker(i: int, **parts: Any) -> PodReport:
    """Its worker."""
    return pod(f"s-{i}-1", group=i, worker=1, **parts)


def of_worker(**parts: Any) -> Callable[[int], Parts]:
    """A group whose worker is so."""
    return lambda i: Parts(group(i, worker=worker(i, **parts)))


def of_leader(**parts: Any) -> Callable[[int], Parts]:
    """A group whose leader is so, and that has no workers yet."""
    return lambda i: Parts(group(i, leader(i, **parts), None, workers=None))


def no_leader(message: str) -> Callable[[int], Parts]:
    """A group whose leader could not be created."""
    return lambda i: Parts(
        group(i, None, None, workers=None),
        events=(
            event("StatefulSet", "s", "FailedCreate", f"create Pod s-{i} in StatefulSet s failed error: {message}"),
        ),
    )


def too_long(i: int) -> Parts:
    """The workers of this very group have too long a name."""
    said = f'StatefulSet.apps "s-{i}" is invalid: metadata.name: Invalid value: must be no more than 63 characters'
    about: JSON = {"related": {"kind": "Pod", "name": f"s-{i}", "uid": f"uid-s-{i}"}}
    warning = event("LeaderWorkerSet", "s", "FailedCreate", f"Failed to create: {said}", **about)
    return Parts(group(i, worker=None, workers=None), events=(warning,))


def refused(i: int) -> Parts:
    """The worker StatefulSet is refused by a webhook."""
    about: JSON = {"related": {"kind": "Pod", "name": f"s-{i}", "uid": f"uid-s-{i}"}}
    said = (
        'Failed to create worker statefulset: admission webhook "policy.example.com" denied the request: no owner label'
    )
    return Parts(
        group(i, worker=None, workers=None), events=(event("LeaderWorkerSet", "s", "FailedCreate", said, **about),)
    )


def ending_worker(**meta: Any) -> Callable[[int], Parts]:
    """A group whose worker ends, and no longer counts as available."""
    return lambda i: Parts(group(i, worker=worker(i, metadata={**ENDING, **meta}), workers=worker_set(i, available=0)))


def on_node(name: str, found: NodeReport | None, **parts: Any) -> Callable[[int], Parts]:
    """A group whose worker is on a node that is so."""
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}
    return lambda i: Parts(
        group(i, worker=worker(i, spec={"nodeName": name}, status=status, **parts)), nodes={name: found}
    )


def lost(name: str) -> NodeReport:
    """A node whose kubelet fell silent."""
    silent = {"type": "Ready", "status": "Unknown", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    return msgspec.convert({"metadata": {"name": name}, "status": {"conditions": [silent]}}, NodeReport)


def scaled(replicas: int) -> Callable[[int], Parts]:
    """Somebody scaled the worker StatefulSet."""

    def make(i: int) -> Parts:
        found = worker_set(i, replicas=replicas, available=replicas)
        template = {"metadata": {"annotations": {labels.SIZE: "2"}}}
        spec = msgspec.convert({"replicas": replicas, "template": template}, type(found.spec))
        return Parts(group(i, worker=HEALTHY if replicas else None, workers=msgspec.structs.replace(found, spec=spec)))

    return make


def unlabelled(i: int) -> Parts:
    """The worker is there, without our label."""
    return Parts(replace(group(i, worker=None), unlabelled=(f"s-{i}-1",)))


def changed_label(i: int) -> Parts:
    """The worker carries another set's name, and is told of by no list."""
    return Parts(replace(group(i, worker=None, workers=worker_set(i, available=0)), unlabelled=(f"s-{i}-1",)))


def old_names(i: int) -> Parts:
    """A worker of the earlier group still ends."""
    return Parts(group(i, leader(i), worker(i, metadata=ENDING), workers=None))


def old_set(i: int) -> Parts:
    """The worker StatefulSet is that of the earlier leader."""
    return Parts(group(i, leader(i, metadata={"uid": f"new-{i}"}), None))


def leader_first(**parts: Any) -> Callable[[int], Parts]:
    """With LeaderReady, a leader that runs and is not ready."""
    return lambda i: Parts(group(i, leader(i, **parts), None, workers=None), lws={"leader_ready_first": True})


def waits_for_leader(i: int) -> Parts:
    """Workers wait for a leader that runs and is not ready."""
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "False"}]}
    return leader_first(status=status)(i)


def held(domains: Sequence[str]) -> Callable[[int], Parts]:
    """Exclusive placement finds no domain of its own."""
    holders = tuple(Holder(domain, "ns", "other", "0") for domain in domains)
    return lambda i: Parts(
        group(i, leader(i, status=unscheduled(NO_GPU), spec={"nodeName": ""}), None, workers=None),
        annotations={labels.EXCLUSIVE_TOPOLOGY: ZONE},
        holders=holders,
    )


def gang(phase: str, *, queue: str = "gold", exists: bool | None = True, words: str = "") -> Callable[[int], Parts]:
    """A member of a PodGroup that waits."""

    def make(i: int) -> Parts:
        name = f"s-{i}-new"
        raw = {"metadata": {"name": name}, "spec": {"queue": queue}, "status": {"phase": phase}}
        facts = GangFacts(msgspec.convert(raw, PodGroup), exists, words)
        meta = {"annotations": {labels.SIZE: "2", labels.POD_GROUP_NAME: name}}
        waits = leader(i, metadata=meta, status={"phase": "Pending"}, spec={"nodeName": ""})
        return Parts(group(i, waits, None, workers=None), gangs={name: facts})

    return make


def gated(gate: str) -> Callable[[int], Parts]:
    """A gate holds the leader."""
    return of_leader(status={"phase": "Pending"}, spec={"nodeName": "", "schedulingGates": [{"name": gate}]})


def unready(i: int) -> Parts:
    """A probe fails."""
    status = {
        "phase": "Running",
        "conditions": [{"type": "Ready", "status": "False"}],
        "containerStatuses": [{"name": "main", "ready": False, "state": {"running": {}}}],
    }
    probe = event("Pod", f"s-{i}-1", "Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
    return Parts(group(i, worker=worker(i, status=status)), events=(probe,))


def no_volume(i: int) -> Parts:
    """A volume cannot be mounted."""
    said = 'MountVolume.SetUp failed for volume "weights" : configmap "weights" not found'
    status = waiting("ContainerCreating") | {"phase": "Pending"}
    return Parts(group(i, worker=worker(i, status=status)), events=(event("Pod", f"s-{i}-1", "FailedMount", said),))


def initializing(name: str, *earlier: JSON, **state: Any) -> JSON:
    """The status of a pod whose init container is so, after earlier ones."""
    return {
        "phase": "Pending",
        "initContainerStatuses": [*earlier, {"name": name, "state": state}],
        "containerStatuses": [{"name": "main", "state": {"waiting": {"reason": "PodInitializing"}}}],
    }


def nameless(i: int) -> Parts:
    """A pod that no webhook saw."""
    stray = pod(f"s-{i}-1", group=i, worker=1, labels={labels.WORKER_INDEX: ""})
    return Parts(group(i, worker=None), strays=(stray,))


def nameless_leader(i: int) -> Parts:
    """A leader that no webhook saw."""
    stray = pod(f"s-{i}", group=i, worker=0, labels={labels.WORKER_INDEX: ""})
    return Parts(group(i, None, None, workers=None), strays=(stray,))


R = Reason
SITUATIONS: tuple[Situation, ...] = (
    Situation(
        "the name of the set is too long for its pods",
        R.NAME_TOO_LONG,
        "leader pod s-{i}",
        "Shorten the name",
        no_leader("metadata.labels: must be no more than 63 characters"),
    ),
    Situation(
        "the name is too long for the workers of this group",
        R.NAME_TOO_LONG,
        "StatefulSet s-{i}",
        "Shorten the name",
        too_long,
    ),
    Situation(
        "the kubelet of a node is silent", R.NODE_LOST, "node n7", "kubectl taint node n7", on_node("n7", lost("n7"))
    ),
    Situation("a node was deleted under its pod", R.NODE_LOST, "node n8", "--force", on_node("n8", None)),
    Situation(
        "a finalizer keeps a pod that ends",
        R.TERMINATING,
        "worker pod s-{i}-1",
        "must remove it",
        ending_worker(finalizers=["example.com/keep"]),
    ),
    Situation(
        "a pod takes its grace period to end",
        R.TERMINATING,
        "worker pod s-{i}-1",
        "kubelet of its node",
        ending_worker(),
    ),
    Situation("somebody scaled the workers up", R.WORKERS_SCALED, "StatefulSet s-{i}", "--replicas=1", scaled(3)),
    Situation("somebody scaled the workers down", R.WORKERS_SCALED, "StatefulSet s-{i}", "--replicas=1", scaled(0)),
    Situation("a worker's label was removed", R.LOST_LABEL, "worker pod s-{i}-1", "Put the label back", unlabelled),
    Situation(
        "a worker's label was changed and its StatefulSet counts it as missing",
        R.LOST_LABEL,
        "worker pod s-{i}-1",
        "or delete the pod",
        changed_label,
    ),
    Situation(
        "a quota leaves no room for the leader",
        R.FAILED_CREATE,
        "leader pod s-{i}",
        "Correct what the message names",
        no_leader("exceeded quota: small, requested: pods=1, used: pods=4, limited: pods=4"),
    ),
    Situation(
        "a webhook of a stranger refuses the worker StatefulSet",
        R.FAILED_CREATE,
        "worker StatefulSet s-{i}",
        "Correct what the message names",
        refused,
    ),
    Situation("a worker of the earlier group still ends", R.WAITING_FOR_NAMES, "s-{i}-1", "", old_names),
    Situation(
        "the earlier worker StatefulSet is not collected yet",
        R.WAITING_FOR_NAMES,
        "StatefulSet s-{i}",
        "end those pods",
        old_set,
    ),
    Situation(
        "with LeaderReady, the leader is not ready",
        R.NOT_READY,
        "leader pod s-{i}",
        "kubectl logs s-{i}",
        waits_for_leader,
    ),
    Situation(
        "with LeaderReady, the leader crashes",
        R.CRASH_LOOP,
        "leader pod s-{i}",
        "--previous",
        leader_first(status=terminated(1)),
    ),
    Situation(
        "another set holds the only zone",
        R.TOPOLOGY_HELD,
        "zone-a by group 0 of ns/other",
        "of its own for each group",
        held(["zone-a"]),
    ),
    Situation(
        "no node has the label of exclusive placement", R.TOPOLOGY_HELD, "leader pod s-{i}", "label the nodes", held([])
    ),
    Situation(
        "the queue of a gang does not exist",
        R.QUEUE_MISSING,
        "PodGroup s-{i}-new",
        "create Queue glod",
        gang("", queue="glod", exists=False),
    ),
    Situation(
        "nobody made the queue that gangs go to by default",
        R.QUEUE_MISSING,
        "PodGroup s-{i}-new",
        "create Queue default",
        gang("", queue="", exists=False),
    ),
    Situation(
        "a gang is larger than what its queue may have",
        R.POD_GROUP_PENDING,
        "PodGroup s-{i}-new",
        "Free room in the queue",
        gang("Pending", words="resource in cluster is overused: overused cpu"),
    ),
    Situation(
        "the gang scheduler does not run",
        R.POD_GROUP_PENDING,
        "PodGroup s-{i}-new",
        "See that Volcano runs",
        gang(""),
    ),
    Situation(
        "Kueue has not admitted the group",
        R.GATED,
        "leader pod s-{i}",
        "kubectl describe workload",
        gated("kueue.x-k8s.io/admission"),
    ),
    Situation(
        "a controller of a stranger holds the pod by a gate",
        R.GATED,
        "leader pod s-{i}",
        "must remove it",
        gated("example.com/hold"),
    ),
    Situation(
        "no node has enough GPUs",
        R.UNSCHEDULABLE,
        "leader pod s-{i}",
        "Free or add such nodes",
        of_leader(status=unscheduled(NO_GPU), spec={"nodeName": ""}),
    ),
    Situation(
        "the scheduler that the pod names does not run",
        R.UNSCHEDULABLE,
        "leader pod s-{i}",
        "Check that scheduler tpu-scheduler runs",
        of_leader(status={"phase": "Pending"}, spec={"nodeName": "", "schedulerName": "tpu-scheduler"}),
    ),
    Situation(
        "the image does not exist",
        R.IMAGE_PULL,
        "worker pod s-{i}-1",
        "Fix the image name",
        of_worker(status=waiting("ErrImagePull", "not found", image="app:9")),
    ),
    Situation(
        "the registry wants credentials",
        R.IMAGE_PULL,
        "worker pod s-{i}-1",
        "imagePullSecret",
        of_worker(status=waiting("ImagePullBackOff", "401 Unauthorized", image="private/app:1")),
    ),
    Situation(
        "a container runs out of memory",
        R.CRASH_LOOP,
        "worker pod s-{i}-1",
        "--previous",
        of_worker(status=terminated(137, "OOMKilled", restarts=3)),
    ),
    Situation(
        "a container refers to a ConfigMap that is not there",
        R.CRASH_LOOP,
        "worker pod s-{i}-1",
        "kubectl logs s-{i}-1",
        of_worker(status=waiting("CreateContainerConfigError", 'configmap "c" not found')),
    ),
    Situation(
        "an init container loads a model",
        R.INIT_RUNNING,
        "worker pod s-{i}-1",
        "tells how far it is",
        of_worker(status=initializing("load", running={})),
    ),
    Situation(
        "the second init container waits for a service",
        R.INIT_RUNNING,
        "init container await",
        "tells how far it is",
        of_worker(status=initializing("await", {"name": "load", "state": {"terminated": {"exitCode": 0}}}, running={})),
    ),
    Situation(
        "an init container fails",
        R.CRASH_LOOP,
        "worker pod s-{i}-1",
        "--previous",
        of_worker(status=initializing("load", terminated={"exitCode": 3, "reason": "Error"})),
    ),
    Situation("a readiness probe fails", R.NOT_READY, "worker pod s-{i}-1", "kubectl describe pod s-{i}-1", unready),
    Situation(
        "a volume cannot be mounted", R.NOT_READY, "worker pod s-{i}-1", "kubectl describe pod s-{i}-1", no_volume
    ),
    Situation(
        "pods were created while the webhook was missing", R.UNADMITTED, "s-{i}-1", "delete these pods", nameless
    ),
    Situation(
        "the webhook configurations leave the leader's namespace out",
        R.UNADMITTED,
        "s-{i}",
        "Check that the webhook configurations exist",
        nameless_leader,
    ),
    Situation(
        "a pod of a deleted set is still there",
        R.TERMINATING,
        "leader pod s-9",
        "",
        lambda i: Parts(group(i), strays=(pod("s-9", group=9, worker=0, metadata=ENDING),)),
    ),
)
PAIRS: tuple[tuple[int, int], ...] = tuple((n, (n + 5 + n % 7) % len(SITUATIONS)) for n in range(26))


def facts_of(*situations: Situation) -> Facts:
    """A set in which each happens to one group, and one more group is well."""
    made = [one.make(index) for index, one in enumerate(situations)]
    count = len(made) + 1
    annotations = {key: value for one in made for key, value in one.annotations.items()}
    members = {key: value for one in made for key, value in one.lws.items()}
    holders = tuple(holder for one in made for holder in one.holders)
    return healthy(
        count,
        lws=replace(set_facts(count, metadata={"annotations": annotations}), **members),
        leader_set=leader_set(count),
        groups=(*(one.group for one in made), group(count - 1)),
        events=tuple(each for one in made for each in one.events),
        nodes={name: found for one in made for name, found in one.nodes.items()},
        gangs={name: found for one in made for name, found in one.gangs.items()},
        holders=holders,
        domains=frozenset(holder.domain for holder in holders) if annotations else None,
        strays=tuple(each for one in made for each in one.strays),
    )
