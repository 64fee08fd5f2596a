"""Which keys a change wakes (spec 5.1): (old, new) in, keys out; old is None for a new object, new for a gone one.

What wakes what:
    * a LeaderWorkerSet: any change of it; a StatefulSet, Deployment or Service that it controls; any StatefulSet with
      its label; a leader pod whose part in a group's state changed; the end of a revision of it. The last two are ours:
      StatefulSets and pods come by separate watches, so the event of a StatefulSet may be handled before the pod that
      caused it is seen; and a group that is to be rebuilt needs its revision.
    * a leader pod: any change of it; a StatefulSet that it controls; the end or release of a worker of its group, whose
      name may now be free (CD-28); the end of a Service or PodGroup of a pod of its name: what an earlier leader left
      hides until it is collected that the present one has none. That is ours: the last event of a leader may be over.
      So does its set when that comes, for leaders may have been without one, and when its startup policy changes, for
      they may wait for a readiness that never comes, or its queue, for their PodGroups may wait in one that is not
      there; and a PodGroup that changed in what follows its group. The gated leader that is next in rank: an edit of
      its set, a change of the Deployment, and whatever may free a place (`reconcilers.leaderworkerset.replacement`).
      One that a restart budget holds back: an edit or the end of its set, and any change of the leader StatefulSet,
      which wake such a worker too (next 5.8). Every pod of a set whose grace for failed members changed (resilience 7).
      Of any pod of a set that asks for it: that its node falls silent (resilience 6.2).
    * a worker pod: any change of it, its end included (CD-01); the coming of the StatefulSet of its group, which tells
      whether it belongs: that comes by another watch, and may be later than the pod and its failure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import ControllerRevision, Deployment, Pod, PodGroup, Service, StatefulSet
from lws.api.leaderworkerset.policykeys import RECOVERY_GRACE
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.names import parent_and_ordinal
from lws.apimachinery.objects import Key, Object, ObjectMeta
from lws.planning.leaderworkerset.groups import is_hashed, is_leader, marked, running_and_ready, waiting_for_room

Keys: TypeAlias = frozenset[Key]

NONE: Keys = frozenset()


def sets_of_set(old: LeaderWorkerSet | None, new: LeaderWorkerSet | None) -> Keys:
    """The set itself, whatever changed."""
    return frozenset(each.metadata.key for each in (old, new) if each is not None)


def sets_of_statefulset(old: StatefulSet | None, new: StatefulSet | None) -> Keys:
    """The set that controls the StatefulSet, and the one that its label names."""
    keys: set[Key] = set()
    for meta in _metas(old, new):
        keys.update(_controlling_set(meta))
        name = meta.label(labels.NAME)
        if name:
            keys.add((meta.namespace, name))
    return frozenset(keys)


def sets_of_deployment(old: Deployment | None, new: Deployment | None) -> Keys:
    """The set that controls the Deployment, and the one that has its name: it may stand in that one's way."""
    metas = [each.metadata for each in (old, new) if each is not None]
    named = {meta.key for meta in metas if meta.label(labels.NAME) == meta.name}
    return frozenset(named.union(*map(_controlling_set, metas)))


def sets_of_service(old: Service | None, new: Service | None) -> Keys:
    """The set that controls the Service; at its end the set of its label, which it may have kept from its own."""
    keys = frozenset(key for meta in _metas(old, new) for key in _controlling_set(meta))
    if old is None or new is not None or not old.metadata.label(labels.NAME):
        return keys
    owner = old.metadata.controller
    of_group = owner is not None and owner.kind == "Pod"
    return keys if of_group else keys | {(old.metadata.namespace, old.metadata.label(labels.NAME))}


def sets_of_label(old: Object | None, new: Object | None) -> Keys:
    """The set that an object is labelled with."""
    metas = [each.metadata for each in (old, new) if each is not None]
    return frozenset((meta.namespace, meta.label(labels.NAME)) for meta in metas if meta.label(labels.NAME))


def sets_of_ended(old: Pod | None, new: Pod | None) -> Keys:
    """The set of a pod that is gone and was placed with others: their PodGroup may be of no more use (next 7.9)."""
    if old is None or new is not None or not old.metadata.annotation(labels.SCHEDULING_LEVEL):
        return NONE
    return frozenset({(old.metadata.namespace, old.metadata.label(labels.NAME))})


def sets_of_revision(old: ControllerRevision | None, new: ControllerRevision | None) -> Keys:
    """The set that controlled a revision that is gone; it may have been the current one (spec 5.7)."""
    return NONE if old is None or new is not None else _controlling_set(old.metadata)


def sets_of_pod(old: Pod | None, new: Pod | None) -> Keys:
    """The set of a leader pod, if what its group's state is made of changed."""
    if _part(old) == _part(new):
        return NONE
    return frozenset(
        (pod.metadata.namespace, pod.metadata.label(labels.NAME))
        for pod in (old, new)
        if pod is not None and is_leader(pod) and pod.metadata.label(labels.NAME)
    )


def leaders_of_pod(old: Pod | None, new: Pod | None) -> Keys:
    """The leader pod itself; or the leader of a worker that is gone or was released by its controller."""
    pod = new or old
    if pod is None:
        return NONE
    if is_leader(pod):
        return frozenset({pod.metadata.key})
    freed = new is None or (old is not None and old.metadata.controller is not None and new.metadata.controller is None)
    return _parent(pod) if freed else NONE


