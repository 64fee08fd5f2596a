"""Whose is what has our name? (spec CD-03, CD-25, CD-26)."""

from __future__ import annotations

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Deployment, LabelSelector, Pod, StatefulSet, controlled_by
from lws.api.leaderworkerset.resources import LEADERWORKERSETS, PODGROUPS
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import ObjectMeta, OwnerReference
from lws.apimachinery.ownership import Relation, controller_of
from lws.apimachinery.resources import CONTROLLERREVISIONS, SERVICES, STATEFULSETS, Resource
from lws.planning.leaderworkerset import services, worker_statefulset
from lws.planning.leaderworkerset.groups import is_hashed, revision_key
from lws.planning.leaderworkerset.leader_statefulset import selector


def selects_leaders(lws: LeaderWorkerSet, chosen: LabelSelector | None) -> bool:
    """Whether this selector is the one of the set's leaders."""
    return chosen is not None and chosen.match_labels == selector(lws)


def of_leader_set(lws: LeaderWorkerSet, found: StatefulSet | Deployment) -> Relation:
    """Whose the StatefulSet, or Deployment, of the set's name is (CD-03, ND-11)."""
    owner = found.metadata.controller
    if owner is None:
        adoptable = found.metadata.label(labels.NAME) == lws.metadata.name
        return Relation.ORPHAN if adoptable and selects_leaders(lws, found.spec.selector) else Relation.FOREIGN
    if owner.uid == lws.metadata.uid:
        return Relation.OURS
    group = owner.api_version.partition("/")[0]
    if (owner.kind, group, owner.name) == (LEADERWORKERSETS.kind, LEADERWORKERSETS.group, lws.metadata.name):
        return Relation.EARLIER
    return Relation.FOREIGN


def of_worker_set(leader: Pod, meta: ObjectMeta) -> Relation:
    """Whose the StatefulSet is that has the name of this leader's workers (CD-26).

    A set whose controller is a pod of the leader's name belongs to this leader or to one before it. A leader that is
    known by a key has no predecessor.
    """
    owner, leader_name = meta.controller, leader.metadata.name
    if is_hashed(leader):
        return Relation.OURS if controlled_by(meta, leader) else Relation.FOREIGN
    if owner is not None and owner.kind == "Pod" and owner.name == leader_name:
        return Relation.OURS
    return Relation.FOREIGN


def orphaned_worker_set(lws: LeaderWorkerSet, leader: Pod, statefulset: StatefulSet) -> bool:
    """Whether a StatefulSet without a controller is this leader's, as a backup or `--cascade=orphan` leaves it (CD-47).

    It selects what the leader's own would select, and is of the leader's revision.
    """
    meta, selector = statefulset.metadata, statefulset.spec.selector
    if meta.controller is not None or meta.deleting or selector is None:
        return False
    ours = selector.match_labels == worker_statefulset.selector(lws, leader)
    return ours and revision_key(statefulset) == revision_key(leader) != ""


def relation(resource: Resource, wanted: JSON, live: JSON) -> Relation:
    """Whose a live object is that stood in the way of a creation (CD-25).

    Args:
        resource: its kind.
        wanted: the manifest that could not be created.
        live: the object that has its name, as the server answered it.
    """
    wanted_meta, live_meta = wanted["metadata"], live.get("metadata") or {}
    if resource == SERVICES:
        spec = live.get("spec") or {}
        ours = services.serves(spec.get("clusterIP", ""), spec.get("selector"), wanted["spec"]["selector"])
        return Relation.OURS if ours else Relation.FOREIGN
    controller = controller_of(live_meta)
    wanted_owner = controller_of(wanted_meta)
    if controller is not None and wanted_owner is not None and controller.uid == wanted_owner.uid:
        return Relation.OURS
    if resource == CONTROLLERREVISIONS and controller is None:
        unowned = (live_meta.get("labels") or {}) == wanted_meta["labels"]
        return Relation.OURS if unowned else Relation.FOREIGN
    if resource in (STATEFULSETS, CONTROLLERREVISIONS):
        earlier = controller is not None and wanted_owner is not None and _same_name(controller, wanted_owner)
        return Relation.EARLIER if earlier else Relation.FOREIGN
    return Relation.OURS if resource == PODGROUPS else Relation.FOREIGN


def _same_name(one: OwnerReference, other: OwnerReference) -> bool:
    return (one.kind, one.name) == (other.kind, other.name)
