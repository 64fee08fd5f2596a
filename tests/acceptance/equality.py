"""Two clusters compared to the last member, but for what must differ between two runs: identity, order, and time."""

from __future__ import annotations

import re
from typing import Any, Final

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import CONTROLLERREVISIONS, PODS, SERVICES, STATEFULSETS
from tests.simulation.cluster import Cluster

_TIME: Final = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")
_UID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TOKEN: Final = re.compile(r"^kube-api-access-[a-z0-9]{5}$")
_IDENTITY: Final = ("uid", "resourceVersion", "containerID", "podIP", "podIPs", "clusterIP", "clusterIPs")


async def exact_state(cluster: Cluster) -> JSON:
    """Every object of the default namespace that belongs to a set, by kind and name."""
    out: JSON = {}
    for resource in (LEADERWORKERSETS, STATEFULSETS, PODS, SERVICES, CONTROLLERREVISIONS):
        for obj in await cluster.all(resource):
            out[f"{resource.kind}/{obj['metadata']['name']}"] = _plain(obj)
    return out


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {_UID.sub("(uid)", key): _member(key, member) for key, member in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, str):
        return "(time)" if _TIME.match(value) else _TOKEN.sub("(token)", _UID.sub("(uid)", value))
    return value


def _member(key: str, member: Any) -> Any:
    if key in _IDENTITY and isinstance(member, str | list):
        return "(identity)"
    if key == "managedFields":  # a server sorts them by their times
        member = sorted(member, key=lambda each: (each["manager"], each["operation"], each.get("subresource", "")))
    return _plain(member)
