"""The rules of a pod's spec, in pods and in templates (`pkg/apis/core/validation`, ValidatePodSpec), in its order."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from lws.apimachinery import nameformats
from lws.apimachinery.manifests import JSON
from lws_sandbox.kinds import containers, scheduling, volumes
from lws_sandbox.rest.metadata import validate_labels
from lws_sandbox.status import Causes

_RESTART: Final = ["Always", "OnFailure", "Never"]
_DNS: Final = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"]
_PREEMPTION: Final = ["PreemptLowerPriority", "Never"]
_MAX_INT32: Final = 2**31 - 1


def mirror(spec: JSON) -> None:
    """``serviceAccount`` is an old name of ``serviceAccountName``: both say the same."""
    name = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if name:
        spec["serviceAccountName"] = spec["serviceAccount"] = name
    else:
        spec.pop("serviceAccountName", None)
        spec.pop("serviceAccount", None)


def validate(
    spec: JSON,
    path: str,
    causes: Causes,
    *,
    template: bool = False,
    claimed: Iterable[str | None] = (),
) -> None:
    """Check a pod spec.

    Args:
        spec: with its defaults.
        path: of the spec.
        causes: what is wrong is added here.
        template: whether it is a template, for which a few rules do not hold.
        claimed: names of volumes that claim templates will provide.
    """
    known = volumes.validate(spec, path, causes)
    known |= {name for name in claimed if name}
    containers.validate_all(spec, path, known, causes)
    _host_network(spec, path, causes)
    _policies(spec, path, causes)
    validate_labels(spec.get("nodeSelector"), f"{path}.nodeSelector", causes)
    _security(spec.get("securityContext") or {}, f"{path}.securityContext", causes)
    for index, secret in enumerate(spec.get("imagePullSecrets") or ()):
        if not secret.get("name"):
            causes.required(f"{path}.imagePullSecrets[{index}].name")
    scheduling.validate(spec, path, causes)
    _names(spec, path, causes)
    if not template:
        _only_for_pods(spec, path, causes)


def _host_network(spec: JSON, path: str, causes: Causes) -> None:
    if not spec.get("hostNetwork"):
        return
    for member in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(member) or ()):
            for place, port in enumerate(container.get("ports") or ()):
                if port.get("hostPort") not in (None, 0, port.get("containerPort")):
                    where = f"{path}.{member}[{index}].ports[{place}].hostPort"
                    causes.invalid(where, port["hostPort"], "must match `containerPort` when `hostNetwork` is true")


def _policies(spec: JSON, path: str, causes: Causes) -> None:
    for member, supported in (("restartPolicy", _RESTART), ("dnsPolicy", _DNS)):
        value = spec.get(member) or ""
        if not value:
            causes.required(f"{path}.{member}")
        elif value not in supported:
            causes.not_supported(f"{path}.{member}", value, supported)


def _security(context: JSON, path: str, causes: Causes) -> None:
    for member in ("runAsUser", "runAsGroup", "fsGroup"):
        value = context.get(member)
        if value is not None and not 0 <= value <= _MAX_INT32:
            causes.invalid(f"{path}.{member}", value, f"must be between 0 and {_MAX_INT32}, inclusive")
    for index, group in enumerate(context.get("supplementalGroups") or ()):
        if not 0 <= group <= _MAX_INT32:
            why = f"must be between 0 and {_MAX_INT32}, inclusive"
            causes.invalid(f"{path}.supplementalGroups[{index}]", group, why)
    change = context.get("fsGroupChangePolicy")
    if change is not None and change not in ("OnRootMismatch", "Always"):
        causes.not_supported(f"{path}.fsGroupChangePolicy", change, ["Always", "OnRootMismatch"])
    containers.seccomp(context.get("seccompProfile"), f"{path}.seccompProfile", causes)


def _names(spec: JSON, path: str, causes: Causes) -> None:
    for member, rule in (("serviceAccountName", nameformats.dns_subdomain), ("nodeName", nameformats.dns_subdomain)):
        value = spec.get(member) or ""
        for why in rule(value) if value else ():
            causes.invalid(f"{path}.{member}", value, why)
    deadline = spec.get("activeDeadlineSeconds")
    if deadline is not None and not 1 <= deadline <= _MAX_INT32:
        causes.invalid(f"{path}.activeDeadlineSeconds", deadline, f"must be between 1 and {_MAX_INT32}, inclusive")
    for member in ("hostname", "subdomain"):
        value = spec.get(member) or ""
        for why in nameformats.dns_label(value) if value else ():
            causes.invalid(f"{path}.{member}", value, why)
    scheduling.tolerations(spec.get("tolerations") or [], f"{path}.tolerations", causes)
    for member in ("priorityClassName", "runtimeClassName"):
        value = spec.get(member) or ""
        for why in nameformats.dns_subdomain(value) if value else ():
            causes.invalid(f"{path}.{member}", value, why)
    policy = spec.get("preemptionPolicy")
    if policy is not None and policy not in _PREEMPTION:
        if policy == "":
            causes.required(f"{path}.preemptionPolicy")
        else:
            causes.not_supported(f"{path}.preemptionPolicy", policy, _PREEMPTION)
    containers.amounts(spec.get("overhead") or {}, f"{path}.overhead", causes)


def _only_for_pods(spec: JSON, path: str, causes: Causes) -> None:
    for member in ("containers", "initContainers"):
        for index, container in enumerate(spec.get(member) or ()):
            image = container.get("image") or ""
            if image != image.strip():
                why = "must not have leading or trailing whitespace"
                causes.invalid(f"{path}.{member}[{index}].image", image, why)


def validate_new(spec: JSON, path: str, causes: Causes) -> None:
    """What only holds for pods that are created."""
    if spec.get("ephemeralContainers"):
        causes.forbidden(f"{path}.ephemeralContainers", "cannot be set on create")
    if spec.get("nodeName") and spec.get("schedulingGates"):
        causes.forbidden(f"{path}.nodeName", "cannot be set until all schedulingGates have been cleared")
