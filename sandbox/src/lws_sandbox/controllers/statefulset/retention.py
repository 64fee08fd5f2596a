"""Who owns a claim: what `persistentVolumeClaimRetentionPolicy` asks for, written as owner references."""

from __future__ import annotations

from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.objects import controller_reference, meta, name_of, owners_of, uid_of
from lws_sandbox.controllers.statefulset.identity import in_range, ordinal_of

_SET = ("apps/v1", "StatefulSet")
_POD = ("v1", "Pod")


def policy(statefulset: JSON) -> tuple[bool, bool]:
    """(delete when scaled, delete when deleted)."""
    found = statefulset["spec"].get("persistentVolumeClaimRetentionPolicy") or {}
    return found.get("whenScaled") == "Delete", found.get("whenDeleted") == "Delete"


def is_stale(claim: JSON, owner: JSON, kind: tuple[str, str] = _POD) -> bool:
    """Whether the claim belongs to an earlier object of the owner's name; such a claim is left alone."""
    found = next((ref for ref in owners_of(claim) if _names(ref, owner, kind)), None)
    return found is not None and found.get("uid") != uid_of(owner)


def owners_match(statefulset: JSON, pod: JSON, claim: JSON) -> bool:
    """Whether the claim is owned as the policy asks, or is none of our business."""
    if is_stale(claim, statefulset, _SET) or is_stale(claim, pod, _POD):
        return True
    ours = {uid_of(statefulset), uid_of(pod)}
    held = {ref.get("uid") for ref in owners_of(claim)} & ours
    if _has_other_controller(statefulset, pod, claim):
        return not held
    if any(ref.get("uid") in ours and not ref.get("controller") for ref in owners_of(claim)):
        return False
    return held == {uid_of(owner) for owner, _ in _wanted_owners(statefulset, pod)}


def with_owners(statefulset: JSON, pod: JSON, claim: JSON) -> JSON:
    """The claim, owned as the policy asks."""
    kept = [ref for ref in owners_of(claim) if not (_names(ref, statefulset, _SET) or _names(ref, pod, _POD))]
    if not _has_other_controller(statefulset, pod, claim):
        kept += [controller_reference(owner, *kind) for owner, kind in _wanted_owners(statefulset, pod)]
    metadata = {**meta(claim), "ownerReferences": kept}
    return {**claim, "metadata": metadata}


def _wanted_owners(statefulset: JSON, pod: JSON) -> list[tuple[JSON, tuple[str, str]]]:
    when_scaled, when_deleted = policy(statefulset)
    if when_scaled and not in_range(statefulset, ordinal_of(pod)):
        return [(pod, _POD)]
    return [(statefulset, _SET)] if when_deleted else []


def _names(reference: JSON, owner: JSON, kind: tuple[str, str]) -> bool:
    return (reference.get("apiVersion"), reference.get("kind")) == kind and reference.get("name") == name_of(owner)


def _has_other_controller(statefulset: JSON, pod: JSON, claim: JSON) -> bool:
    """Whether something else controls the claim, in a set that has a policy to enforce."""
    if not any(policy(statefulset)):
        return False
    for reference in owners_of(claim):
        if _names(reference, statefulset, _SET):
            if reference.get("uid") != uid_of(statefulset):
                return True
        elif _names(reference, pod, _POD):
            if reference.get("uid") != uid_of(pod):
                return True
        elif reference.get("controller"):
            return True
    return False
