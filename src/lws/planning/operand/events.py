"""Events of applying, in the reference's words (operator 3.9)."""

from __future__ import annotations

from lws.apimachinery.actions import EmitEvent
from lws.apimachinery.manifests import JSON, name_of, namespace_of
from lws.apimachinery.objects import ObjectMeta
from lws.apimachinery.resources import Resource
from lws.planning.operand.causes import cut
from lws.planning.operand.preview import Preview, lines

APPLY = "Apply"


def created(resource: Resource, manifest: JSON) -> EmitEvent:
    """An object was missing and is there."""
    note = f"Created {_named(resource, manifest)} because it was missing"
    return EmitEvent("Normal", f"{resource.kind}Created", APPLY, note)


def not_created(resource: Resource, manifest: JSON) -> EmitEvent:
    """An object could not be created."""
    note = f"Failed to create {_named(resource, manifest)}: {{error}}"
    return EmitEvent("Warning", f"{resource.kind}CreateFailed", APPLY, note)


def updated(resource: Resource, manifest: JSON, live: JSON) -> EmitEvent:
    """An object was not as wanted and is."""
    if resource.kind == "ConfigMap":
        before = live.get("data") or {}
        keys = sorted(f"data.{key}" for key, value in manifest["data"].items() if before.get(key) != value)
        note = f"Updated {_named(resource, manifest)}:\ncause by changes in {','.join(keys)}"
    else:
        note = f"Updated {_named(resource, manifest)} because it changed"
    return EmitEvent("Normal", f"{resource.kind}Updated", APPLY, note)


def not_updated(resource: Resource, manifest: JSON) -> EmitEvent:
    """An object could not be updated."""
    note = f"Failed to update {_named(resource, manifest)}: {{error}}"
    return EmitEvent("Warning", f"{resource.kind}UpdateFailed", APPLY, note)


def healed(resource: Resource, live: JSON, pointers: list[str]) -> EmitEvent:
    """What somebody added to a closed section was removed."""
    note = f"Removed {', '.join(sorted(pointers))} from {_named(resource, live)}"
    return EmitEvent("Normal", "DriftHealed", APPLY, note)


def rollout_planned(plan: JSON, preview: Preview) -> EmitEvent:
    """A rollout begins: what changes, in the words of ``lws-operator diff`` as far as an event holds them."""
    to = plan["to"]
    text = f"Rolling out {to['version']} ({to['image']}): {len(preview.entries)} objects change\n"
    return EmitEvent("Normal", "RolloutPlanned", "Rollout", cut(text + "\n".join(lines(preview))))


def rollout_finished(version: str, image: str) -> EmitEvent:
    """A rollout has held."""
    return EmitEvent("Normal", "RolloutFinished", "Rollout", f"Rolled out {version} ({image})")


def rolled_back(version: str, image: str, why: str) -> EmitEvent:
    """A rollout was taken back."""
    return EmitEvent("Warning", "RolledBack", "Rollout", f"Rolled back from {version} ({image}): {why}")


def pruned(resource: Resource, live: JSON) -> EmitEvent:
    """An object that is no longer wanted was deleted."""
    note = f"Deleted {_named(resource, live)} because it is no longer wanted"
    return EmitEvent("Normal", f"{resource.kind}Deleted", APPLY, note)


def removed(resource: Resource, live: JSON) -> EmitEvent:
    """An object was deleted with the operand."""
    note = f"Deleted {_named(resource, live)} because the operand is removed"
    return EmitEvent("Normal", f"{resource.kind}Deleted", APPLY, note)


def operand_removed(stays: str) -> EmitEvent:
    """The operand is gone; what stays, and in which state."""
    return EmitEvent("Normal", "OperandRemoved", "Remove", f"Removed the operand: {stays}")


def at_risk(definition: ObjectMeta) -> EmitEvent:
    """A definition is owned, and nothing may be written to change that; told once."""
    note = (
        f"Deleting the LeaderWorkerSetOperator would delete CustomResourceDefinition {definition.name} and every set;"
        " set managementState to Managed first"
    )
    return EmitEvent("Warning", "CRDsAtRisk", APPLY, note, once=f"{definition.uid}/at-risk")


def standing_aside(other: str) -> EmitEvent:
    """Another operator goes before this one, which writes nothing else; told once of each [OD-29]."""
    note = (
        f"{other} works on this object, and the operator that tells this does not: it takes over once the other's lease"
        " has run out. Remove the one that is not needed"
    )
    return EmitEvent("Warning", "StandsAside", APPLY, note, once=f"{other}/stands-aside")


def switched(before: str, now: str) -> EmitEvent:
    """The certificates come from elsewhere, although nobody asked for that."""
    note = f"Certificates change from {before} to {now}: cert-manager is gone, and its certificate is gone or ends soon"
    return EmitEvent("Warning", "CertificatesSwitched", APPLY, note)


def taken_over(resource: Resource, name: str) -> EmitEvent:
    """A definition is no longer owned, and so outlives the object that owned it."""
    note = f"Removed the owner of {resource.kind}.{resource.group}/{name}: deleting it no longer deletes every set"
    return EmitEvent("Normal", "TakenOver", APPLY, note)


def adopted(namespace: str, left: list[str], warning: str) -> EmitEvent:
    """An installation of another namespace was ended, and what is of the whole cluster taken over; told once."""
    note = (
        f"Took over the installation in {namespace}.{warning} Left there, delete what nobody needs: {', '.join(left)}"
    )
    return EmitEvent("Normal", "TakenOver", APPLY, note[:1024], once=f"{namespace}/adopted")


def _named(resource: Resource, manifest: JSON) -> str:
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    where = f" -n {namespace_of(manifest)}" if namespace_of(manifest) else ""
    return f"{kind}/{name_of(manifest)}{where}"
