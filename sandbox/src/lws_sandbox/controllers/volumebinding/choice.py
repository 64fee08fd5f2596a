"""What becomes of a claim without a volume (``pkg/controller/volume/persistentvolume``), as a pure decision."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, TypeAlias

from lws.apimachinery.manifests import JSON
from lws.apimachinery.quantity import Quantity
from lws_sandbox.controllers.objects import is_terminating, name_of, namespace_of, uid_of
from lws_sandbox.controllers.recorder import EventType

PROVISIONER: Final = "sandbox.local/volumes"
_UNSET: Final = "no persistent volumes available for this claim and no storage class is set"


@dataclass(frozen=True, slots=True)
class Bind:
    """Bind the claim to a volume that is there."""

    volume: JSON


@dataclass(frozen=True, slots=True)
class Provision:
    """Make a volume for the claim."""


@dataclass(frozen=True, slots=True)
class Wait:
    """Leave the claim Pending, and record why."""

    type: EventType
    reason: str
    message: str


Decision: TypeAlias = Bind | Provision | Wait


def decide(claim: JSON, storage_class: JSON | None, volumes: Iterable[JSON], *, used: bool) -> Decision:
    """What to do with a claim that is not bound.

    Args:
        claim: Pending.
        storage_class: the one that it names, if that is there.
        volumes: all there are.
        used: a pod refers to the claim, which a class with ``WaitForFirstConsumer`` waits for.
    """
    fitting = [volume for volume in volumes if _fits(claim, volume)]
    if fitting:
        return Bind(min(fitting, key=lambda volume: (_storage(volume["spec"].get("capacity")), name_of(volume))))
    name = claim["spec"].get("storageClassName") or ""
    if not name:
        return Wait("Normal", "FailedBinding", _UNSET)
    if storage_class is None:
        return Wait("Warning", "ProvisioningFailed", f'storageclass.storage.k8s.io "{name}" not found')
    if storage_class.get("volumeBindingMode") == "WaitForFirstConsumer" and not used:
        return Wait("Normal", "WaitForFirstConsumer", "waiting for first consumer to be created before binding")
    provisioner = storage_class.get("provisioner") or ""
    if provisioner == PROVISIONER:
        return Provision()
    who = f"either by the external provisioner '{provisioner}' or manually by the system administrator"
    hint = "If volume creation is delayed, please verify that the provisioner is running and correctly registered."
    return Wait("Normal", "ExternalProvisioning", f"Waiting for a volume to be created {who}. {hint}")


def _fits(claim: JSON, volume: JSON) -> bool:
    """Whether the volume is free, or kept for this claim, and is all that the claim asks for."""
    spec, wanted = volume["spec"], claim["spec"]
    if is_terminating(volume) or (wanted.get("volumeName") or name_of(volume)) != name_of(volume):
        return False
    reference = spec.get("claimRef")
    if reference:
        same = (reference.get("namespace"), reference.get("name")) == (namespace_of(claim), name_of(claim))
        if not same or (reference.get("uid") or uid_of(claim)) != uid_of(claim):
            return False
    return (
        (spec.get("storageClassName") or "") == (wanted.get("storageClassName") or "")
        and (spec.get("volumeMode") or "Filesystem") == (wanted.get("volumeMode") or "Filesystem")
        and set(wanted.get("accessModes") or ()) <= set(spec.get("accessModes") or ())
        and _storage(spec.get("capacity")) >= _storage((wanted.get("resources") or {}).get("requests"))
    )


def _storage(amounts: JSON | None) -> int:
    return Quantity.parse((amounts or {}).get("storage") or "0").value()
