"""Objects of a LeaderWorkerSet for tests of planners: as the caches hold them, made the way the real ones are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from lws.api.leaderworkerset import groupkeys, labels, revisions
from lws.api.leaderworkerset.objects import (
    Container,
    ContainerStatus,
    ControllerRevision,
    LabelSelector,
    Node,
    Pod,
    PodSpec,
    PodStatus,
    PodTemplate,
    ResourceRequirements,
    RollingUpdate,
    Service,
    ServiceSpec,
    StatefulSet,
    StatefulSetSpec,
    StatefulSetStatus,
    TemplateAnnotations,
    TemplateMeta,
    UpdateStrategy,
)
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Apply, Create, Delete, EmitEvent, Plan, UpdateStatus
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import Condition, ObjectMeta, OwnerReference

NOW = datetime(2026, 8, 1, 12, 0, 0, tzinfo=UTC)
STAMP = "2026-08-01T12:00:00Z"
EARLIER = "2026-08-01T10:00:00Z"
NAMESPACE = "default"
NAME = "sample"
UID = "uid-lws"
STATEFULSET_UID = "uid-leader-set"


def template(image: str = "app:1", **spec: Any) -> JSON:
    """A pod template with one container."""
    return {"spec": {"containers": [{"name": "main", "image": image}], **spec}}


def lws(
    *,
    replicas: int | None = 2,
    size: int | None = 2,
    rolling: JSON | None = None,
    metadata: JSON | None = None,
    status: JSON | None = None,
    section: JSON | None = None,
    image: str = "app:1",
    **spec: Any,
) -> LeaderWorkerSet:
    """A LeaderWorkerSet; ``section`` updates ``leaderWorkerTemplate``, the rest updates the spec."""
    body: JSON = {
        "leaderWorkerTemplate": {"size": size, "workerTemplate": template(image), **(section or {})},
        "rolloutStrategy": {"type": "RollingUpdate", "rollingUpdateConfiguration": rolling or {}},
        "networkConfig": {"subdomainPolicy": "Shared"},
        **spec,
    }
    if replicas is not None:
        body["replicas"] = replicas
    meta = {
        "name": NAME,
        "namespace": NAMESPACE,
        "uid": UID,
        "generation": 3,
        "resourceVersion": "100",
        "creationTimestamp": EARLIER,
        **(metadata or {}),
    }
    return LeaderWorkerSet.from_json({"metadata": meta, "spec": body, "status": status or {}})


def key_of(owner: LeaderWorkerSet) -> str:
    """The revision key of the live spec."""
    return revisions.revision_key(revisions.revision_data(owner))


def revision(owner: LeaderWorkerSet, number: int = 1, *, key: str | None = None, **changes: Any) -> ControllerRevision:
    """The revision of this spec, as the controller makes it."""
    data = revisions.revision_data(owner)
    meta: JSON = {
        "name": revisions.revision_name(NAME, data, number),
        "namespace": NAMESPACE,
        "uid": f"uid-revision-{number}",
        "resource_version": str(200 + number),
        "labels": {labels.NAME: NAME, labels.REVISION: key_of(owner) if key is None else key},
        "owner_references": (controller("LeaderWorkerSet", NAME, UID),),
        **changes,
    }
    return ControllerRevision(metadata=ObjectMeta(**meta), revision=number, data=orjson.loads(data))


def controller(kind: str, name: str, uid: str, api_version: str = "") -> OwnerReference:
    """A controlling owner."""
    version = api_version or {"LeaderWorkerSet": "leaderworkerset.x-k8s.io/v1", "StatefulSet": "apps/v1"}.get(
        kind, "v1"
    )
    return OwnerReference(kind=kind, name=name, uid=uid, controller=True, api_version=version)


def leader_set(
    key: str, *, replicas: int | None = 2, partition: int | None = 0, recorded: int | None = None, **changes: Any
) -> StatefulSet:
    """The leader StatefulSet of the set."""
    count = 1 if replicas is None else replicas
    meta: JSON = {
        "name": NAME,
        "namespace": NAMESPACE,
        "uid": STATEFULSET_UID,
        "generation": 1,
        "resource_version": "150",
        "creation_timestamp": EARLIER,
        "labels": {labels.NAME: NAME, labels.REVISION: key},
        "annotations": {labels.REPLICAS: str(count if recorded is None else recorded)},
        "owner_references": (controller("LeaderWorkerSet", NAME, UID),),
        **changes,
    }
    return StatefulSet(
        metadata=ObjectMeta(**meta),
        spec=StatefulSetSpec(
            replicas=replicas,
            service_name=NAME,
            selector=LabelSelector(match_labels={labels.NAME: NAME, labels.WORKER_INDEX: "0"}),
            update_strategy=UpdateStrategy(
                type="RollingUpdate", rolling_update=RollingUpdate(partition=partition, max_unavailable=1)
            ),
        ),
        status=StatefulSetStatus(replicas=count, ready_replicas=count, available_replicas=count),
    )


def leader(
    index: int,
    key: str,
    *,
    size: int | None = 2,
    ready: bool = True,
    phase: str = "Running",
    restarts: int = 0,
    init_restarts: int = 0,
    node: str = "node-1",
    label_map: Mapping[str, str | None] | None = None,
    annotations: Mapping[str, str] | None = None,
    tpus: bool = False,
    scheduler: str = "",
    **changes: Any,
) -> Pod:
    """The leader pod of a group; a label of None is absent."""
    name = f"{NAME}-{index}"
    found: dict[str, str | None] = {
        labels.NAME: NAME,
        labels.REVISION: key,
        labels.WORKER_INDEX: "0",
        labels.GROUP_INDEX: str(index),
        labels.GROUP_KEY: groupkeys.group_key(NAMESPACE, name),
        **(label_map or {}),
    }
    noted = {**({} if size is None else {labels.SIZE: str(size)}), **(annotations or {})}
    return _pod(
        name,
        found,
        noted,
        controller("StatefulSet", NAME, STATEFULSET_UID),
        uid=changes.pop("uid", f"uid-leader-{index}"),
        ready=ready,
        phase=phase,
        restarts=restarts,
        init_restarts=init_restarts,
        node=node,
        tpus=tpus,
        scheduler=scheduler,
        changes=changes,
        subdomain=NAME if (annotations or {}).get(labels.SUBDOMAIN_POLICY) != "UniquePerReplica" else name,
    )


def worker(
    group: int,
    index: int,
    key: str,
    *,
    uid: str = "",
    owner: OwnerReference | None = None,
    owned: bool = True,
    phase: str = "Running",
    ready: bool = True,
    restarts: int = 0,
    init_restarts: int = 0,
    **changes: Any,
) -> Pod:
    """A worker pod of a group."""
    parent = f"{NAME}-{group}"
    found: dict[str, str | None] = {
        labels.NAME: NAME,
        labels.REVISION: key,
        labels.WORKER_INDEX: str(index),
        labels.GROUP_INDEX: str(group),
        labels.GROUP_KEY: groupkeys.group_key(NAMESPACE, parent),
    }
    by_default = controller("StatefulSet", parent, f"uid-workers-{group}") if owned else None
    return _pod(
        f"{parent}-{index}",
        found,
        {labels.SIZE: "2", labels.LEADER_NAME: parent},
        owner or by_default,
        uid=uid or f"uid-worker-{group}-{index}",
        ready=ready,
        phase=phase,
        restarts=restarts,
        init_restarts=init_restarts,
        node="node-1",
        tpus=False,
        changes=changes,
    )


def _pod(
    name: str,
    label_map: Mapping[str, str | None],
    annotations: Mapping[str, str],
    owner: OwnerReference | None,
    *,
    uid: str,
    ready: bool,
    phase: str,
    restarts: int,
    init_restarts: int,
    node: str,
    tpus: bool,
    changes: JSON,
    scheduler: str = "",
    subdomain: str = NAME,
) -> Pod:
    meta: JSON = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": uid,
        "resource_version": "170",
        "creation_timestamp": EARLIER,
        "labels": {key: value for key, value in label_map.items() if value is not None},
        "annotations": dict(annotations),
        "owner_references": () if owner is None else (owner,),
        **changes,
    }
    resources = ResourceRequirements(limits={labels.TPU_RESOURCE: "4"}) if tpus else None
    containers = (Container(name="main", resources=resources),)
    return Pod(
        metadata=ObjectMeta(**meta),
        spec=PodSpec(
            node_name=node, scheduler_name=scheduler, hostname=name, subdomain=subdomain, containers=containers
        ),
        status=PodStatus(
            phase=phase,
            conditions=(Condition(type="Ready", status="True" if ready else "False"),),
            init_container_statuses=(ContainerStatus(name="init", restart_count=init_restarts),),
            container_statuses=(ContainerStatus(name="main", restart_count=restarts),),
        ),
    )


def worker_set(
    group: int,
    key: str,
    *,
    size: int = 2,
    ready: bool = True,
    leader_uid: str = "",
    template_size: int | None = None,
    **changes: Any,
) -> StatefulSet:
    """The worker StatefulSet of a group; its template's own size is the group's unless given."""
    name = f"{NAME}-{group}"
    noted = TemplateAnnotations(size=str(size if template_size is None else template_size))
    meta: JSON = {
        "name": name,
        "namespace": NAMESPACE,
        "uid": f"uid-workers-{group}",
        "resource_version": "160",
        "creation_timestamp": EARLIER,
        "labels": {
            labels.NAME: NAME,
            labels.REVISION: key,
            labels.GROUP_INDEX: str(group),
            labels.GROUP_KEY: groupkeys.group_key(NAMESPACE, name),
        },
        "owner_references": (controller("Pod", name, leader_uid or f"uid-leader-{group}"),),
        **changes,
    }
    return StatefulSet(
        metadata=ObjectMeta(**meta),
        spec=StatefulSetSpec(
            replicas=size - 1, service_name=NAME, template=PodTemplate(metadata=TemplateMeta(annotations=noted))
        ),
        status=StatefulSetStatus(
            replicas=size - 1,
            available_replicas=size - 1 if ready else size - 2,
            current_revision="r1",
            update_revision="r1",
        ),
    )


def service(name: str = NAME, selector: Mapping[str, str] | None = None, **changes: Any) -> Service:
    """A headless Service."""
    meta: JSON = {"name": name, "namespace": NAMESPACE, "uid": f"uid-service-{name}", **changes}
    chosen = {labels.NAME: NAME} if selector is None else dict(selector)
    return Service(metadata=ObjectMeta(**meta), spec=ServiceSpec(cluster_ip="None", selector=chosen))


def node(name: str = "node-1", **label_map: str) -> Node:
    """A node with labels."""
    return Node(metadata=ObjectMeta(name=name, labels=label_map))


def status_of(plan: Plan) -> JSON | None:
    """The status that the plan writes, if it writes one."""
    return next((dict(action.status) for action in plan.actions if isinstance(action, UpdateStatus)), None)


def condition(status: JSON | None, kind: str) -> JSON | None:
    """One condition of a status."""
    found: Sequence[JSON] = (status or {}).get("conditions", ())
    return next((each for each in found if each["type"] == kind), None)


def applied(plan: Plan) -> Apply | None:
    """The apply of the plan, if there is one."""
    return next((action for action in plan.actions if isinstance(action, Apply)), None)


def created(plan: Plan, kind: str) -> Create | None:
    """The creation of an object of this kind, if there is one."""
    found = (action for action in plan.actions if isinstance(action, Create) and action.resource.kind == kind)
    return next(found, None)


def deleted(plan: Plan) -> list[Delete]:
    """The deletions of the plan."""
    return [action for action in plan.actions if isinstance(action, Delete)]


def notes(plan: Plan) -> list[str]:
    """Notes of all events that the plan records if everything succeeds, in order."""
    out = []
    for action in plan.actions:
        found = (action,) if isinstance(action, EmitEvent) else getattr(action, "on_success", ())
        out += [event.note for event in found]
    return out
