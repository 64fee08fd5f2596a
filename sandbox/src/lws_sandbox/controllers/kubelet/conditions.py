"""The conditions that a kubelet keeps of a pod (``pkg/kubelet/status/generate.go``)."""

from __future__ import annotations

from datetime import datetime

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.kubelet.runtime import PodRun, Role, is_past
from lws_sandbox.controllers.objects import condition, format_time, meta


def conditions(pod: JSON, run: PodRun, phase: str, now: datetime) -> list[JSON]:
    """The kubelet's own conditions; the transition time moves with the status only."""
    containers_ready = _containers_ready(run, phase, now)
    wanted = [
        _condition("PodReadyToStartContainers", run.network and not run.stopped),
        _initialized(run, phase),
        _ready(pod, containers_ready),
        containers_ready,
        _condition("PodScheduled", True),
    ]
    if run.failed is not None and phase == "Failed":
        wanted.append(_condition("DisruptionTarget", True, "TerminationByKubelet", run.failed[1]))
    known = {item["type"]: item for item in (pod.get("status") or {}).get("conditions") or ()}
    generation = meta(pod).get("generation", 0)
    result = []
    for item in wanted:
        before = known.get(item["type"])
        since = before.get("lastTransitionTime") if before and before["status"] == item["status"] else None
        moment = since or format_time(now)
        result.append({**item, "observedGeneration": generation, "lastProbeTime": None, "lastTransitionTime": moment})
    return result


def _condition(type_: str, holds: bool, reason: str = "", message: str = "") -> JSON:
    item: JSON = {"type": type_, "status": "True" if holds else "False"}
    if reason:
        item["reason"] = reason
    if message:
        item["message"] = message
    return item


def _initialized(run: PodRun, phase: str) -> JSON:
    if phase == "Succeeded":
        return _condition("Initialized", True, "PodCompleted")
    if run.initialized:
        return _condition("Initialized", True)
    waiting = [item.name for item in run.of(Role.INIT, Role.SIDECAR) if not is_past(item)]
    words = f"containers with incomplete status: [{' '.join(waiting)}]"
    return _condition("Initialized", False, "ContainersNotInitialized", words)


def _containers_ready(run: PodRun, phase: str, now: datetime) -> JSON:
    if phase in ("Succeeded", "Failed"):
        return _condition("ContainersReady", False, "PodCompleted" if phase == "Succeeded" else "PodFailed")
    unready = [item.name for item in run.of(Role.SIDECAR, Role.MAIN) if not item.is_ready(now, run.hung)]
    if not unready:
        return _condition("ContainersReady", True)
    words = f"containers with unready status: [{' '.join(unready)}]"
    return _condition("ContainersReady", False, "ContainersNotReady", words)


def _ready(pod: JSON, containers_ready: JSON) -> JSON:
    """Ready: the containers are, and every readiness gate that somebody else holds is open."""
    if containers_ready["status"] != "True":
        return {**containers_ready, "type": "Ready"}
    words = [
        message for gate in pod["spec"].get("readinessGates") or () if (message := _closed(pod, gate["conditionType"]))
    ]
    return _condition("Ready", not words, "ReadinessGatesNotReady" if words else "", ", ".join(words))


def _closed(pod: JSON, gate: str) -> str:
    """Why a readiness gate is not open; empty if it is."""
    found = condition(pod, gate)
    if found is None:
        return f'corresponding condition of pod readiness gate "{gate}" does not exist.'
    if found.get("status") == "True":
        return ""
    return f'the status of pod readiness gate "{gate}" is not "True", but {found.get("status")}'
