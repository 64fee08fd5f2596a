"""What ReplicaSets and Deployments do next: pure functions of what the caches hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.deployment_scaling import first_size, is_scaling, limits, notes, replicas_of, roll, scale
from lws_sandbox.controllers.hashing import fnv1_32, go_json, safe_encode
from lws_sandbox.controllers.objects import (
    annotations_of,
    controller_reference,
    is_terminating,
    labels_of,
    matches_labels,
    meta,
    name_of,
    namespace_of,
    set_condition,
)
from lws_sandbox.controllers.pods import is_available, is_finished, is_ready
from lws_sandbox.controllers.scaledown import by_deletion_order
from lws_sandbox.copying import copied

HASH_LABEL: Final = "pod-template-hash"
REVISION: Final = "deployment.kubernetes.io/revision"
REPLICA_FAILURE: Final = "ReplicaFailure"


@dataclass(frozen=True, slots=True)
class ReplicaSetPlan:
    """Pods to create, pods to delete, and the status as observed."""

    create: int
    delete: tuple[JSON, ...]
    status: JSON


@dataclass(frozen=True, slots=True)
class DeploymentPlan:
    """What the deployment's replica sets shall be.

    Attributes:
        create: a new replica set, or None.
        scale: replica sets and the replicas that they shall have.
        delete: empty ones beyond the history limit.
        revision: for the deployment's annotation.
        status: as observed.
    """

    create: JSON | None
    scale: tuple[tuple[JSON, int], ...]
    delete: tuple[JSON, ...]
    revision: str
    status: JSON


def plan_replicaset(replicaset: JSON, pods: Sequence[JSON], now: datetime) -> ReplicaSetPlan:
    """Decide one round for a replica set and the pods that it controls."""
    active = [pod for pod in pods if not is_finished(pod) and not is_terminating(pod)]
    wanted = replicas_of(replicaset)
    min_ready = int(replicaset["spec"].get("minReadySeconds") or 0)
    template_labels = (replicaset["spec"]["template"].get("metadata") or {}).get("labels") or {}
    ready = [pod for pod in active if is_ready(pod)]
    status: JSON = {
        "observedGeneration": meta(replicaset).get("generation", 0),
        "replicas": len(active),
        "fullyLabeledReplicas": sum(template_labels.items() <= labels_of(pod).items() for pod in active),
        "readyReplicas": len(ready),
        "availableReplicas": sum(is_available(pod, min_ready, now) for pod in ready),
        "terminatingReplicas": sum(is_terminating(pod) and not is_finished(pod) for pod in pods),
    }
    if is_terminating(replicaset):
        return ReplicaSetPlan(0, (), status)
    surplus = by_deletion_order(active, now)[: max(0, len(active) - wanted)]
    return ReplicaSetPlan(max(0, wanted - len(active)), tuple(surplus), status)


def new_replicaset_pod(replicaset: JSON) -> JSON:
    """A pod from the set's template; the API server completes its name."""
    template = replicaset["spec"]["template"]
    metadata = template.get("metadata") or {}
    kept = {key: copied(metadata[key]) for key in ("labels", "annotations", "finalizers") if metadata.get(key)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **kept,
            "generateName": f"{name_of(replicaset)}-",
            "namespace": namespace_of(replicaset),
            "ownerReferences": [controller_reference(replicaset, "apps/v1", "ReplicaSet")],
        },
        "spec": copied(template["spec"]),
    }


def plan_deployment(deployment: JSON, replicasets: Sequence[JSON], now: datetime) -> DeploymentPlan:
    """Decide one round for a deployment and the replica sets that it controls."""
    newest = next((item for item in replicasets if _same_template(deployment, item)), None)
    revision = _revision(newest, replicasets)
    status = _deployment_status(deployment, newest, replicasets, now)
    if is_terminating(deployment):
        return DeploymentPlan(None, (), (), revision, status)
    old = [item for item in replicasets if item is not newest]
    paused = bool(deployment["spec"].get("paused"))
    if paused or is_scaling(deployment, replicasets):
        kept = _history(deployment, old) if paused else ()
        return DeploymentPlan(None, scale(deployment, newest, old), kept, revision, status)
    if newest is None:
        first = first_size(deployment, replicasets)
        return DeploymentPlan(new_replicaset(deployment, first, revision), (), (), revision, status)
    return DeploymentPlan(None, roll(deployment, newest, old), _history(deployment, old), revision, status)


def new_replicaset(deployment: JSON, replicas: int, revision: str) -> JSON:
    """The replica set of the deployment's template as it is now."""
    digest = template_hash(deployment)
    template = copied(deployment["spec"]["template"])
    metadata = template.setdefault("metadata", {})
    metadata["labels"] = {**(metadata.get("labels") or {}), HASH_LABEL: digest}
    selector = copied(deployment["spec"]["selector"])
    selector["matchLabels"] = {**(selector.get("matchLabels") or {}), HASH_LABEL: digest}
    annotations = {
        key: value
        for key, value in annotations_of(deployment).items()
        if key != "kubectl.kubernetes.io/last-applied-configuration"
    }
    spec: JSON = {"replicas": replicas, "selector": selector, "template": template}
    if deployment["spec"].get("minReadySeconds"):
        spec["minReadySeconds"] = deployment["spec"]["minReadySeconds"]
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "name": f"{name_of(deployment)}-{digest}",
            "namespace": namespace_of(deployment),
            "labels": metadata["labels"],
            "annotations": {**annotations, **notes(deployment), REVISION: revision},
            "ownerReferences": [controller_reference(deployment, "apps/v1", "Deployment")],
        },
        "spec": spec,
    }


