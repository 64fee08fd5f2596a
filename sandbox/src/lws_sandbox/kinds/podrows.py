"""What a table says of a pod, as kubectl users know it (`pkg/printers/internalversion`, printPod)."""

from __future__ import annotations

from datetime import datetime

from lws.apimachinery.manifests import JSON
from lws_sandbox.strategy import age


def state(pod: JSON) -> tuple[str, int, int]:
    """Status in a word, containers that are ready, containers that count."""
    status = pod.get("status") or {}
    sidecars = _sidecars(pod)
    total = len(pod["spec"].get("containers") or ()) + len(sidecars)
    reason = status.get("reason") or status.get("phase") or ""
    if any(
        each.get("type") == "PodScheduled" and each.get("reason") == "SchedulingGated"
        for each in status.get("conditions") or ()
    ):
        reason = "SchedulingGated"
    failed, ready = _initializing(pod, sidecars)
    if not failed or _condition(status, "Initialized"):
        reason, running = _running(status, reason)
        ready += running
    else:
        reason = failed
    if pod["metadata"].get("deletionTimestamp"):
        if status.get("reason") == "NodeLost":
            reason = "Unknown"
        elif status.get("phase") not in ("Succeeded", "Failed"):
            reason = "Terminating"
    return reason, ready, total


def _sidecars(pod: JSON) -> set[str]:
    init = pod["spec"].get("initContainers") or ()
    return {container["name"] for container in init if container.get("restartPolicy") == "Always"}


def _initializing(pod: JSON, sidecars: set[str]) -> tuple[str, int]:
    """Where initialisation stands (empty when it is over), and the sidecars that are ready."""
    ready = 0
    statuses = (pod.get("status") or {}).get("initContainerStatuses") or ()
    for index, container in enumerate(statuses):
        now = container.get("state") or {}
        terminated, waiting = now.get("terminated"), now.get("waiting") or {}
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if container["name"] in sidecars and container.get("started"):
            ready += bool(container.get("ready"))
            continue
        if terminated is not None:
            return f"Init:{terminated.get('reason') or _exit(terminated)}", ready
        if waiting.get("reason") not in (None, "", "PodInitializing"):
            return f"Init:{waiting['reason']}", ready
        return f"Init:{index}/{len(pod['spec'].get('initContainers') or ())}", ready
    return "", ready


def _exit(terminated: JSON) -> str:
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _running(status: JSON, reason: str) -> tuple[str, int]:
    ready, running = 0, False
    for container in reversed(status.get("containerStatuses") or []):
        now = container.get("state") or {}
        terminated, waiting = now.get("terminated"), now.get("waiting") or {}
        if waiting.get("reason"):
            reason = waiting["reason"]
        elif terminated is not None:
            reason = terminated.get("reason") or _exit(terminated)
        elif container.get("ready") and now.get("running") is not None:
            running = True
            ready += 1
    if reason == "Completed" and running:
        reason = "Running" if _condition(status, "Ready") else "NotReady"
    return reason, ready


def _condition(status: JSON, kind: str) -> bool:
    conditions = status.get("conditions") or ()
    return any(each.get("type") == kind and each.get("status") == "True" for each in conditions)


def restarts(pod: JSON, now: datetime) -> str:
    """How often containers were restarted, and how long ago the last time was."""
    status = pod.get("status") or {}
    sidecars = _sidecars(pod)
    init = status.get("initContainerStatuses") or []
    counted = init
    if not _initializing(pod, sidecars)[0] or _condition(status, "Initialized"):
        counted = [each for each in init if each["name"] in sidecars] + (status.get("containerStatuses") or [])
    count = sum(each.get("restartCount") or 0 for each in counted)
    ends = [((each.get("lastState") or {}).get("terminated") or {}).get("finishedAt") for each in counted]
    last = max((end for end in ends if end), default=None)
    return f"{count} ({age(last, now)} ago)" if count and last else str(count)
