"""The reference controller, played: what it writes, by the specification word for word, and nothing of our planners."""

from __future__ import annotations

from typing import Final

from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import DEPLOYMENTS, STATEFULSETS
from lws.client.api import ApiClient

L: Final = "leaderworkerset.sigs.k8s.io/"
KNOWN: Final = ("conditions", "replicas", "readyReplicas", "updatedReplicas", "hpaPodSelector", "observedGeneration")


def owner(lws: JSON) -> list[JSON]:
    """The reference that it gives to what belongs to the set."""
    meta = lws["metadata"]
    return [
        {
            "apiVersion": "leaderworkerset.x-k8s.io/v1",
            "kind": "LeaderWorkerSet",
            "name": meta["name"],
            "uid": meta["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def leader_object(lws: JSON, key: str, kind: str, spec: JSON, *, hashed: bool) -> JSON:
    """The object that makes leaders, as it is applied (next 3.3; spec 5.3 with the label of next 14)."""
    name, wanted = lws["metadata"]["name"], lws["spec"]
    size, template = wanted["leaderWorkerTemplate"]["size"], wanted["leaderWorkerTemplate"]["workerTemplate"]
    leaders: JSON = {
        "metadata": {
            "labels": {L + "name": name, L + "worker-index": "0", L + "template-revision-hash": key},
            "annotations": {L + "size": str(size), **({L + "group-identity": "Hash"} if hashed else {})},
        },
        "spec": {
            "containers": [{each: one[each] for each in ("name", "image")} for one in template["spec"]["containers"]]
        },
    }
    if hashed:
        gate = {"conditionType": L + "group-ready"}
        leaders["spec"] |= {"subdomain": name, "readinessGates": [gate]}
    notes = {**lws["metadata"].get("annotations", {}), L + "replicas": str(wanted["replicas"])}
    return {
        "apiVersion": "apps/v1",
        "kind": kind,
        "metadata": {
            "name": name,
            "namespace": lws["metadata"]["namespace"],
            "labels": {L + "name": name, L + "template-revision-hash": key, L + "role": "leader"},
            "annotations": notes,
            "ownerReferences": owner(lws),
        },
        "spec": {
            "replicas": wanted["replicas"],
            "selector": {"matchLabels": {L + "name": name, L + "worker-index": "0"}},
            "template": leaders,
            **spec,
        },
    }


async def applied(client: ApiClient, lws: JSON, key: str, *, hashed: bool = False) -> None:
    """It applies its leader object, as it does at every reconcile, here with everything released."""
    name = lws["metadata"]["name"]
    if hashed:
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
        body = leader_object(lws, key, "Deployment", {"strategy": rolling}, hashed=True)
        await client.apply(DEPLOYMENTS, body, field_manager="lws", force=True)
    else:
        rolling = {"type": "RollingUpdate", "rollingUpdate": {"partition": 0, "maxUnavailable": 1}}
        spec = {"serviceName": name, "podManagementPolicy": "Parallel", "updateStrategy": rolling}
        body = leader_object(lws, key, "StatefulSet", spec, hashed=False)
        await client.apply(STATEFULSETS, body, field_manager="lws", force=True)


async def told(client: ApiClient, lws: JSON) -> None:
    """It writes the status: the members that it knows, with all conditions that it finds, each of this generation."""
    status = {key: each for key, each in lws["status"].items() if key in KNOWN}
    status["conditions"] = [
        {**each, "observedGeneration": lws["metadata"]["generation"]} for each in status.get("conditions", ())
    ]
    await client.update(LEADERWORKERSETS, {**lws, "status": status}, subresource="status")
