"""The leader Deployment of a set whose groups are known by a key (next 3.3): content, and when it is worth applying."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from msgspec import structs

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.types import HASH, ROLLING_UPDATE, LeaderWorkerSet
from lws.apimachinery.actions import Applied
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import ObjectMeta
from lws.apimachinery.resources import DEPLOYMENTS
from lws.planning.leaderworkerset import leader_statefulset, templates
from lws.planning.leaderworkerset.leader_statefulset import selector
from lws.planning.leaderworkerset.metadata import of_leader_object
from lws.planning.leaderworkerset.steering import Steering

NOTES: Final = "deployment.kubernetes.io/"  # annotations that the Deployment controller keeps


def manifest(lws: LeaderWorkerSet, section: JSON, key: str, replicas: int, steering: Steering | None = None) -> JSON:
    """Exactly the fields that are applied; none more.

    Args:
        lws: the live object.
        section: normal form of its ``leaderWorkerTemplate``.
        key: the current revision key.
        replicas: how many groups there are to be.
        steering: how the rollout is steered (resilience 1.6); ``paused`` is sent only where it is.
    """
    steering = steering or Steering()
    template = templates.pod_template(
        templates.leader_template(section),
        {**selector(lws), labels.REVISION: key},
        {**leader_statefulset.template_annotations(lws), labels.GROUP_IDENTITY: HASH},
    )
    return {
        "apiVersion": DEPLOYMENTS.api_version,
        "kind": DEPLOYMENTS.kind,
        "metadata": of_leader_object(lws, key),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": selector(lws)},
            "strategy": {"type": ROLLING_UPDATE, "rollingUpdate": _pace(lws, steering)},
            **({"paused": True} if steering.paused else {}),
            "template": {**template, "spec": _pod_spec(lws, template.get("spec") or {})},
        },
    }


def _pace(lws: LeaderWorkerSet, steering: Steering) -> JSON:
    """As the user wrote it, but for a pair of zeros, which no server takes (ND-10), and surge that finds no room."""
    rolling = lws.spec.rollout_strategy.rolling_update_configuration
    unavailable, surge = rolling.max_unavailable, rolling.max_surge
    one = steering.fallback or (_none(unavailable) and _none(surge))
    return {"maxUnavailable": 1 if one else unavailable, "maxSurge": surge}


def _none(value: Any) -> bool:
    return value in (0, "0%")


def _pod_spec(lws: LeaderWorkerSet, spec: JSON) -> JSON:
    """The leader is ready when its group is, so that the Deployment counts groups (next 3.7)."""
    out = {**spec, "subdomain": lws.metadata.name}
    gate = {"conditionType": labels.GROUP_READY}
    gates = spec.get("readinessGates") or []
    if lws.spec.leader_worker_template.size > 1 and gate not in gates:
        out["readinessGates"] = [*gates, gate]
    return out


def unchanged(applied: Applied | None, body_digest: str, live: ObjectMeta | None) -> bool:
    """As that of the leader StatefulSet; the Deployment controller's notes do not count."""
    if applied is None or live is None:
        return False
    kept = structs.replace(live, annotations=_own(live.annotations))
    return leader_statefulset.unchanged(replace(applied, annotations=_own(applied.annotations)), body_digest, kept)


def _own(annotations: Any) -> dict[str, str]:
    return {key: value for key, value in (annotations or {}).items() if not key.startswith(NOTES)}
