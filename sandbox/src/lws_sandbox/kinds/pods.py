"""Pods: status at creation, admission of priority and tolerations, grace, selection, tables."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.resources import PODS
from lws_sandbox.kinds import limitranges, podchange, podparts, podspec, resources
from lws_sandbox.kinds.base import NONE, Kind, Shown, flag_at, shown, shown_age, shown_name, text_at
from lws_sandbox.kinds.podrows import restarts, state
from lws_sandbox.kinds.podsecurity import evaluate
from lws_sandbox.kinds.priority import admit_priority
from lws_sandbox.kinds.topology import NODES, place
from lws_sandbox.status import Causes
from lws_sandbox.strategy import WriteContext

TERMINAL: Final = ("Succeeded", "Failed")
_TOLERATED: Final = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_TOLERATION_SECONDS: Final = 300
_FINISHED: Final = {
    "Succeeded": "The pod has completed successfully.",
    "Failed": "The pod failed.",
}

FIELDS: Final = {
    "spec.nodeName": text_at("spec.nodeName"),
    "spec.host": text_at("spec.nodeName"),
    "spec.restartPolicy": text_at("spec.restartPolicy"),
    "spec.schedulerName": text_at("spec.schedulerName"),
    "spec.serviceAccountName": text_at("spec.serviceAccountName"),
    "spec.hostNetwork": flag_at("spec.hostNetwork"),
    "status.phase": text_at("status.phase"),
    "status.podIP": text_at("status.podIP"),
    "status.nominatedNodeName": text_at("status.nominatedNodeName"),
}


def _ready(pod: JSON, _now: datetime) -> str:
    _, ready, total = state(pod)
    return f"{ready}/{total}"


def _gates(pod: JSON, _now: datetime) -> str:
    gates = [gate.get("conditionType") for gate in pod["spec"].get("readinessGates") or ()]
    if not gates:
        return NONE
    conditions = {each["type"]: each.get("status") for each in (pod.get("status") or {}).get("conditions") or ()}
    return f"{sum(conditions.get(gate) == 'True' for gate in gates)}/{len(gates)}"


def _ip(pod: JSON, _now: datetime) -> str:
    status = pod.get("status") or {}
    addresses = status.get("podIPs") or [{"ip": status.get("podIP")}]
    return addresses[0].get("ip") or NONE


TABLE: Final[tuple[Shown, ...]] = (
    shown_name(),
    shown("Ready", _ready, "The aggregate readiness state of this pod for accepting traffic."),
    shown("Status", lambda pod, _now: state(pod)[0], "The aggregate status of the containers in this pod."),
    shown(
        "Restarts",
        restarts,
        "The number of times the containers in this pod have been restarted and when the last container in this pod "
        "has restarted.",
    ),
    shown_age(),
    shown("IP", _ip, "core.v1.PodStatus#podIP", wide=True),
    shown("Node", lambda pod, _now: pod["spec"].get("nodeName") or NONE, "core.v1.PodSpec#nodeName", wide=True),
    shown(
        "Nominated Node",
        lambda pod, _now: (pod.get("status") or {}).get("nominatedNodeName") or NONE,
        "core.v1.PodStatus#nominatedNodeName",
        wide=True,
    ),
    shown("Readiness Gates", _gates, "core.v1.PodSpec#readinessGates", wide=True),
)


@dataclass
class PodKind(Kind):
    """Pods."""

    fields: dict[str, Any] = field(default_factory=lambda: dict(FIELDS))
    table: tuple[Shown, ...] = TABLE

    def default(self, obj: JSON) -> None:
        """Defaults, and the members that mirror each other."""
        super().default(obj)
        podspec.mirror(obj["spec"])
        mirror_addresses(obj.get("status") or {})

    def admit(self, new: JSON | None, old: JSON | None, context: WriteContext) -> list[str]:
        """Limit ranges, priority, tolerations that every pod has, and the topology of a node that is known already."""
        if new is not None:
            if old is None:
                limitranges.fill_in(new, context)
            admit_priority(new, old, context, PODS)
            _tolerate(new["spec"])
            if old is None and new["spec"].get("nodeName"):
                place(new, context.peek(NODES, "", new["spec"]["nodeName"]))
        return []

    def admit_final(self, new: JSON | None, old: JSON | None, context: WriteContext) -> list[str]:
        """The limit ranges and the pod security level of the namespace."""
        if new is None or (old is not None and _same_security(new, old)):
            return []
        if old is None:
            limitranges.check(new, context)
        return evaluate(new["metadata"], new["spec"], context, PODS, enforced=True)

    def prepare_create(self, obj: JSON, context: WriteContext) -> None:  # noqa: ARG002 -- the protocol's
        """A new pod is Pending and has its quality of service."""
        spec = obj["spec"]
        obj["status"] = {"phase": "Pending", "qosClass": resources.qos_class(spec)}
        if spec.get("schedulingGates") and not spec.get("nodeName"):
            gated = {"reason": "SchedulingGated", "message": "Scheduling is blocked due to non-empty scheduling gates"}
            times = {"lastProbeTime": None, "lastTransitionTime": None}
            obj["status"]["conditions"] = [{"type": "PodScheduled", "status": "False", **times, **gated}]

    def prepare_update(self, new: JSON, old: JSON, context: WriteContext) -> None:
        """The status stays; through a subresource only its own part of the spec changes."""
        super().prepare_update(new, old, context)
        if context.subresource in podparts.PARTS:
            podparts.restrict(new, old, context.subresource)

    def prepare_status(self, new: JSON, old: JSON, context: WriteContext) -> None:
        """Spec and owners stay, and what a status must not lose."""
        super().prepare_status(new, old, context)
        owners = old["metadata"].get("ownerReferences")
        if owners:
            new["metadata"]["ownerReferences"] = owners
        else:
            new["metadata"].pop("ownerReferences", None)
        status = new.setdefault("status", {})
        before = old.get("status") or {}
        if not status.get("qosClass") and before.get("qosClass"):
            status["qosClass"] = before["qosClass"]
        mirror_addresses(status)

    def check(self, obj: JSON, causes: Causes) -> None:
        """The rules of the spec."""
        podspec.validate(obj["spec"], "spec", causes)

    def check_new(self, obj: JSON, causes: Causes, context: WriteContext) -> None:  # noqa: ARG002 -- the protocol's
        """Rules that only new pods obey."""
        podspec.validate_new(obj["spec"], "spec", causes)

    def check_change(self, new: JSON, old: JSON, causes: Causes, context: WriteContext) -> None:
        """A pod's spec hardly changes."""
        if context.subresource in podparts.PARTS:
            podparts.validate(new, old, context.subresource, causes)
        else:
            podchange.validate(new, old, causes)

    def check_status(self, new: JSON, old: JSON, causes: Causes) -> None:
        """What a status may say."""
        podchange.validate_status(new, old, causes)

    def graceful(self, obj: JSON, asked: int | None) -> int | None:
        """As asked, else as the spec says; at once without a node or after the end."""
        grace = obj["spec"].get("terminationGracePeriodSeconds") or 0 if asked is None else asked
        if not obj["spec"].get("nodeName") or (obj.get("status") or {}).get("phase") in TERMINAL:
            return 0
        return 1 if grace < 0 else grace

    def row_conditions(self, obj: JSON) -> list[JSON]:
        """What a row says of a pod that has ended."""
        phase = (obj.get("status") or {}).get("phase")
        if phase not in _FINISHED:
            return []
        return [{"type": "Completed", "status": "True", "reason": phase, "message": _FINISHED[phase]}]


