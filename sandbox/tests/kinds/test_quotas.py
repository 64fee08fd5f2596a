"""Objects that quotas refuse, and what quotas say of their use; answers as of a real Kubernetes 1.36."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any, Final

import pytest

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS, SERVICES, Resource
from lws.client.api import ApiClient
from lws.errors import ForbiddenError
from lws_sandbox import virtual_time as vt
from lws_sandbox.cluster import Sandbox
from lws_sandbox.controllers.quotas import RESOURCEQUOTAS
from lws_sandbox.nodes import Shape
from tests.virtual import virtual_time

MAPS: Final = Resource("", "v1", "configmaps", "ConfigMap")
CLAIMS: Final = Resource("", "v1", "persistentvolumeclaims", "PersistentVolumeClaim")
GPU: Final = {
    "requests": {"cpu": "500m", "nvidia.com/gpu": "4"},
    "limits": {"memory": "1Gi", "nvidia.com/gpu": "4"},
}


@asynccontextmanager
async def _cluster(hard: JSON | None = None, **quotas: JSON) -> AsyncIterator[ApiClient]:
    """A client of a cluster that has these quotas, ``q`` of these limits among them."""
    async with Sandbox(
        shape=Shape(()), clock=vt.VirtualClock(), random=Random(1), loops=("resourcequota-controller",)
    ) as sandbox:
        client = sandbox.client()
        for name, spec in (quotas | ({"q": {"hard": hard}} if hard else {})).items():
            await client.create(RESOURCEQUOTAS, {"metadata": {"name": name}, "spec": spec}, namespace="default")
        yield client


async def _pod(client: ApiClient, name: str, wanted: JSON | None = None, **spec: Any) -> JSON:
    containers = [{"name": "c", "image": "i:1", **({"resources": wanted} if wanted else {})}]
    pod = {"metadata": {"name": name}, "spec": {"containers": containers, **spec}}
    return await client.create(PODS, pod, namespace="default")


async def _status(client: ApiClient, name: str = "q") -> JSON:
    status: JSON = (await client.get(RESOURCEQUOTAS, "default", name))["status"]
    return status


@virtual_time
async def test_pods_are_charged_and_given_back() -> None:
    """A pod is in the status as soon as it is made, one too many is refused, and a deleted one counts no more."""
    hard = {"pods": "3", "requests.cpu": "2", "requests.nvidia.com/gpu": "8"}
    async with _cluster(hard) as client:
        for name in ("p0", "p1"):
            await _pod(client, name, GPU)
        full = {"pods": "2", "requests.cpu": "1", "requests.nvidia.com/gpu": "8"}
        assert await _status(client) == {"hard": hard, "used": full}
        with pytest.raises(ForbiddenError) as refused:
            await _pod(client, "p2", GPU)
        assert refused.value.message == (
            'pods "p2" is forbidden: exceeded quota: q, requested: requests.nvidia.com/gpu=4, '
            "used: requests.nvidia.com/gpu=8, limited: requests.nvidia.com/gpu=8"
        )
        await client.delete(PODS, "default", "p0")
        await asyncio.sleep(1)
        assert (await _status(client))["used"] == {"pods": "1", "requests.cpu": "500m", "requests.nvidia.com/gpu": "4"}


@virtual_time
async def test_every_limit_that_is_exceeded_is_named() -> None:
    """The refusal lists what was asked, used and allowed of each."""
    async with _cluster({"requests.cpu": "1", "limits.memory": "4Gi", "pods": "9"}) as client:
        with pytest.raises(ForbiddenError) as refused:
            await _pod(client, "p", {"requests": {"cpu": "1500m"}, "limits": {"memory": "5Gi"}})
        assert refused.value.message == (
            'pods "p" is forbidden: exceeded quota: q, requested: limits.memory=5Gi,requests.cpu=1500m, '
            "used: limits.memory=0,requests.cpu=0, limited: limits.memory=4Gi,requests.cpu=1"
        )


@virtual_time
async def test_what_a_quota_counts_has_to_be_said() -> None:
    """A container that states no cpu or memory is named where a quota limits it."""
    async with _cluster({"requests.cpu": "2", "limits.memory": "4Gi"}) as client:
        with pytest.raises(ForbiddenError) as refused:
            await _pod(client, "p")
        assert refused.value.message == (
            'pods "p" is forbidden: failed quota: q: must specify limits.memory for: c; requests.cpu for: c'
        )


@virtual_time
async def test_other_objects_are_counted() -> None:
    """Objects of any kind, node ports and storage are charged and refused like pods."""
    port = {"type": "NodePort", "ports": [{"port": 80}]}
    claim = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "6Gi"}}}
    hard = {"count/configmaps": "1", "services.nodeports": "1", "requests.storage": "10Gi"}
    async with _cluster(hard) as client:
        for resource, spec, over in (
            (MAPS, None, "count/configmaps=1, used: count/configmaps=1, limited: count/configmaps=1"),
            (SERVICES, port, "services.nodeports=1, used: services.nodeports=1, limited: services.nodeports=1"),
            (CLAIMS, claim, "requests.storage=6Gi, used: requests.storage=6Gi, limited: requests.storage=10Gi"),
        ):
            manifest = {"spec": spec} if spec else {}
            await client.create(resource, {"metadata": {"name": "a"}, **manifest}, namespace="default")
            with pytest.raises(ForbiddenError) as refused:
                await client.create(resource, {"metadata": {"name": "b"}, **manifest}, namespace="default")
            told = f'{resource.plural} "b" is forbidden: exceeded quota: q, requested: {over}'
            assert refused.value.message == told


SCOPED: Final[dict[str, JSON]] = {
    "besteffort": {"hard": {"pods": "0"}, "scopes": ["BestEffort"]},
    "critical": {
        "hard": {"pods": "0"},
        "scopeSelector": {
            "matchExpressions": [
                {"scopeName": "PriorityClass", "operator": "In", "values": ["system-cluster-critical"]}
            ]
        },
    },
    "terminating": {"hard": {"pods": "0"}, "scopes": ["Terminating"]},
}


@pytest.mark.parametrize(
    ("wanted", "spec", "quota"),
    [
        (None, {}, "besteffort"),
        ({"requests": {"cpu": "1"}}, {"priorityClassName": "system-cluster-critical"}, "critical"),
        ({"requests": {"cpu": "1"}}, {"activeDeadlineSeconds": 5}, "terminating"),
        ({"requests": {"cpu": "1"}}, {}, ""),
    ],
    ids=["best effort", "priority", "deadline", "none"],
)
@virtual_time
async def test_scopes_choose_the_pods(wanted: JSON | None, spec: JSON, quota: str) -> None:
    """A quota with scopes counts only the pods that are in all of them."""
    async with _cluster(**SCOPED) as client:
        if not quota:
            assert await _pod(client, "p", wanted, **spec)
            return
        with pytest.raises(ForbiddenError, match=f"exceeded quota: {quota}, requested: pods=1, used: pods=0"):
            await _pod(client, "p", wanted, **spec)