def concerns_leaders(old: LeaderWorkerSet | None, new: LeaderWorkerSet | None) -> bool:
    """Whether the leaders that a set has are to be looked at: it is new to them, or what they wait for may change."""
    return new is not None and (old is None or _start(old) != _start(new))


def _start(lws: LeaderWorkerSet) -> tuple[str, str]:
    """What groups start by: when workers do, and in which queue their PodGroups wait."""
    return lws.spec.startup_policy, lws.metadata.annotation(labels.QUEUE_NAME) or ""


def concerns_members(old: LeaderWorkerSet | None, new: LeaderWorkerSet | None) -> bool:
    """Whether every pod of a set is to be judged anew: what was no failure may be one now (resilience 7)."""
    return old is not None and new is not None and _grace(old) != _grace(new)


def _grace(lws: LeaderWorkerSet) -> str:
    return lws.metadata.annotation(RECOVERY_GRACE) or ""


def concerns_retained(old: LeaderWorkerSet | None, new: LeaderWorkerSet | None) -> bool:
    """Whether the pods that a restart budget holds back may have to go: their set came, goes, or was edited."""
    return _wanted(old) != _wanted(new)


def _wanted(lws: LeaderWorkerSet | None) -> tuple[object, ...]:
    return () if lws is None else (lws.metadata.uid, lws.metadata.generation, lws.metadata.deleting)


def sets_led_by(old: StatefulSet | None, new: StatefulSet | None) -> Keys:
    """The sets whose leader StatefulSet this is, by its name."""
    return frozenset(meta.key for meta in _metas(old, new) if meta.name == meta.label(labels.NAME))


def sets_of_leader(old: Pod | None, new: Pod | None) -> Keys:
    """The set of a leader that came, is gone, or is not marked as exhausted any more."""
    if _mark(old) == _mark(new):
        return NONE
    return frozenset(
        (pod.metadata.namespace, pod.metadata.label(labels.NAME))
        for pod in (old, new)
        if pod is not None and is_leader(pod)
    )


def _mark(pod: Pod | None) -> tuple[object, ...]:
    return () if pod is None else (pod.metadata.uid, marked(pod))


def leaders_of_statefulset(old: StatefulSet | None, new: StatefulSet | None) -> Keys:
    """The pod that controls the StatefulSet; at its end the pod of its name, whose workers it may have kept off."""
    freed = frozenset({old.metadata.key}) if old is not None and new is None else NONE
    return freed | frozenset(
        (meta.namespace, meta.controller.name)
        for meta in _metas(old, new)
        if meta.controller is not None and meta.controller.kind == "Pod"
    )


def leaders_of_dependent(old: Service | PodGroup | None, new: Service | PodGroup | None) -> Keys:
    """The pod that controlled a Service or PodGroup that is gone, or its successor; of nobody's, that of its name."""
    if old is None or new is not None:
        return NONE
    owner = old.metadata.controller
    if owner is None:
        return frozenset({old.metadata.key})
    return frozenset({(old.metadata.namespace, owner.name)}) if owner.kind == "Pod" else NONE


def leaders_of_pod_group(old: PodGroup | None, new: PodGroup | None) -> Keys:
    """The pod that controls a PodGroup whose numbers or queue somebody changed; at its end as of any dependent."""
    if old is None or new is None:
        return leaders_of_dependent(old, new)
    owner = new.metadata.controller
    if old.spec == new.spec or owner is None or owner.kind != "Pod":
        return NONE
    return frozenset({(new.metadata.namespace, owner.name)})


def workers_of_pod(old: Pod | None, new: Pod | None) -> Keys:
    """The worker pod itself, gone or not."""
    pod = new or old
    return NONE if pod is None or is_leader(pod) else frozenset({pod.metadata.key})


def _parent(pod: Pod) -> Keys:
    noted = pod.metadata.annotation(labels.LEADER_NAME) if is_hashed(pod) else ""
    if noted:
        return frozenset({(pod.metadata.namespace, noted)})
    parent, ordinal = parent_and_ordinal(pod.metadata.name)
    return frozenset({(pod.metadata.namespace, parent)}) if ordinal >= 0 else NONE


def _part(pod: Pod | None) -> tuple[object, ...]:
    """What a leader pod contributes to the state of its group (spec 7.2, 8.1)."""
    if pod is None or not is_leader(pod):
        return ()
    meta = pod.metadata
    return (
        meta.uid,
        meta.deleting,
        running_and_ready(pod),
        waiting_for_room(pod),
        meta.label(labels.REVISION),
        meta.label(labels.GROUP_INDEX),
        meta.annotation(labels.SIZE),
        marked(pod),
    )


def _metas(old: StatefulSet | Service | None, new: StatefulSet | Service | None) -> Iterator[ObjectMeta]:
    return (each.metadata for each in (old, new) if each is not None)


def _controlling_set(meta: ObjectMeta) -> Keys:
    owner = meta.controller
    if owner is None or owner.kind != LEADERWORKERSETS.kind:
        return NONE
    if owner.api_version.partition("/")[0] != LEADERWORKERSETS.group:
        return NONE
    return frozenset({(meta.namespace, owner.name)})
