"""The whole status of a LeaderWorkerSetOperator (operator 2.3, 5.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import orjson

from lws.api.operand import names
from lws.apimachinery.manifests import JSON, name_of, namespace_of
from lws.planning.operand import health
from lws.planning.operand.conditions import Sync, conditions
from lws.planning.operand.desired import Desired, Wanted
from lws.planning.operand.facts import Facts
from lws.planning.operand.world import Workloads, World

WORKLOADS_SECONDS: Final = 30.0  # at most so often a change of the counts alone is written
_HASHED: Final = frozenset({"ConfigMap", "Secret"})


def status(
    facts: Facts, wanted: Desired, world: World, sync: Sync, *, plan: JSON | None = None, history: Sequence[JSON] = ()
) -> JSON:
    """The status as it is now; equal to what is there if nothing changed."""
    before = world.operator.raw_status
    deployment = world.live.get(("Deployment", names.DEPLOYMENT))
    result: JSON = {
        "conditions": conditions(facts, world, sync, before.get("conditions") or ()),
        "observedGeneration": world.operator.metadata.generation,
        "readyReplicas": health.available_replicas(deployment),
        "version": _version(facts, deployment, str(before.get("version") or "")) if deployment is not None else "",
        "operand": _operand(deployment, world, before),
        "certificates": _certificates(facts, world, before.get("certificates") or {}),
        "generations": [_generation(each, world) for each in wanted.objects if each.key in world.live],
        "relatedObjects": [_related(each) for each in wanted.objects],
        "plan": plan,
        "history": [*history],
    }
    if world.workloads is not None:
        result["workloads"] = _workloads(world.workloads, before.get("workloads") or {}, world.now)
    return {name: value for name, value in result.items() if value not in (None, "", {}, [])}


def _version(facts: Facts, deployment: JSON | None, before: str) -> str:
    """The version whose pods all serve; that of before until the new ones do."""
    serves = health.rolled_out(deployment) and health.image_of(deployment) == facts.image
    return facts.version if serves else before


def _operand(deployment: JSON | None, world: World, before: JSON) -> JSON:
    if deployment is None:
        return {}
    counts = deployment.get("status") or {}
    result: JSON = {
        "image": health.image_of(deployment),
        "imageIDs": health.image_ids(world.pods),
        "replicas": health.wanted_replicas(deployment),
        "updatedReplicas": int(counts.get("updatedReplicas") or 0),
        "availableReplicas": health.available_replicas(deployment),
        "leader": _leader(deployment, world),
    }
    if world.probe is not None:
        known = ((before.get("operand") or {}).get("webhook")) or {}
        reachable = not world.probe.fault
        same = known.get("reachable") == reachable and known.get("lastProbe")
        result["webhook"] = {"reachable": reachable, "lastProbe": known["lastProbe"] if same else stamp(world.probe.at)}
    return {name: value for name, value in result.items() if value not in ("", [])}


def _leader(deployment: JSON, world: World) -> str:
    for lease in world.leases:
        if name_of(lease) == names.OPERAND_LEASE and namespace_of(lease) == namespace_of(deployment):
            return str((lease.get("spec") or {}).get("holderIdentity") or "")
    return ""


def _certificates(facts: Facts, world: World, before: JSON) -> JSON:
    same = before.get("mode") == facts.certificates and before.get("since")
    result = {
        "mode": facts.certificates,
        "since": before["since"] if same else stamp(world.now),
        "webhookNotAfter": world.ends.webhook,
        "metricsNotAfter": world.ends.metrics,
    }
    return {name: value for name, value in result.items() if value}


def _generation(wanted: Wanted, world: World) -> JSON:
    live = world.live[wanted.key]
    result = {**_related(wanted), "namespace": namespace_of(wanted.manifest)}
    if wanted.resource.kind in _HASHED:
        data = {member: live[member] for member in ("data", "binaryData") if live.get(member)}
        return result | {"hash": hashlib.sha256(orjson.dumps(data, option=orjson.OPT_SORT_KEYS)).hexdigest()}
    return result | {"lastGeneration": int(live["metadata"].get("generation") or 0)}


def _related(wanted: Wanted) -> JSON:
    where = namespace_of(wanted.manifest)
    result = {"group": wanted.resource.group, "resource": wanted.resource.plural, "name": name_of(wanted.manifest)}
    return result | ({"namespace": where} if where else {})


def _workloads(counts: Workloads, before: JSON, now: datetime) -> JSON:
    """The counts, unless they were written less than 30 s ago: then those of before."""
    found = {
        "sets": counts.sets,
        "setsAvailable": counts.sets_available,
        "setsProgressing": counts.sets_progressing,
        "setsBlocked": counts.sets_blocked,
        "groupsDesired": counts.groups_desired,
        "groupsReady": counts.groups_ready,
        "groupsUpdated": counts.groups_updated,
        "pods": counts.pods,
    }
    observed = str(before.get("observedAt") or "")
    if observed and (found.items() <= before.items() or workloads_due(observed, now) > 0):
        return before
    return {**found, "observedAt": stamp(now)}


def workloads_due(observed: str, now: datetime) -> float:
    """Seconds until a change of the counts may be written; not positive if it may now."""
    if not observed:
        return 0.0
    return (datetime.fromisoformat(observed) + timedelta(seconds=WORKLOADS_SECONDS) - now).total_seconds()


def stamp(moment: datetime) -> str:
    """A time as Kubernetes writes it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
