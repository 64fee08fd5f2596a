"""What a kubelet writes of a pod: phase, conditions, container states and addresses, as the API has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from lws_sandbox.controllers.kubelet.runtime import Container, Exit, PodRun, Role, finished
from lws_sandbox.controllers.objects import JSON, condition, format_time, meta, uid_of
from lws_sandbox.controllers.objects import name_of as _name_of

OWN_CONDITIONS: Final = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


def pod_status(pod: JSON, run: PodRun, *, pod_ip: str, host_ip: str, now: datetime) -> JSON:
    """The status of a pod as its kubelet sees it; conditions of others are kept."""
    phase = _phase(run)
    status: JSON = {
        "observedGeneration": meta(pod).get("generation", 0),
        "phase": phase,
        "conditions": _conditions(pod, run, phase, now),
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "startTime": format_time(run.arrived),
        "containerStatuses": _container_statuses(pod, run, "containers", now),
    }
    if run.network:
        address = host_ip if pod["spec"].get("hostNetwork") else pod_ip
        status |= {"podIP": address, "podIPs": [{"ip": address}]}
    if run.failed is not None:
        status |= {"reason": run.failed[0], "message": run.failed[1]}
    if pod["spec"].get("initContainers"):
        status["initContainerStatuses"] = _container_statuses(pod, run, "initContainers", now)
    return status


def _phase(run: PodRun) -> str:
    ended = finished(run)
    if ended is not None:
        return ended
    if any(item.running or item.ended is not None for item in run.of(Role.MAIN)):
        return "Running"
    return "Pending"


def _conditions(pod: JSON, run: PodRun, phase: str, now: datetime) -> list[JSON]:
    """The kubelet's own conditions; the transition time moves with the status only."""
    initialized = _initialized(run)
    containers_ready = _containers_ready(run, phase, now)
    wanted = [
        _condition("PodReadyToStartContainers", run.network and not run.stopped),
        initialized,
        _ready(pod, containers_ready),
        containers_ready,
        _condition("PodScheduled", True),
    ]
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


def _initialized(run: PodRun) -> JSON:
    if run.initialized:
        return _condition("Initialized", True)
    waiting = [item.name for item in run.of(Role.INIT, Role.SIDECAR) if not _is_past(item)]
    words = f"containers with incomplete status: [{' '.join(waiting)}]"
    return _condition("Initialized", False, "ContainersNotInitialized", words)


def _is_past(item: Container) -> bool:
    if item.role is Role.SIDECAR:
        return item.running
    return item.ended is not None and item.ended.code == 0


def _containers_ready(run: PodRun, phase: str, now: datetime) -> JSON:
    if phase == "Succeeded":
        return _condition("ContainersReady", False, "PodCompleted")
    if phase == "Failed":
        return _condition("ContainersReady", False, "PodFailed")
    unready = [item.name for item in run.of(Role.SIDECAR, Role.MAIN) if not item.is_ready(now, run.hung)]
    if not unready:
        return _condition("ContainersReady", True)
    words = f"containers with unready status: [{' '.join(unready)}]"
    return _condition("ContainersReady", False, "ContainersNotReady", words)


def _ready(pod: JSON, containers_ready: JSON) -> JSON:
    """Ready: the containers are, and every readiness gate that somebody else holds is open."""
    if containers_ready["status"] != "True":
        return {**containers_ready, "type": "Ready"}
    gates = [gate["conditionType"] for gate in pod["spec"].get("readinessGates") or ()]
    closed = [gate for gate in gates if (condition(pod, gate) or {}).get("status") != "True"]
    if not closed:
        return _condition("Ready", True)
    words = "; ".join(
        f'corresponding condition of pod readiness gate "{gate}" '
        + ("does not exist." if condition(pod, gate) is None else "is not true.")
        for gate in closed
    )
    return _condition("Ready", False, "ReadinessGatesNotReady", words)


def _container_statuses(pod: JSON, run: PodRun, member: str, now: datetime) -> list[JSON]:
    by_name = {item.name: item for item in run.containers}
    specs: Sequence[JSON] = pod["spec"].get(member) or ()
    return [_container_status(pod, run, spec, by_name[spec["name"]], now) for spec in specs if spec["name"] in by_name]


def _container_status(pod: JSON, run: PodRun, spec: JSON, item: Container, now: datetime) -> JSON:
    ran = item.running or item.ended is not None
    done = item.role is Role.INIT and item.ended is not None and item.ended.code == 0
    image = spec.get("image", "")
    status: JSON = {
        "name": item.name,
        "image": image,
        "imageID": f"{image}@sha256:{'0' * 64}" if ran else "",
        "ready": done or item.is_ready(now, run.hung),
        "started": item.running and item.role is not Role.INIT,
        "restartCount": item.restarts,
        "state": _state(run, item),
        "lastState": {"terminated": _terminated(pod, item, item.before)} if item.before else {},
    }
    if ran:
        status["containerID"] = _container_id(pod, item)
    if item.ended is not None and item.due is not None:
        status["lastState"] = {"terminated": _terminated(pod, item, item.ended)}
    return status


def _state(run: PodRun, item: Container) -> JSON:
    if item.started is not None:
        return {"running": {"startedAt": format_time(item.started)}}
    if item.ended is not None and item.due is not None:
        rest = int((item.due - item.ended.finished).total_seconds())
        words = f"back-off {rest}s restarting failed container={item.name}"
        return {"waiting": {"reason": "CrashLoopBackOff", "message": words}}
    if item.ended is not None:
        return {"terminated": _exit_json(item.ended)}
    has_inits = bool(run.of(Role.INIT, Role.SIDECAR))
    return {"waiting": {"reason": "PodInitializing" if has_inits else "ContainerCreating"}}


def _exit_json(end: Exit) -> JSON:
    return {
        "exitCode": end.code,
        "reason": end.reason,
        "startedAt": format_time(end.started),
        "finishedAt": format_time(end.finished),
    }


def _terminated(pod: JSON, item: Container, end: Exit) -> JSON:
    return {**_exit_json(end), "containerID": _container_id(pod, item, earlier=True)}


def _container_id(pod: JSON, item: Container, *, earlier: bool = False) -> str:
    """An identifier that changes with every run, and is the same for the same history."""
    run = item.restarts - 1 if earlier and item.started is not None else item.restarts
    digits = uid_of(pod).replace("-", "") or _name_of(pod).encode().hex()
    return f"sandbox://{digits[:32]:0<32}{item.name.encode().hex()[:24]:0<24}{max(0, run):08x}"
