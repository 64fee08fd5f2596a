"""Namespaces, nodes and priority classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from lws.apimachinery import nameformats
from lws.apimachinery.manifests import JSON
from lws_sandbox.kinds.base import (
    IMMUTABLE,
    NONE,
    UNKNOWN,
    Kind,
    Print,
    at,
    cell,
    flag_at,
    shown,
    shown_age,
    shown_name,
    text_at,
)
from lws_sandbox.kinds.priority import SYSTEM
from lws_sandbox.status import Causes
from lws_sandbox.strategy import WriteContext

NAME_LABEL: Final = "kubernetes.io/metadata.name"
_NOT_READY: Final = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}
_ROLE: Final = "node-role.kubernetes.io/"
_EFFECTS: Final = ["NoSchedule", "PreferNoSchedule", "NoExecute"]
_HIGHEST_USER_PRIORITY: Final = 1_000_000_000


@dataclass
class NamespaceKind(Kind):
    """Namespaces: a label with their name, a finalizer of their own, a phase."""

    def default(self, obj: JSON) -> None:
        """The label says the name, whatever was sent."""
        super().default(obj)
        name = obj["metadata"].get("name")
        if name:
            obj["metadata"]["labels"] = {**(obj["metadata"].get("labels") or {}), NAME_LABEL: name}
        status = obj.setdefault("status", {})
        status["phase"] = status.get("phase") or "Active"

    def prepare_create(self, obj: JSON, context: WriteContext) -> None:  # noqa: ARG002 -- the protocol's
        """Active, and held by the finalizer that the namespace controller takes away."""
        obj["status"] = {"phase": "Active"}
        spec = obj.setdefault("spec", {})
        if "kubernetes" not in (spec.get("finalizers") or ()):
            spec["finalizers"] = [*(spec.get("finalizers") or ()), "kubernetes"]
        self.default(obj)

    def prepare_update(self, new: JSON, old: JSON, context: WriteContext) -> None:
        """Finalizers and status have their own doors."""
        super().prepare_update(new, old, context)
        new["spec"] = {**(new.get("spec") or {}), "finalizers": (old.get("spec") or {}).get("finalizers")}
        if new["spec"]["finalizers"] is None:
            del new["spec"]["finalizers"]

    def check_status(self, new: JSON, old: JSON, causes: Causes) -> None:  # noqa: ARG002 -- the protocol's
        """A namespace terminates exactly when it is being deleted."""
        phase = (new.get("status") or {}).get("phase")
        if new["metadata"].get("deletionTimestamp"):
            if phase != "Terminating":
                why = "may only be 'Terminating' if `deletionTimestamp` is not empty"
                causes.invalid("status.Phase", phase, why)
        elif phase != "Active":
            causes.invalid("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")


@dataclass
class NodeKind(Kind):
    """Nodes: their status may be given at creation; new ones are not ready."""

    def admit(self, new: JSON | None, old: JSON | None, context: WriteContext) -> list[str]:  # noqa: ARG002
        """A new node is tainted until a controller finds it ready."""
        if new is not None and old is None:
            spec = new.setdefault("spec", {})
            taints = spec.get("taints") or []
            if not any(taint == _NOT_READY for taint in taints):
                spec["taints"] = [*taints, dict(_NOT_READY)]
        return []

    def prepare_create(self, obj: JSON, context: WriteContext) -> None:
        """The status stays: kubelets register with theirs."""

    def check(self, obj: JSON, causes: Causes) -> None:
        """Taints are sound and told apart by key and effect."""
        seen: set[tuple[str, str]] = set()
        for index, taint in enumerate((obj.get("spec") or {}).get("taints") or ()):
            where = f"metadata.taints[{index}]"
            key, effect = taint.get("key") or "", taint.get("effect") or ""
            for why in nameformats.qualified_name(key):
                causes.invalid(f"{where}.key", key, why)
            problems = nameformats.label_value(taint.get("value") or "")
            if problems:
                causes.invalid(f"{where}.value", taint.get("value"), ";".join(problems))
            if not effect:
                causes.required(f"{where}.effect")
            elif effect not in _EFFECTS:
                causes.not_supported(f"{where}.effect", effect, _EFFECTS)
            if (key, effect) in seen:
                causes.duplicate(where, taint)
            seen.add((key, effect))

    def check_change(self, new: JSON, old: JSON, causes: Causes, context: WriteContext) -> None:  # noqa: ARG002
        """Addresses of pods and the provider's name may be set once."""
        spec, before = new.get("spec") or {}, old.get("spec") or {}
        if before.get("podCIDRs") and spec.get("podCIDRs") != before["podCIDRs"]:
            causes.forbidden("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid')
        if before.get("providerID") and spec.get("providerID") != before["providerID"]:
            causes.forbidden("spec.providerID", 'node updates may not change providerID except from "" to valid')


def _node_status(node: JSON, _now: datetime) -> str:
    conditions = (node.get("status") or {}).get("conditions") or ()
    ready = next((each for each in conditions if each.get("type") == "Ready"), None)
    word = "Unknown" if ready is None else "Ready" if ready.get("status") == "True" else "NotReady"
    return f"{word},SchedulingDisabled" if (node.get("spec") or {}).get("unschedulable") else word


def _roles(node: JSON, _now: datetime) -> str:
    labels = node["metadata"].get("labels") or {}
    roles = {key.removeprefix(_ROLE) for key in labels if key.startswith(_ROLE) and key != _ROLE}
    if labels.get("kubernetes.io/role"):
        roles.add(labels["kubernetes.io/role"])
    return ",".join(sorted(roles)) or NONE


def _address(kind: str) -> Any:
    def read(node: JSON, _now: datetime) -> str:
        addresses = (node.get("status") or {}).get("addresses") or ()
        return next((each.get("address") for each in addresses if each.get("type") == kind), None) or NONE

    return read


def _kernel(node: JSON, _now: datetime) -> str:
    version = at(node, "status.nodeInfo.kernelVersion")
    if not version:
        return UNKNOWN
    architecture = at(node, "status.nodeInfo.architecture")
    return f"{version} ({architecture})" if architecture else version


_INFO: Final = "core.v1.NodeSystemInfo"
_ADDRESSES: Final = "core.v1.NodeStatus#addresses"
_NODE_TABLE: Final = (
    shown_name(),
    shown("Status", _node_status, "The status of the node"),
    shown("Roles", _roles, "The roles of the node"),
    shown_age(),
    shown("Version", cell("status.nodeInfo.kubeletVersion"), f"{_INFO}#kubeletVersion"),
    shown("Internal-IP", _address("InternalIP"), _ADDRESSES, wide=True),
    shown("External-IP", _address("ExternalIP"), _ADDRESSES, wide=True),
    shown("OS-Image", cell("status.nodeInfo.osImage", UNKNOWN), f"{_INFO}#osImage", wide=True),
    shown("Kernel-Version", _kernel, f"{_INFO}#kernelVersion", wide=True),
    shown(
        "Container-Runtime",
        cell("status.nodeInfo.containerRuntimeVersion", UNKNOWN),
        f"{_INFO}#containerRuntimeVersion",
        wide=True,
    ),
)
_NAMESPACE_TABLE: Final = (
    shown_name(),
    shown("Status", cell("status.phase"), "The status of the namespace"),
    shown_age(),
)


@dataclass
class PriorityClassKind(Kind):
    """Priority classes: their value never changes, and only the system's own exceed a billion."""

    def check_new(self, obj: JSON, causes: Causes, context: WriteContext) -> None:  # noqa: ARG002 -- the protocol's
        """Users' values are bounded; names of the system are its own."""
        name, value = obj["metadata"].get("name") or "", obj.get("value") or 0
        if name.startswith("system-"):
            if SYSTEM.get(name) != value:
                why = "priority class names with 'system-' prefix are reserved for system use only. error: "
                kind = (
                    "not equal to the system's value"
                    if name in SYSTEM
                    else f"{name} is not a known system priority class"
                )
                causes.forbidden("metadata.name", why + kind)
        elif value > _HIGHEST_USER_PRIORITY:
            why = f"maximum allowed value of a user defined priority is {_HIGHEST_USER_PRIORITY}"
            causes.forbidden("value", why)
        self._check_policy(obj, causes)

    def _check_policy(self, obj: JSON, causes: Causes) -> None:
        policy = obj.get("preemptionPolicy")
        if policy not in (None, "PreemptLowerPriority", "Never"):
            causes.not_supported("preemptionPolicy", policy, ["Never", "PreemptLowerPriority"])

    def check_change(self, new: JSON, old: JSON, causes: Causes, context: WriteContext) -> None:  # noqa: ARG002
        """The value and the policy stay."""
        if (new.get("value") or 0) != (old.get("value") or 0):
            causes.forbidden("value", "may not be changed in an update.")
        if new.get("preemptionPolicy") != old.get("preemptionPolicy"):
            causes.invalid("preemptionPolicy", new.get("preemptionPolicy"), IMMUTABLE)


def _quota_cell(*, limits: bool) -> Print:
    def read(quota: JSON, _now: datetime) -> str:
        status = quota.get("status") or {}
        used, hard = status.get("used") or {}, status.get("hard") or {}
        names = [name for name in sorted(hard) if name.startswith("limits") == limits]
        return ", ".join(f"{name}: {used.get(name, 0)}/{hard[name]}" for name in names)

    return read


_QUOTA_TABLE: Final = (
    shown_name(),
    shown(
        "Request",
        _quota_cell(limits=False),
        "Request represents a minimum amount of cpu/memory that a container may consume.",
    ),
    shown(
        "Limit",
        _quota_cell(limits=True),
        "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the "
        "node.",
    ),
    shown_age(),
)
_PRIORITY: Final = "scheduling.v1.PriorityClass"
_PRIORITY_TABLE: Final = (
    shown_name(),
    shown("Value", cell("value", 0), f"{_PRIORITY}#value"),
    shown(
        "Global-Default", lambda obj, _now: bool(obj.get("globalDefault")), f"{_PRIORITY}#globalDefault", kind="boolean"
    ),
    shown_age(),
    shown("PreemptionPolicy", cell("preemptionPolicy"), f"{_PRIORITY}#preemptionPolicy"),
)


KINDS: Final[Mapping[tuple[str, str], tuple[type[Kind], dict[str, Any]]]] = {
    ("", "namespaces"): (
        NamespaceKind,
        {
            "table": _NAMESPACE_TABLE,
            "name_rule": nameformats.dns_label,
            "fields": {"status.phase": text_at("status.phase")},
        },
    ),
    ("", "nodes"): (
        NodeKind,
        {"table": _NODE_TABLE, "fields": {"spec.unschedulable": flag_at("spec.unschedulable")}},
    ),
    ("", "resourcequotas"): (Kind, {"table": _QUOTA_TABLE, "returns_deleted": True}),
    ("scheduling.k8s.io", "priorityclasses"): (PriorityClassKind, {"table": _PRIORITY_TABLE, "generation": True}),
}
