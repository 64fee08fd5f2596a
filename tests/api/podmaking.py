"""Pods as a StatefulSet controller would send them to admission."""

from __future__ import annotations

from typing import Any

from lws.api.leaderworkerset import labels as keys
from lws.apimachinery.manifests import JSON


def container(name: str = "main", env: list[JSON] | None = None, tpus: int | str | None = None) -> JSON:
    """A container; with ``tpus`` it limits that many TPUs."""
    made: JSON = {"name": name, "image": "i"}
    if env is not None:
        made["env"] = env
    if tpus is not None:
        made["resources"] = {"limits": {keys.TPU_RESOURCE: tpus}}
    return made


def pod(
    name: str,
    *,
    lws: str = "m",
    size: int | str = 4,
    labels: JSON | None = None,
    annotations: JSON | None = None,
    containers: list[JSON] | None = None,
    init: list[JSON] | None = None,
    subdomain: str | None = None,
    **spec: Any,
) -> JSON:
    """A pod of set ``lws`` before admission; labels and annotations given come on top."""
    made: JSON = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {keys.NAME: lws, keys.REVISION: "k", **(labels or {})},
            "annotations": {keys.SIZE: str(size), **(annotations or {})},
        },
        "spec": {"containers": containers or [container()], "subdomain": subdomain or lws, **spec},
    }
    if init is not None:
        made["spec"]["initContainers"] = init
    return made


def leader(name: str = "m-0", **rest: Any) -> JSON:
    """A leader pod as its StatefulSet's template marks it."""
    return pod(name, **{**rest, "labels": {keys.WORKER_INDEX: "0", **(rest.get("labels") or {})}})


def worker(name: str, **rest: Any) -> JSON:
    """A worker pod as its StatefulSet's template marks it."""
    parent = name.rsplit("-", 1)[0]
    index = parent.rsplit("-", 1)[-1]
    return pod(
        name,
        **{
            **rest,
            "labels": {keys.GROUP_INDEX: index, keys.GROUP_KEY: "g", **(rest.get("labels") or {})},
            "annotations": {keys.LEADER_NAME: parent, **(rest.get("annotations") or {})},
        },
    )


def env_of(mutated: JSON, index: int = 0, member: str = "containers") -> dict[str, str]:
    """The literal variables of a container, by name."""
    entries = mutated["spec"][member][index].get("env") or []
    return {entry["name"]: entry.get("value", "") for entry in entries}


def labels_of(mutated: JSON) -> dict[str, str]:
    """The labels by their short names."""
    return {key.removeprefix(keys.PREFIX): value for key, value in mutated["metadata"]["labels"].items()}
