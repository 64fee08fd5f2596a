"""Reviews as an API server sends them."""

from __future__ import annotations

import base64
import json
from typing import Any

from lws.api.leaderworkerset import labels as keys
from lws.apimachinery.manifests import JSON

UID = "705ab4f5-6393-11e8-b7cc-42010a800002"
LWS_KIND = {"group": "leaderworkerset.x-k8s.io", "version": "v1", "kind": "LeaderWorkerSet"}
POD_KIND = {"group": "", "version": "v1", "kind": "Pod"}


def lws(name: str = "m", **spec: Any) -> JSON:
    """A LeaderWorkerSet as it is after the schema's defaults."""
    template = {
        "size": 2,
        "restartPolicy": "RecreateGroupOnPodRestart",
        "workerTemplate": {"spec": {"containers": [{"name": "main", "image": "i"}]}},
        **spec.pop("template", {}),
    }
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"replicas": 2, "startupPolicy": "LeaderCreated", "leaderWorkerTemplate": template, **spec},
    }


def pod(name: str = "m-0", *, worker_index: str | None = "0", annotations: JSON | None = None) -> JSON:
    """A leader pod, or with another ``worker_index`` a worker."""
    labels = {keys.NAME: "m", keys.REVISION: "k"} | ({keys.WORKER_INDEX: worker_index} if worker_index else {})
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": labels,
            "annotations": {keys.SIZE: "2", **(annotations or {})},
        },
        "spec": {"subdomain": "m", "containers": [{"name": "main", "image": "i"}]},
    }


def review(obj: JSON | None, old: JSON | None = None, *, operation: str = "CREATE", **request: Any) -> JSON:
    """The review of a write; further members of ``request`` come on top."""
    about = obj or old or {}
    group, _, version = about.get("apiVersion", "v1").rpartition("/")
    kind = {"group": group, "version": version, "kind": about.get("kind", "")}
    resource = {"group": group, "version": version, "resource": kind["kind"].lower() + "s"}
    return {
        "kind": "AdmissionReview",
        "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": UID,
            "kind": kind,
            "resource": resource,
            "requestKind": kind,
            "requestResource": resource,
            "name": "m",
            "namespace": "default",
            "operation": operation,
            "userInfo": {"username": "admin", "groups": ["system:masters"]},
            "object": obj,
            "oldObject": old,
            "dryRun": False,
            "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
            **request,
        },
    }


def encode(value: Any) -> bytes:
    """A body."""
    return json.dumps(value).encode()


def patch_of(response: JSON) -> list[JSON]:
    """The JSON patch of a response; empty without one."""
    if "patch" not in response:
        return []
    assert response["patchType"] == "JSONPatch"
    decoded: list[JSON] = json.loads(base64.b64decode(response["patch"]))
    return decoded
