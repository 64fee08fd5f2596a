"""What control loops read of a pod."""

from __future__ import annotations

from datetime import datetime, timedelta

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.objects import condition, is_terminating, labels_of, parse_time

REVISION_LABEL = "controller-revision-hash"


def phase(pod: JSON) -> str:
    """The pod's phase; empty while the API server has not stored it."""
    return str((pod.get("status") or {}).get("phase") or "")


def is_created(pod: JSON) -> bool:
    """Whether the API server has stored the pod."""
    return phase(pod) != ""


def is_finished(pod: JSON) -> bool:
    """Whether the pod has ended and will not run again."""
    return phase(pod) in ("Succeeded", "Failed")


def is_ready(pod: JSON) -> bool:
    """Whether the pod's Ready condition is True."""
    ready = condition(pod, "Ready")
    return ready is not None and ready.get("status") == "True"


def is_running_and_ready(pod: JSON) -> bool:
    """Whether the pod runs and is ready."""
    return phase(pod) == "Running" and is_ready(pod)


def available_in(pod: JSON, min_ready_seconds: int, now: datetime) -> float | None:
    """Seconds until the pod counts as available: 0 if it does, None if it is not ready."""
    ready = condition(pod, "Ready")
    if ready is None or ready.get("status") != "True":
        return None
    if min_ready_seconds <= 0:
        return 0.0
    since = parse_time(ready.get("lastTransitionTime"))
    if since is None:
        return None
    return max(0.0, (since + timedelta(seconds=min_ready_seconds) - now).total_seconds())


def is_available(pod: JSON, min_ready_seconds: int, now: datetime) -> bool:
    """Whether the pod has been ready for that long."""
    return available_in(pod, min_ready_seconds, now) == 0.0


def is_unavailable(pod: JSON, min_ready_seconds: int, now: datetime) -> bool:
    """Whether the pod is not available, or is ending."""
    return is_terminating(pod) or not is_available(pod, min_ready_seconds, now)


def revision_of(pod: JSON) -> str:
    """The name of the ControllerRevision that the pod was made from."""
    return labels_of(pod).get(REVISION_LABEL, "")
