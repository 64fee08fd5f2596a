"""What the containers of a pod wait for, as the kubelet of Kubernetes 1.36 reports it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lws.planning.leaderworkerset.diagnosis.facts import Facts, pod_reference
from lws.planning.leaderworkerset.diagnosis.findings import Finding, Reason
from lws.planning.leaderworkerset.diagnosis.objects import ContainerReport, PodReport, Terminated
from lws.planning.leaderworkerset.diagnosis.quoting import after_colon, quoted

_STARTING: Final = ("", "ContainerCreating", "PodInitializing")
_IMAGE: Final = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError")
_BACK_OFF: Final = "CrashLoopBackOff"
_NO_START: Final = ("FailedMount", "FailedAttachVolume", "FailedMapVolume", "FailedCreatePodSandBox")
_SECONDS: Final = len("2006-01-02T15:04:05")  # times of events may have fractions


def of_containers(facts: Facts, pod: PodReport) -> Finding:
    """What keeps a pod on its node from being ready.

    Init containers come first, since the others start after them. Older kubelets show back-off as ``waiting``, that of
    1.36 as ``terminated``; both read the same here.
    """
    failing = _kept_from_starting(facts, pod) or next(_failing(pod), None)
    if failing is not None:
        return failing
    initializing = next(_initializing(pod), "")
    if initializing:
        return Finding(Reason.INIT_RUNNING, f"is still running its init container {initializing}")
    return _starting(facts, pod) or _unready(facts, pod)


def _kept_from_starting(facts: Facts, pod: PodReport) -> Finding | None:
    """Containers that ended, as when their node was rebooted, and cannot start again: what ended them is no cause."""
    states = [
        one.state for one in (*(pod.status.init_container_statuses or ()), *(pod.status.container_statuses or ()))
    ]
    ended = [one.terminated for one in states if one is not None and one.terminated is not None]
    if not ended or any(one is not None and one.running is not None for one in states):
        return None
    last = max((one.finished_at or "")[:_SECONDS] for one in ended)
    for event in facts.warnings(pod_reference(pod)):
        if event.reason in _NO_START and event.time[:_SECONDS] >= last:
            return Finding(Reason.NOT_READY, f"cannot start ({event.reason}): {quoted(event.message)}")
    return None


def _failing(pod: PodReport) -> Iterator[Finding]:
    sidecars = {one.name for one in pod.spec.init_containers or () if one.restart_policy == "Always"}
    for one in pod.status.init_container_statuses or ():
        sidecar = one.name in sidecars
        done = not sidecar and one.terminated is not None and one.terminated.exit_code == 0
        found = None if done else _stopped(one, "sidecar container" if sidecar else "init container")
        if found is not None:
            yield found
    for one in pod.status.container_statuses or ():
        found = _stopped(one, "container")
        if found is not None:
            yield found


def _stopped(container: ContainerReport, kind: str) -> Finding | None:
    """A container that cannot start, or that ended; None for one that runs or is about to."""
    waiting = container.waiting
    if waiting is None:
        return _crashed(container, kind) if container.terminated is not None else None
    if waiting.reason == _BACK_OFF:
        return _crashed(container, kind)
    if waiting.reason in _STARTING:
        return None
    words = after_colon(waiting.message)
    if waiting.reason in _IMAGE:
        text = f"cannot pull image {container.image!r} for {kind} {container.name} ({waiting.reason}){words}"
        return Finding(Reason.IMAGE_PULL, text, "Fix the image name, or add an imagePullSecret.")
    return Finding(Reason.CRASH_LOOP, f"cannot start {kind} {container.name}: {waiting.reason}{words}")


def _crashed(container: ContainerReport, kind: str) -> Finding:
    ended = container.last_terminated
    how = f": it {exited(ended)}" if ended is not None else ""
    return Finding(Reason.CRASH_LOOP, f"has failing {kind} {container.name}{how}{_restarts(container)}")


def exited(ended: Terminated) -> str:
    """How a container ended, such as ``exited with code 137 (OOMKilled): last words``."""
    how = f"signal {ended.signal}" if ended.signal else f"code {ended.exit_code}"
    named = f" ({ended.reason})" if ended.reason not in ("", "Error", "Completed") else ""
    return f"exited with {how}{named}{after_colon(ended.message)}"


def _restarts(container: ContainerReport) -> str:
    count = container.restart_count
    return f", restarted {count} time{'s' if count > 1 else ''}" if count else ""


def _initializing(pod: PodReport) -> Iterator[str]:
    sidecars = {one.name for one in pod.spec.init_containers or () if one.restart_policy == "Always"}
    for one in pod.status.init_container_statuses or ():
        if one.name not in sidecars and one.state is not None and one.state.running is not None:
            yield one.name


def _starting(facts: Facts, pod: PodReport) -> Finding | None:
    """Nothing has run yet: the cause, if any, stands in an event of the pod."""
    main = pod.status.container_statuses or ()
    if main and not any(one.state is None or one.waiting is not None for one in main):
        return None
    if not main and pod.status.phase not in ("", "Pending"):
        return None
    for event in facts.warnings(pod_reference(pod)):
        if event.reason != "FailedScheduling":
            return Finding(Reason.NOT_READY, f"cannot start ({event.reason}): {quoted(event.message)}")
    return Finding(Reason.NOT_READY, "is starting")


def _unready(facts: Facts, pod: PodReport) -> Finding:
    """Everything runs, and something is not ready."""
    waited = [one for one in pod.status.container_statuses or () if not one.ready]
    names = f" (container {', '.join(one.name for one in waited)})" if waited else ""
    probe = next((one for one in facts.warnings(pod_reference(pod)) if one.reason == "Unhealthy"), None)
    if probe is not None:
        return Finding(Reason.NOT_READY, f"is running but not ready{names}: {quoted(probe.message)}")
    crashed = next((one for one in waited if one.restart_count and one.last_terminated is not None), None)
    if crashed is not None and crashed.last_terminated is not None:
        last = f"{crashed.name} last {exited(crashed.last_terminated)}{_restarts(crashed)}"
        return Finding(Reason.NOT_READY, f"is running but not ready{names}: {last}")
    condition = pod.condition("Ready")
    said = condition.message if condition is not None else ""
    generic = said.startswith("containers with unready status")
    return Finding(Reason.NOT_READY, f"is running but not ready{names}{'' if generic else after_colon(said)}")
