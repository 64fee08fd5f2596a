"""LeaderWorkerSets for tests, as JSON and as objects."""

from __future__ import annotations

from typing import Any

from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.manifests import JSON


def pod_template(**spec: Any) -> JSON:
    """A template of one container, with more members of the pod spec."""
    return {"spec": {"containers": [{"name": "main", "image": "registry.example/app:1"}], **spec}}


def manifest(*, template: JSON | None = None, metadata: JSON | None = None, **spec: Any) -> JSON:
    """A complete LeaderWorkerSet; ``template`` updates ``leaderWorkerTemplate``, the rest updates the spec."""
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": "sample", "namespace": "default", **(metadata or {})},
        "spec": {
            "replicas": 2,
            "startupPolicy": "LeaderCreated",
            "rolloutStrategy": {
                "type": "RollingUpdate",
                "rollingUpdateConfiguration": {"partition": 0, "maxUnavailable": 1, "maxSurge": 0},
            },
            "networkConfig": {"subdomainPolicy": "Shared"},
            "groupIdentity": "Ordinal",
            "groupReplacementPolicy": "PostTermination",
            **spec,
            "leaderWorkerTemplate": {
                "size": 2,
                "restartPolicy": "RecreateGroupOnPodRestart",
                "workerTemplate": pod_template(),
                **(template or {}),
            },
        },
    }


def paced(**configuration: Any) -> JSON:
    """A rollout strategy with this configuration."""
    return {"type": "RollingUpdate", "rollingUpdateConfiguration": configuration}


def lws(**arguments: Any) -> LeaderWorkerSet:
    """The object of `manifest`."""
    return LeaderWorkerSet.from_json(manifest(**arguments))
