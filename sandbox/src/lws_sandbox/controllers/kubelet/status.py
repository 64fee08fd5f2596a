"""What a kubelet writes of a pod: phase, conditions, container states and addresses, as the API has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.kubelet.conditions import conditions
from lws_sandbox.controllers.kubelet.runtime import Container, Exit, PodRun, Role, finished
from lws_sandbox.controllers.objects import format_time, meta, name_of, uid_of

OWN_CONDITIONS: Final = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")


def pod_status(pod: JSON, run: PodRun, *, pod_ip: str, host_ip: str, now: datetime) -> JSON:
    """The status of a pod as its kubelet sees it; conditions of others are kept."""
    phase = _phase(run)
    status: JSON = {
        "observedGeneration": meta(pod).get("generation", 0),
        "phase": phase,
        "conditions": conditions(pod, run, phase, now),
        "hostIP": host_ip,
        "hostIPs": [{"ip": host_ip}],
        "startTime": format_time(run.arrived),
        "containerStatuses": _container_statuses(pod, run, "containers", now),
    }
    if run.sandboxes or pod["spec"].get("hostNetwork"):
        address = host_ip if pod["spec"].get("hostNetwork") else pod_ip
        status |= {"podIP": address, "podIPs": [{"ip": address}]}
    if run.failed is not None and phase == "Failed":
        status |= {"reason": run.failed[0], "message": run.failed[1]}
    if pod["spec"].get("initContainers"):
        status["initContainerStatuses"] = _container_statuses(pod, run, "initContainers", now)
    return status


def rejection_status(pod: JSON, reason: str, message: str, now: datetime) -> JSON:
    """The status of a pod that its kubelet does not admit (``rejectPod``)."""
    return {
        "observedGeneration": meta(pod).get("generation", 0),
        "phase": "Failed",
        "reason": reason,
        "message": f"Pod was rejected: {message}",
        "startTime": format_time(now),
        "conditions": [],
    }


def _phase(run: PodRun) -> str:
    """As ``getPhase``: Pending while a container has never run, or an init container is not done."""
    ended = finished(run)
    if ended is not None:
        return ended
    mains = run.of(Role.MAIN)
    never = [item for item in mains if not item.running and item.ended is None and item.before is None]
    return "Pending" if never or not run.initialized else "Running"


def _container_statuses(pod: JSON, run: PodRun, member: str, now: datetime) -> list[JSON]:
    by_name = {item.name: item for item in run.containers}
    specs: Sequence[JSON] = pod["spec"].get(member) or ()
    return [_container_status(pod, run, spec, by_name[spec["name"]], now) for spec in specs if spec["name"] in by_name]


def _container_status(pod: JSON, run: PodRun, spec: JSON, item: Container, now: datetime) -> JSON:
    ran = item.running or item.ended is not None
    image = spec.get("image", "")
    state, last = _states(pod, run, item)
    status: JSON = {
        "name": item.name,
        "image": image,
        "imageID": f"{image}@sha256:{'0' * 64}" if ran else "",
        "ready": (item.role is Role.INIT and item.succeeded) or item.is_ready(now, run.hung),
        "started": item.running and item.role is not Role.INIT,
        "restartCount": item.restarts,
        "state": state,
        "lastState": last,
    }
    if ran:
        status["containerID"] = _container_id(pod, item)
    return status


def _states(pod: JSON, run: PodRun, item: Container) -> tuple[JSON, JSON]:
    """The container's state and its last one; a failure to start again hides how it ended (see `lifecycle`)."""
    before = {"terminated": _terminated(pod, item, item.before, earlier=True)} if item.before else {}
    if item.started is not None:
        return {"running": {"startedAt": format_time(item.started)}}, before
    waiting = item.reported
    if item.ended is not None:
        state = {"terminated": _terminated(pod, item, item.ended)}
        if waiting is None or not run.restarts(item):
            return state, before
        before = state
    if waiting is not None:
        words = {"message": waiting.message} if waiting.message else {}
        return {"waiting": {"reason": waiting.reason, **words}}, before
    has_inits = bool(run.of(Role.INIT, Role.SIDECAR))
    return {"waiting": {"reason": "PodInitializing" if has_inits else "ContainerCreating"}}, before


def _terminated(pod: JSON, item: Container, end: Exit, *, earlier: bool = False) -> JSON:
    return {
        "exitCode": end.code,
        "reason": end.reason,
        "startedAt": format_time(end.started),
        "finishedAt": format_time(end.finished),
        "containerID": _container_id(pod, item, earlier=earlier),
    }


def _container_id(pod: JSON, item: Container, *, earlier: bool = False) -> str:
    """An identifier that changes with every run, and is the same for the same history."""
    digits = uid_of(pod).replace("-", "") or name_of(pod).encode().hex()
    number = max(0, item.restarts - earlier)
    return f"sandbox://{digits[:32]:0<32}{item.name.encode().hex()[:24]:0<24}{number:08x}"