def resized(deployment: JSON, replicaset: JSON, replicas: int) -> JSON:
    """The replica set with another number of replicas, and with the deployment's own size noted on it."""
    annotations = {**annotations_of(replicaset), **notes(deployment)}
    return {
        **replicaset,
        "metadata": {**meta(replicaset), "annotations": annotations},
        "spec": {**replicaset["spec"], "replicas": replicas},
    }


def template_hash(deployment: JSON) -> str:
    """A name for the template's content."""
    return safe_encode(str(fnv1_32(go_json(deployment["spec"]["template"]))))


def _same_template(deployment: JSON, replicaset: JSON) -> bool:
    """Whether the replica set's template is the deployment's, its hash label aside."""
    template = copied(replicaset["spec"]["template"])
    (template.get("metadata") or {}).get("labels", {}).pop(HASH_LABEL, None)
    return bool(template == deployment["spec"]["template"])


def _revision(newest: JSON | None, replicasets: Sequence[JSON]) -> str:
    numbers = {id(item): int(annotations_of(item).get(REVISION, "0")) for item in replicasets}
    highest = max(numbers.values(), default=0)
    if newest is not None and numbers[id(newest)] == highest and highest:
        return str(highest)
    return str(highest + 1)


def _history(deployment: JSON, old: Sequence[JSON]) -> tuple[JSON, ...]:
    limit = deployment["spec"].get("revisionHistoryLimit")
    limit = 10 if limit is None else int(limit)
    empty = [item for item in old if not replicas_of(item) and not (item.get("status") or {}).get("replicas")]
    empty.sort(key=lambda item: int(annotations_of(item).get(REVISION, "0")))
    return tuple(empty[: max(0, len(empty) - limit)])


def _deployment_status(deployment: JSON, newest: JSON | None, replicasets: Sequence[JSON], now: datetime) -> JSON:
    def total(member: str, items: Sequence[JSON]) -> int:
        return sum(int((item.get("status") or {}).get(member) or 0) for item in items)

    wanted = replicas_of(deployment)
    available = total("availableReplicas", replicasets)
    updated = total("replicas", [newest] if newest else [])
    replicas = total("replicas", replicasets)
    enough = available >= wanted - limits(deployment)[1]
    complete = updated == replicas == available == wanted
    conditions = (deployment.get("status") or {}).get("conditions") or []
    conditions = _note(conditions, _availability(enough), now)
    conditions = _note(conditions, _progress(deployment, newest, complete), now)
    conditions = [each for each in conditions if each["type"] != REPLICA_FAILURE]
    conditions += [
        {**each, "lastUpdateTime": each["lastTransitionTime"]} for each in _failures(newest, replicasets)[:1]
    ]
    return {
        "observedGeneration": meta(deployment).get("generation", 0),
        "replicas": replicas,
        "updatedReplicas": updated,
        "readyReplicas": total("readyReplicas", replicasets),
        "availableReplicas": available,
        "unavailableReplicas": max(0, replicas - available),
        "terminatingReplicas": total("terminatingReplicas", replicasets),
        "conditions": conditions,
    }


def with_failure(conditions: Sequence[JSON], failed: str, missing: bool, now: datetime) -> list[JSON]:
    """A replica set's conditions once pods could not be made, or else deleted, in the words of the error; empty: could.

    The first failure of a row is told until there is none.
    """
    known = any(each["type"] == REPLICA_FAILURE for each in conditions)
    if failed and not known:
        reason = "FailedCreate" if missing else "FailedDelete"
        entry = {"type": REPLICA_FAILURE, "status": "True", "reason": reason, "message": failed}
        return set_condition([*conditions], entry, now)
    return [each for each in conditions if failed or each["type"] != REPLICA_FAILURE]


def _failures(newest: JSON | None, replicasets: Sequence[JSON]) -> list[JSON]:
    """Failures of the newest replica set, or else of the others."""
    for group in ([newest] if newest is not None else [], replicasets):
        told = (each for one in group for each in (one.get("status") or {}).get("conditions") or ())
        if found := [each for each in told if each["type"] == REPLICA_FAILURE]:
            return found
    return []


def _availability(enough: bool) -> JSON:
    words = "has" if enough else "does not have"
    reason = "MinimumReplicasAvailable" if enough else "MinimumReplicasUnavailable"
    message = f"Deployment {words} minimum availability."
    return {"type": "Available", "status": "True" if enough else "False", "reason": reason, "message": message}


def _progress(deployment: JSON, newest: JSON | None, complete: bool) -> JSON:
    subject = f'ReplicaSet "{name_of(newest)}"' if newest else f'Deployment "{name_of(deployment)}"'
    reason, words = (
        ("NewReplicaSetAvailable", "has successfully progressed")
        if complete
        else (
            "ReplicaSetUpdated",
            "is progressing",
        )
    )
    return {"type": "Progressing", "status": "True", "reason": reason, "message": f"{subject} {words}."}


def _note(conditions: Sequence[JSON], entry: JSON, now: datetime) -> list[JSON]:
    before = next((item for item in conditions if item["type"] == entry["type"]), None)
    stamp = now.strftime("%Y-%m-%dT%H:%M:%SZ")
    same = before is not None and all(before.get(key) == value for key, value in entry.items())
    updated = before["lastUpdateTime"] if before is not None and same else stamp
    return set_condition(list(conditions), {**entry, "lastUpdateTime": updated}, now)


def selects(obj: JSON, labels: dict[str, str]) -> bool:
    """Whether the object's selector picks these labels."""
    return matches_labels(obj["spec"].get("selector"), labels)
