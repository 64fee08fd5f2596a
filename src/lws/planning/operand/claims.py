"""Whose is what has a name of ours, and is there another installation? (operator 5.6, 5.10)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from lws.api.operand import names
from lws.apimachinery.manifests import JSON, labels_of, name_of, namespace_of
from lws.apimachinery.ownership import Relation
from lws.apimachinery.resources import CUSTOMRESOURCEDEFINITIONS

Key = tuple[str, str]  # kind and name


def owned_by_operator(manifest: JSON) -> list[int]:
    """The places among its owners at which the LeaderWorkerSetOperator stands."""
    owners = (manifest.get("metadata") or {}).get("ownerReferences") or ()
    return [
        place
        for place, owner in enumerate(owners)
        if owner.get("kind") == names.KIND and str(owner.get("apiVersion", "")).partition("/")[0] == names.GROUP
    ]


def relation(kind: str, live: JSON) -> Relation:
    """How a live object stands to us.

    Ours is what our object owns or what bears our label. An orphan may be taken over: it bears the label set of every
    installation and nobody owns it, or is a definition without an owner.
    """
    labels = labels_of(live)
    if owned_by_operator(live) or labels.get(names.MANAGED_BY) == names.MANAGED_BY_VALUE:
        return Relation.OURS
    if (live.get("metadata") or {}).get("ownerReferences"):
        return Relation.FOREIGN
    if kind == CUSTOMRESOURCEDEFINITIONS.kind or names.LABELS.items() <= labels.items():
        return Relation.ORPHAN
    return Relation.FOREIGN


def other_installation(
    live: Mapping[Key, JSON], leases: Iterable[JSON], namespace: str, now: datetime
) -> Iterator[tuple[str, str]]:
    """Signs of an installation in another namespace: the namespace, and what says so."""
    for kind, name in (
        ("MutatingWebhookConfiguration", names.MUTATING),
        ("ValidatingWebhookConfiguration", names.VALIDATING),
    ):
        found = live.get((kind, name))
        if found is None or relation(kind, found) is Relation.OURS:
            continue
        for hook in found.get("webhooks") or ():
            service = (hook.get("clientConfig") or {}).get("service") or {}
            if (where := service.get("namespace")) and where != namespace:
                yield where, f"{kind} {name}"
    binding = live.get(("ClusterRoleBinding", names.MANAGER_BINDING))
    if binding is not None and relation("ClusterRoleBinding", binding) is not Relation.OURS:
        for subject in binding.get("subjects") or ():
            if (where := subject.get("namespace")) and where != namespace:
                yield where, f"ClusterRoleBinding {names.MANAGER_BINDING}"
    for lease in leases:
        if name_of(lease) == names.OPERAND_LEASE and namespace_of(lease) != namespace and held(lease, now):
            yield namespace_of(lease), f"Lease {names.OPERAND_LEASE} of {lease['spec']['holderIdentity']}"


def leader_in(namespace: str, leases: Iterable[JSON], now: datetime) -> str:
    """Who leads the operands of a namespace; empty if nobody does."""
    for lease in leases:
        if name_of(lease) == names.OPERAND_LEASE and namespace_of(lease) == namespace and held(lease, now):
            return str(lease["spec"]["holderIdentity"])
    return ""


def helm_release(live: Mapping[Key, JSON]) -> bool:
    """Whether Helm manages what is there."""
    return any(labels_of(each).get(names.MANAGED_BY) == "Helm" for each in live.values())


def rival(leases: Iterable[JSON], ours: JSON | None, namespace: str, now: datetime) -> str:
    """Who else works on the same object from another namespace, and goes before us; empty if nobody.

    Another kind of operator always does. Of two of ours the one that holds its lease longer leads, then the namespace
    that is first in the alphabet.
    """
    for lease in leases:
        where = namespace_of(lease)
        if name_of(lease) != names.OPERATOR_LEASE or where == namespace or not held(lease, now):
            continue
        holder = str(lease["spec"]["holderIdentity"])
        if not holder.startswith(names.OPERATOR_IDENTITY) or _seniority(lease) < _seniority(ours or {}):
            return f"{holder} in namespace {where}"
    return ""


def held(lease: JSON, now: datetime) -> bool:
    """Whether somebody renewed the lease within its duration."""
    spec = lease.get("spec") or {}
    if not spec.get("holderIdentity") or not spec.get("renewTime"):
        return False
    renewed = datetime.fromisoformat(str(spec["renewTime"]))
    return now < renewed + timedelta(seconds=float(spec.get("leaseDurationSeconds") or 0))


def _seniority(lease: JSON) -> tuple[str, str]:
    acquired = str((lease.get("spec") or {}).get("acquireTime") or "9999")
    return acquired, namespace_of(lease)