def mirror_addresses(status: JSON) -> None:
    """A single address and the list of addresses say the same; the single one counts where they differ."""
    for single, several in (("podIP", "podIPs"), ("hostIP", "hostIPs")):
        address, listed = status.get(single), status.get(several)
        if address and (not listed or listed[0].get("ip") != address):
            status[several] = [{"ip": address}]
        elif listed and not address:
            status[single] = listed[0].get("ip", "")


def _tolerate(spec: JSON) -> None:
    """Every pod tolerates nodes that are not ready or not reachable for a while."""
    for key in _TOLERATED:
        if not any(_covers(each, key) for each in spec.get("tolerations") or ()):
            added = {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _TOLERATION_SECONDS}
            spec["tolerations"] = [*(spec.get("tolerations") or ()), added]


def _covers(toleration: JSON, key: str) -> bool:
    return toleration.get("key", "") in (key, "") and toleration.get("effect", "") in ("NoExecute", "")


def _same_security(new: JSON, old: JSON) -> bool:
    """Whether a change leaves all alone that pod security looks at."""

    def bare(pod: JSON) -> JSON:
        spec = {key: value for key, value in pod["spec"].items() if key not in _UNWATCHED}
        for member in ("containers", "initContainers", "ephemeralContainers"):
            spec[member] = [{k: v for k, v in each.items() if k != "image"} for each in spec.get(member) or ()]
        return spec

    return bare(new) == bare(old)


_UNWATCHED: Final = ("activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds")
