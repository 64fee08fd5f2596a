"""Small objects for tests of control loops."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.statefulset.identity import new_pod

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


def at(seconds: float) -> str:
    """A moment so many seconds from `NOW`, as the API writes it."""
    return (NOW + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def statefulset(**spec: Any) -> JSON:
    """A StatefulSet ``a`` of three ordered replicas, changed by ``spec``."""
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "a", "namespace": "ns", "uid": "set-uid", "generation": 1, "resourceVersion": "1"},
        "spec": {
            "replicas": 3,
            "serviceName": "svc",
            "selector": {"matchLabels": {"app": "a"}},
            "podManagementPolicy": "OrderedReady",
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": 0}},
            "revisionHistoryLimit": 10,
            "template": {
                "metadata": {"labels": {"app": "a"}},
                "spec": {"containers": [{"name": "main", "image": "app:1"}]},
            },
            **spec,
        },
        "status": {"replicas": 0},
    }


def stored_pod(owner: JSON, ordinal: int, revision: str, *, phase: str = "Running", ready: bool = True) -> JSON:
    """A pod of a set as the API server holds it."""
    pod = new_pod(owner, ordinal, revision)
    pod["metadata"] |= {"uid": f"uid-{ordinal}", "resourceVersion": "5", "creationTimestamp": at(-60)}
    pod["status"] = {"phase": phase}
    if phase == "Running":
        status = "True" if ready else "False"
        pod["status"]["conditions"] = [{"type": "Ready", "status": status, "lastTransitionTime": at(-30)}]
    return pod


def ending(obj: JSON) -> JSON:
    """The object with its deletion begun."""
    return {**obj, "metadata": {**obj["metadata"], "deletionTimestamp": at(30), "deletionGracePeriodSeconds": 30}}


def named(name: str, **metadata: Any) -> JSON:
    """A ConfigMap of that name, for rules that hold for any object."""
    base = {"name": name, "namespace": "ns", "uid": f"uid-{name}", "resourceVersion": "1"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {**base, **metadata}}


def reference(name: str, *, block: bool = False) -> JSON:
    """A reference to the object of that name."""
    return {"apiVersion": "v1", "kind": "ConfigMap", "name": name, "uid": f"uid-{name}", "blockOwnerDeletion": block}


def node(
    name: str, *, labels: JSON | None = None, unschedulable: bool = False, taints: Any = (), **capacity: Any
) -> JSON:
    """A node that has ``capacity``; underscores in its names stand for the characters of ``nvidia.com/gpu``."""
    has = {"cpu": "4", "memory": "8Gi", "pods": "110", **{key: str(value) for key, value in capacity.items()}}
    if "gpu" in has:
        has["nvidia.com/gpu"] = has.pop("gpu")
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **(labels or {})}, "uid": f"uid-{name}"},
        "spec": {"unschedulable": unschedulable, "taints": list(taints)},
        "status": {"capacity": has, "allocatable": has},
    }


def pod(
    name: str, *, labels: JSON | None = None, namespace: str = "ns", requests: JSON | None = None, **spec: Any
) -> JSON:
    """A pod that waits for a node."""
    containers = [{"name": "main", "image": "app", "resources": {"requests": requests or {}}}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace, "uid": f"uid-{name}", "labels": labels or {}},
        "spec": {"containers": containers, **spec},
        "status": {"phase": "Pending"},
    }
