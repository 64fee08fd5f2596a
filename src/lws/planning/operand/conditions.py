"""The conditions of a LeaderWorkerSetOperator (operator 2.4, 5.4)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from lws.api.operand import messages, names
from lws.api.operand.types import DISABLED, REMOVED, UNMANAGED, LeaderWorkerSetOperatorSpec
from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import SERVICEMONITORS
from lws.planning.operand import health, removal
from lws.planning.operand.causes import Cause, cut, ordered, told
from lws.planning.operand.facts import Facts
from lws.planning.operand.world import World

AS_EXPECTED: Final = "AsExpected"
_KEPT: Final = (
    "the operand is kept and not healed; removal.policy Operand would remove its Deployment, webhooks and roles, and"
    " WhenUnused would do so once no set exists"
)
MONITORING_LABEL: Final = "openshift.io/cluster-monitoring"


@dataclass(frozen=True, slots=True)
class Sync:
    """How the last pass went.

    Attributes:
        causes: of being degraded, those that have stood long enough.
        error: why the pass failed, if that is to be told; empty otherwise.
        waits: what the installation waits for, as reason and message; empty if nothing.
        restarts: groups that the planned rollout would restart, in words; empty if none.
    """

    causes: tuple[Cause, ...] = ()
    error: str = ""
    waits: tuple[str, str] = ("", "")
    restarts: str = ""


def conditions(facts: Facts, world: World, sync: Sync, before: Sequence[JSON]) -> list[JSON]:
    """All conditions, sorted by type; a transition is a change of the status alone."""
    spec = world.operator.spec
    found = [
        _available(world, sync),
        _degraded(sync),
        _sync(sync),
        _progressing(spec, world, sync),
        _upgradeable(spec, sync),
        _monitoring(spec, facts, world),
    ]
    return [_stamped(each, before, world.now) for each in sorted(found, key=lambda each: str(each["type"]))]


def blind(sync: Sync, before: Sequence[JSON], now: datetime) -> list[JSON]:
    """The conditions of a pass that could not even look: what it cannot know stays as it was told last."""
    known = {str(each["type"]): each for each in before}
    told = {str(each["type"]): _stamped(each, before, now) for each in (_degraded(sync), _sync(sync))}
    return [each for _, each in sorted((known | told).items())]


def _available(world: World, sync: Sync) -> JSON:
    deployment = world.live.get(("Deployment", names.DEPLOYMENT))
    if removal.course(world.operator.spec, world.workloads) is removal.Course.REMOVE:
        return _condition("Available", False, "Removed", f"{messages.DEPLOYMENT_UNAVAILABLE}: it is removed")
    if health.available_replicas(deployment) < 1:
        return _condition("Available", False, "DeploymentUnavailable", _unavailable(sync.causes))
    if world.probe is not None and world.probe.fault:
        message = f"{messages.DEPLOYMENT_UNAVAILABLE}: its webhook does not answer: {world.probe.fault}"
        return _condition("Available", False, "WebhookUnready", message)
    if world.probe is None:
        message = f"{messages.DEPLOYMENT_UNAVAILABLE}: its webhook was not asked yet"
        return _condition("Available", False, "WebhookUnready", message)
    return _condition("Available", True)


def _unavailable(causes: Iterable[Cause]) -> str:
    first = next(iter(ordered(causes)), None)
    return messages.DEPLOYMENT_UNAVAILABLE + (f": {first.message}" if first is not None else "")


def _degraded(sync: Sync) -> JSON:
    causes = ordered(sync.causes)
    return _condition("Degraded", True, causes[0].reason, told(causes)) if causes else _condition("Degraded", False)


def _sync(sync: Sync) -> JSON:
    kind = "TargetConfigControllerDegraded"
    return _condition(kind, True, "SyncError", sync.error) if sync.error else _condition(kind, False)


def _progressing(spec: LeaderWorkerSetOperatorSpec, world: World, sync: Sync) -> JSON:
    kind = "Progressing"
    if spec.management_state == UNMANAGED:
        return _condition(kind, False, "Unmanaged", "nothing is written; set managementState to Managed to change that")
    course = removal.course(spec, world.workloads)
    if course is removal.Course.LEAVE:
        return _condition(kind, False, "KeptByPolicy", _KEPT)
    if sync.waits[0]:
        return _condition(kind, True, *sync.waits)
    if course is removal.Course.REMOVE:
        return _condition(kind, False, AS_EXPECTED, f"the operand is removed; {removal.told(world.workloads)}")
    if spec.management_state == REMOVED:
        sets = world.workloads.sets if world.workloads is not None else "perhaps"
        return _condition(kind, True, "Removing", f"{sets} sets exist; once there is none the operand is removed")
    deployment = world.live.get(("Deployment", names.DEPLOYMENT))
    if deployment is not None and not health.rolled_out(deployment):
        status = deployment.get("status") or {}
        updated, wanted = int(status.get("updatedReplicas") or 0), health.wanted_replicas(deployment)
        there = health.available_replicas(deployment)
        return _condition(kind, True, "RollingOut", f"{updated} of {wanted} pods are updated, {there} are available")
    return _condition(kind, False)


def _upgradeable(spec: LeaderWorkerSetOperatorSpec, sync: Sync) -> JSON:
    if spec.unsupported_config_overrides:
        message = "spec.unsupportedConfigOverrides is set: no upgrade is offered until it is removed"
        return _condition("Upgradeable", False, "UnsupportedConfigOverrides", message)
    causes = ordered(sync.causes)
    said = [f"the operand is degraded: {told(causes)}"] if causes else []
    said += [sync.restarts] if sync.restarts else []
    return _condition("Upgradeable", True, AS_EXPECTED, cut("; ".join(said)))


def _monitoring(spec: LeaderWorkerSetOperatorSpec, facts: Facts, world: World) -> JSON:
    kind, mode = "MonitoringReady", spec.monitoring.mode
    if mode == DISABLED:
        return _condition(kind, True, "Disabled", "spec.monitoring.mode is Disabled")
    if not facts.serves(SERVICEMONITORS):
        message = "the cluster serves no ServiceMonitors; install the Prometheus operator"
        return _condition(kind, False, "PrometheusAPIMissing", message)
    if facts.openshift and not world.cluster_monitoring:
        command = f'oc label namespace {facts.namespace} {MONITORING_LABEL}="true"'
        return _condition(kind, False, "NamespaceNotLabelled", f"nothing scrapes this namespace; run {command}")
    return _condition(kind, True)


def _condition(kind: str, status: bool, reason: str = AS_EXPECTED, message: str = "") -> JSON:
    return {"type": kind, "status": str(status), "reason": reason, "message": message}


def _stamped(condition: JSON, before: Sequence[JSON], now: datetime) -> JSON:
    known = next((each for each in before if each.get("type") == condition["type"]), None)
    same = known is not None and known.get("status") == condition["status"]
    stamp = known["lastTransitionTime"] if known is not None and same else now.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {**condition, "lastTransitionTime": stamp}
