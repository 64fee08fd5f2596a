"""PodGroups of a gang scheduler with an API of its own, for sets with ``spec.scheduling`` (next 7.5, Volcano).

They are those of `lws.planning.leaderworkerset.podgroup`, but belong to the set, and are there before its pods.
"""

from __future__ import annotations

from collections.abc import Iterator

from lws.api.leaderworkerset import gangs, labels, scheduling
from lws.api.leaderworkerset.objects import ControllerRevision, PodGroup
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.scheduling import REPLICA
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Action, Create, Delete, Reference
from lws.apimachinery.integers import natural
from lws.apimachinery.manifests import JSON
from lws.planning.leaderworkerset import podgroup
from lws.planning.leaderworkerset.groups import lives, revision_key
from lws.planning.leaderworkerset.metadata import owned_by_set
from lws.planning.leaderworkerset.podgroup import Gang
from lws.planning.leaderworkerset.prerequisites import (
    POD_GROUP_FAILED,
    UNSUPPORTED,
    Gangs,
    UnpreparedError,
    controlled,
)
from lws.planning.leaderworkerset.revisions import find_by_key
from lws.planning.leaderworkerset.snapshots import SetSnapshot


def plan(snapshot: SetSnapshot, seen: Gangs, level: str, key: str, groups: int) -> Iterator[Action]:
    """A PodGroup for each group that is to be made or has a leader that lives; what nobody needs goes.

    Args:
        snapshot: the set, and what there is.
        seen: the PodGroups that there are.
        level: what the set asks for.
        key: the revision of the groups that are to be made.
        groups: how many of them are made by index, from 0 on; none for groups that are known by a key.

    Raises:
        UnpreparedError: the pods that the set asks for cannot be made.
    """
    lws = snapshot.lws
    if level != REPLICA:
        raise UnpreparedError(UNSUPPORTED, scheduling.ONLY_GROUPS)
    if not scheduling.is_placed(snapshot.contents.sections(lws), seen.provider.schedulers):
        named = " or ".join(seen.provider.schedulers)
        why = f"spec.scheduling is for pods of {named}: a template names another scheduler in schedulerName"
        raise UnpreparedError(UNSUPPORTED, why)
    wanted, own = _wanted(snapshot, key, groups), Reference.to(LEADERWORKERSETS, lws.metadata)
    for name, (index, revision, size, section) in wanted.items():
        gang = Gang(name, True, size, size)
        existing = seen.groups.get(name)
        if existing is None:
            marks = podgroup.marks(lws, index, revision)
            body = seen.provider.manifest(lws, section, gang, marks, owned_by_set(lws))
            yield Create(seen.provider.resource, body, required=True, owner=own)
        else:
            _check(lws, existing)
            yield from podgroup.follow(seen.provider, lws, gang, existing, own)
    for name, found in sorted(seen.groups.items()):
        meta = found.metadata
        in_use = name in snapshot.scheduling.in_use
        if name not in wanted and not in_use and controlled(meta, lws) and not meta.deleting:
            yield Delete(seen.provider.resource, meta.namespace, name, meta.uid)


def _wanted(snapshot: SetSnapshot, key: str, groups: int) -> dict[str, tuple[str, str, int, JSON]]:
    """Index, revision, size and ``leaderWorkerTemplate`` of each group, by the name of its PodGroup."""
    lws = snapshot.lws
    section, size = snapshot.contents.sections(lws), lws.spec.leader_worker_template.size
    found = {_name(lws, str(index), key): (str(index), key, size, section) for index in range(groups)}
    for leader in snapshot.leaders:
        revision = find_by_key(lws, snapshot.revisions, revision_key(leader))
        if not lives(leader) or (revision is None and revision_key(leader) != key):
            continue
        own = natural(leader.metadata.annotation(labels.SIZE), lowest=1) or size
        index = leader.metadata.label(labels.GROUP_INDEX)
        content = _content(snapshot, revision) if revision is not None else section
        found[_name(lws, index, revision_key(leader))] = index, revision_key(leader), own, content
    return found


def _content(snapshot: SetSnapshot, revision: ControllerRevision) -> JSON:
    return snapshot.contents.sections_of(snapshot.lws, revision)


def _name(lws: LeaderWorkerSet, index: str, key: str) -> str:
    return gangs.group_name({labels.NAME: lws.metadata.name, labels.GROUP_INDEX: index, labels.REVISION: key})


def _check(lws: LeaderWorkerSet, existing: PodGroup) -> None:
    """What stands in the way is told in the reference's words."""
    meta, owner = existing.metadata, existing.metadata.controller
    where = f"{meta.namespace}/{meta.name}"
    if meta.deleting:
        raise UnpreparedError(POD_GROUP_FAILED, f"waiting for podgroup {where} to finish deletion")
    if controlled(meta, lws):
        return
    own = lws.metadata
    if owner is not None and owner.kind == LEADERWORKERSETS.kind and owner.name == own.name:
        why = (
            f"waiting for podgroup {where} owned by previous LeaderWorkerSet UID {owner.uid} to be deleted; "
            f"current LeaderWorkerSet UID is {own.uid}"
        )
        raise UnpreparedError(POD_GROUP_FAILED, why)
    named = "none" if owner is None else f"{owner.api_version} {owner.kind} {owner.name} with UID {owner.uid}"
    why = (
        f"unexpected podgroup controller owner: podgroup {where} has controller owner {named}; "
        f"expected LeaderWorkerSet {own.name} with UID {own.uid}"
    )
    raise UnpreparedError(POD_GROUP_FAILED, why)
