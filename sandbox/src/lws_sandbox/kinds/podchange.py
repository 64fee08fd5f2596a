"""What may change in a pod (`ValidatePodUpdate`, `ValidatePodStatusUpdate`)."""

from __future__ import annotations

from typing import Final

from lws.apimachinery.manifests import JSON
from lws_sandbox.kinds import poddiff
from lws_sandbox.status import Causes

_MUTABLE: Final = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)


def validate(new: JSON, old: JSON, causes: Causes) -> None:
    """Check a change of a pod."""
    spec, before = new["spec"], old["spec"]
    for member, what in (("containers", "containers"), ("initContainers", "init containers")):
        if len(spec.get(member) or ()) != len(before.get(member) or ()):
            causes.forbidden(f"spec.{member}", f"pod updates may not add or remove {what.rpartition(' ')[2]}")
            return
    _images(spec, causes)
    _deadline(spec, before, causes)
    _gates(spec, before, causes)
    munged = _munged(spec, before)
    if munged != before:
        causes.forbidden("spec", f"{_MUTABLE}\n{poddiff.difference(before, munged)}")


def _images(spec: JSON, causes: Causes) -> None:
    for member in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(member) or ()):
            image = container.get("image") or ""
            if image != image.strip():
                why = "must not have leading or trailing whitespace"
                causes.invalid(f"spec.{member}[{index}].image", image, why)


def _deadline(spec: JSON, before: JSON, causes: Causes) -> None:
    """A deadline may be set or shortened."""
    path, new, old = (
        "spec.activeDeadlineSeconds",
        spec.get("activeDeadlineSeconds"),
        before.get("activeDeadlineSeconds"),
    )
    if new is not None:
        if not 0 <= new < 2**31:
            causes.invalid(path, new, f"must be between 0 and {2**31 - 1}, inclusive")
        elif old is not None and old < new:
            causes.invalid(path, new, "must be less than or equal to previous value")
    elif old is not None:
        causes.invalid(path, None, "must not update from a positive integer to nil value")


def _gates(spec: JSON, before: JSON, causes: Causes) -> None:
    """Scheduling gates may only be taken away."""
    had = {gate.get("name") for gate in before.get("schedulingGates") or ()}
    for index, gate in enumerate(spec.get("schedulingGates") or ()):
        if gate.get("name") not in had:
            why = "only deletion is allowed, but found new scheduling gate '{}'".format(gate.get("name"))
            causes.forbidden(f"spec.schedulingGates[{index}]", why)


def _munged(spec: JSON, before: JSON) -> JSON:
    """The new spec with all that may change put back."""
    munged = dict(spec)
    for member in ("containers", "initContainers"):
        if member in spec:
            munged[member] = [
                {**container, "image": old.get("image")} if "image" in old else container
                for container, old in zip(spec[member], before.get(member) or (), strict=True)
            ]
    for member in ("activeDeadlineSeconds", "schedulingGates"):
        _restore(munged, before, member)
    if _only_added(spec.get("tolerations") or [], before.get("tolerations") or []):
        _restore(munged, before, "tolerations")
    grace = before.get("terminationGracePeriodSeconds")
    if grace is not None and grace < 0 and spec.get("terminationGracePeriodSeconds") == 1:
        munged["terminationGracePeriodSeconds"] = grace
    if before.get("schedulingGates") and not before.get("nodeName"):
        _gated(munged, spec, before)
    return munged


def _gated(munged: JSON, spec: JSON, before: JSON) -> None:
    """The node selector of a pod that waits at gates may be narrowed."""
    had, has = before.get("nodeSelector") or {}, spec.get("nodeSelector") or {}
    if all(has.get(key) == value for key, value in had.items()):
        _restore(munged, before, "nodeSelector")


def _restore(munged: JSON, before: JSON, member: str) -> None:
    if member in before:
        munged[member] = before[member]
    else:
        munged.pop(member, None)


def _only_added(new: list[JSON], old: list[JSON]) -> bool:
    """Whether every old toleration is still there, its seconds aside."""
    return all(any(_same(each, other) for other in new) for each in old)


def _same(one: JSON, other: JSON) -> bool:
    return all(
        (one.get(member) or "") == (other.get(member) or "") for member in ("key", "operator", "value", "effect")
    )


def validate_status(new: JSON, old: JSON, causes: Causes) -> None:
    """Check a change of a pod's status."""
    status, before = new.get("status") or {}, old.get("status") or {}
    policy = new["spec"].get("restartPolicy")
    if policy != "Always":
        for member in ("containerStatuses", "initContainerStatuses"):
            _transitions(status.get(member) or [], before.get(member) or [], f"status.{member}", policy, causes)


def _transitions(new: list[JSON], old: list[JSON], path: str, policy: str, causes: Causes) -> None:
    """A container that ended for good stays ended."""
    places = {each.get("name"): index for index, each in enumerate(new)}
    for was in old:
        ended = (was.get("state") or {}).get("terminated")
        index = places.get(was.get("name"))
        if ended is None or index is None:
            continue
        if policy == "OnFailure" and ended.get("exitCode"):
            continue
        if (new[index].get("state") or {}).get("terminated") is None:
            causes.forbidden(f"{path}[{index}].state", "may not be transitioned to non-terminated state")
