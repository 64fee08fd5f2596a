"""Volume claims, volumes and storage classes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from lws.apimachinery.manifests import JSON
from lws.apimachinery.quantity import Quantity
from lws_sandbox.kinds import claims
from lws_sandbox.kinds.base import UNSET, Kind, at, cell, immutable, shown, shown_age, shown_name
from lws_sandbox.status import Causes
from lws_sandbox.strategy import WriteContext

CLASSES: Final = "storageclasses.storage.k8s.io"
DEFAULT_CLASS: Final = "storageclass.kubernetes.io/is-default-class"
PROTECTION: Final = "kubernetes.io/pvc-protection"
_SHORT: Final = {
    "ReadWriteOnce": "RWO",
    "ReadOnlyMany": "ROX",
    "ReadWriteMany": "RWX",
    "ReadWriteOncePod": "RWOP",
}
_FIXED: Final = (
    "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"
)


@dataclass
class ClaimKind(Kind):
    """Volume claims."""

    def admit(self, new: JSON | None, old: JSON | None, context: WriteContext) -> list[str]:
        """The default storage class and the finalizer that protects claims in use."""
        if new is None or old is not None:
            return []
        spec = new.setdefault("spec", {})
        if spec.get("storageClassName") is None:
            name = _default_class(context)
            if name:
                spec["storageClassName"] = name
        finalizers = new["metadata"].get("finalizers") or []
        if PROTECTION not in finalizers:
            new["metadata"]["finalizers"] = [*finalizers, PROTECTION]
        return []

    def prepare_create(self, obj: JSON, context: WriteContext) -> None:
        """A new claim is Pending."""
        super().prepare_create(obj, context)
        obj["status"] = {"phase": "Pending"}

    def check_new(self, obj: JSON, causes: Causes, context: WriteContext) -> None:  # noqa: ARG002 -- the protocol's
        """The rules of the spec."""
        claims.validate_spec(obj.get("spec") or {}, "spec", causes)

    def check_change(self, new: JSON, old: JSON, causes: Causes, context: WriteContext) -> None:  # noqa: ARG002
        """Only the request of a bound claim may grow, and a volume may be named once."""
        claims.validate_spec(new.get("spec") or {}, "spec", causes)
        spec, before = new.get("spec") or {}, old.get("spec") or {}
        open_members = {"resources", "volumeAttributesClassName"}
        open_members |= {member for member in ("volumeName", "storageClassName") if not before.get(member)}
        if _without(spec, open_members) != _without(before, open_members):
            causes.forbidden("spec", _FIXED)
        asked, had = at(spec, "resources.requests.storage"), at(before, "resources.requests.storage")
        if asked != had and asked is not None and had is not None and Quantity.parse(asked) < Quantity.parse(had):
            causes.forbidden("spec.resources.requests.storage", "field can not be less than status.capacity")


def _without(spec: JSON, members: set[str]) -> JSON:
    return {key: value for key, value in spec.items() if key not in members}


def _default_class(context: WriteContext) -> str:
    """The newest storage class that is marked as the default."""
    marked = [
        each
        for each in context.stored(CLASSES, "")
        if (each["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true"
    ]
    newest = sorted(
        marked, key=lambda each: (each["metadata"].get("creationTimestamp") or "", each["metadata"]["name"])
    )
    return newest[-1]["metadata"]["name"] if newest else ""


def _claim_status(claim: JSON, _now: datetime) -> str:
    if claim["metadata"].get("deletionTimestamp"):
        return "Terminating"
    return (claim.get("status") or {}).get("phase") or ""


def _capacity(claim: JSON, _now: datetime) -> str:
    if not at(claim, "spec.volumeName"):
        return ""
    return at(claim, "status.capacity.storage") or "0"


def _modes(claim: JSON, _now: datetime) -> str:
    modes = at(claim, "status.accessModes") if at(claim, "spec.volumeName") else ()
    return ",".join(short for mode, short in _SHORT.items() if mode in (modes or ()))


_SPEC: Final = "core.v1.PersistentVolumeClaimSpec"
_STATUS: Final = "core.v1.PersistentVolumeClaimStatus"
_CLAIM_TABLE: Final = (
    shown_name(),
    shown("Status", _claim_status, f"{_STATUS}#phase"),
    shown("Volume", cell("spec.volumeName"), f"{_SPEC}#volumeName"),
    shown("Capacity", _capacity, f"{_STATUS}#capacity"),
    shown("Access Modes", _modes, f"{_STATUS}#accessModes"),
    shown("StorageClass", cell("spec.storageClassName"), "StorageClass of the pvc"),
    shown(
        "VolumeAttributesClass",
        cell("spec.volumeAttributesClassName", UNSET),
        "VolumeAttributesClass of the pvc",
    ),
    shown_age(),
    shown("VolumeMode", cell("spec.volumeMode", UNSET), f"{_SPEC}#volumeMode", wide=True),
)


@dataclass
class VolumeKind(Kind):
    """Persistent volumes."""

    def prepare_create(self, obj: JSON, context: WriteContext) -> None:
        """A new volume is Pending."""
        super().prepare_create(obj, context)
        obj["status"] = {"phase": "Pending"}


@dataclass
class ClassKind(Kind):
    """Storage classes."""

    def check(self, obj: JSON, causes: Causes) -> None:
        """A provisioner is named, policies are known."""
        if not obj.get("provisioner"):
            causes.required("provisioner")
        policy = obj.get("reclaimPolicy")
        if policy not in (None, "Delete", "Retain"):
            causes.not_supported("reclaimPolicy", policy, ["Delete", "Retain"])
        mode = obj.get("volumeBindingMode")
        if mode not in (None, "Immediate", "WaitForFirstConsumer"):
            causes.not_supported("volumeBindingMode", mode, ["Immediate", "WaitForFirstConsumer"])

    def check_change(self, new: JSON, old: JSON, causes: Causes, context: WriteContext) -> None:  # noqa: ARG002
        """What volumes were made from stays."""
        if new.get("parameters") != old.get("parameters"):
            causes.forbidden("parameters", "updates to parameters are forbidden.")
        if new.get("provisioner") != old.get("provisioner"):
            causes.forbidden("provisioner", "updates to provisioner are forbidden.")
        if new.get("reclaimPolicy") != old.get("reclaimPolicy"):
            causes.forbidden("reclaimPolicy", "updates to reclaimPolicy are forbidden.")
        immutable(causes, "volumeBindingMode", new.get("volumeBindingMode"), old.get("volumeBindingMode"))


def _class_name(obj: JSON, _now: datetime) -> str:
    name = obj["metadata"]["name"]
    default = (obj["metadata"].get("annotations") or {}).get(DEFAULT_CLASS) == "true"
    return f"{name} (default)" if default else name


_CLASS: Final = "storage.v1.StorageClass"
_CLASS_TABLE: Final = (
    shown("Name", _class_name, "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta#name", form="name"),
    shown("Provisioner", cell("provisioner"), f"{_CLASS}#provisioner"),
    shown("ReclaimPolicy", cell("reclaimPolicy", "Delete"), f"{_CLASS}#reclaimPolicy"),
    shown("VolumeBindingMode", cell("volumeBindingMode", "Immediate"), f"{_CLASS}#volumeBindingMode"),
    shown(
        "AllowVolumeExpansion",
        lambda obj, _now: bool(obj.get("allowVolumeExpansion")),
        f"{_CLASS}#allowVolumeExpansion",
        kind="string",
    ),
    shown_age(),
)

KINDS: Final[Mapping[tuple[str, str], tuple[type[Kind], dict[str, Any]]]] = {
    ("", "persistentvolumeclaims"): (ClaimKind, {"table": _CLAIM_TABLE, "returns_deleted": True, "generation": False}),
    ("", "persistentvolumes"): (VolumeKind, {"returns_deleted": True, "generation": False}),
    ("storage.k8s.io", "storageclasses"): (ClassKind, {"table": _CLASS_TABLE}),
}
