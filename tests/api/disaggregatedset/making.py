"""DisaggregatedSets for tests, as JSON and as objects."""

from __future__ import annotations

from typing import Any

from lws.api.disaggregatedset.types import DisaggregatedSet, DisaggregatedSetRoleScaler
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.manifests import JSON


def pause(version: str = "3.9", *, container: JSON | None = None, **template: Any) -> JSON:
    """A leaderWorkerTemplate of one container; ``container`` updates it, the rest the template."""
    main = {"name": "main", "image": f"registry.k8s.io/pause:{version}", **(container or {})}
    return {"workerTemplate": {"spec": {"containers": [main]}}, **template}


def role(name: str, replicas: int | None = 1, *, template: JSON | None = None, **more: Any) -> JSON:
    """A role; ``more`` are members of its spec, but ``scaling`` and ``metadata``."""
    outer: JSON = {key: more.pop(key) for key in ("scaling", "metadata") if key in more}
    counted = {} if replicas is None else {"replicas": replicas}
    return {
        "name": name,
        **outer,
        "spec": {**counted, "leaderWorkerTemplate": pause() if template is None else template, **more},
    }


def paced(**configuration: Any) -> JSON:
    """A rollout strategy with this configuration."""
    return {"type": "RollingUpdate", "rollingUpdateConfiguration": configuration}


def external(name: str, replicas: int | None = None, **more: Any) -> JSON:
    """A role whose replicas a scaler tells."""
    return role(name, replicas, scaling={"mode": "External"}, **more)


def manifest(*roles: JSON, name: str = "x", metadata: JSON | None = None, **spec: Any) -> JSON:
    """A complete DisaggregatedSet."""
    return {
        "apiVersion": "disaggregatedset.x-k8s.io/v1",
        "kind": "DisaggregatedSet",
        "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}", "generation": 1, **(metadata or {})},
        "spec": {"roles": list(roles or (role("prefill"), role("decode"))), **spec},
    }


def ds(*roles: JSON, status: JSON | None = None, **arguments: Any) -> DisaggregatedSet:
    """The object of `manifest`."""
    return DisaggregatedSet.from_json({**manifest(*roles, **arguments), "status": status or {}})


def scaler(role_name: str, replicas: int, *, of: str = "x", owner: str = "", status: JSON | None = None) -> Any:
    """The scaler of a role; controlled by the set ``of`` unless ``owner`` is another UID."""
    return DisaggregatedSetRoleScaler.from_json(
        {
            "metadata": {
                "name": f"{of}-{role_name}",
                "namespace": "default",
                "uid": f"uid-scaler-{role_name}",
                "generation": 1,
                "labels": {"disaggregatedset.x-k8s.io/name": of, "disaggregatedset.x-k8s.io/role": role_name},
                "ownerReferences": [owned_by(of, owner)],
            },
            "spec": {"replicas": replicas},
            "status": status or {},
        }
    )


def owned_by(name: str, uid: str = "") -> JSON:
    """The owner reference of what a set controls."""
    return {
        "apiVersion": "disaggregatedset.x-k8s.io/v1",
        "kind": "DisaggregatedSet",
        "name": name,
        "uid": uid or f"uid-{name}",
        "controller": True,
    }


def child(manifest: JSON, **changed: Any) -> LeaderWorkerSet:
    """A LeaderWorkerSet as a server would hold it."""
    metadata = {**manifest["metadata"], "uid": f"uid-{manifest['metadata']['name']}", "generation": 1}
    return LeaderWorkerSet.from_json({**manifest, "metadata": metadata, **changed})
