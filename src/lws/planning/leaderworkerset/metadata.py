"""Labels, annotations and owners of what we write (spec 1.2 to 1.4, CD-08, CD-19)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from lws.api.leaderworkerset import labels, policykeys
from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import ObjectMeta

if TYPE_CHECKING:
    from lws.api.leaderworkerset.types import LeaderWorkerSet, SubGroupPolicy

_RESERVED: Final = (labels.GROUP_INDEX, labels.GROUP_KEY, labels.WORKER_INDEX)
_NOT_INHERITED: Final = (labels.LAST_APPLIED, labels.GROUP_RESTART_COUNTS, labels.RESTART_CHARGED)
_RESERVED_PREFIX: Final = labels.PREFIX + "subgroup-"


def merged(user: Mapping[str, str] | None, ours: Mapping[str, str]) -> dict[str, str]:
    """The user's entries and ours; on equal keys ours win."""
    return {**(user or {}), **ours}


def with_strings(metadata: JSON, label_map: Mapping[str, str], annotation_map: Mapping[str, str]) -> JSON:
    """Metadata with its labels and annotations set, or left out where both are empty."""
    out = {key: value for key, value in metadata.items() if key not in ("labels", "annotations")}
    if label_map:
        out["labels"] = dict(label_map)
    if annotation_map:
        out["annotations"] = dict(annotation_map)
    return out


def inherited_annotations(lws: LeaderWorkerSet) -> dict[str, str]:
    """The set's annotations as its StatefulSets carry them: no record of kubectl's, policies, counts (CD-08, ND-12)."""
    return {
        key: value
        for key, value in (lws.metadata.annotations or {}).items()
        if key not in _NOT_INHERITED and not key.startswith(policykeys.PREFIX)
    }


def inherited_labels(lws: LeaderWorkerSet) -> dict[str, str]:
    """The set's labels as its leader StatefulSet carries them: without keys that name a group (CD-19)."""
    return {
        key: value
        for key, value in (lws.metadata.labels or {}).items()
        if key not in _RESERVED and not key.startswith(_RESERVED_PREFIX)
    }


def of_leader_object(lws: LeaderWorkerSet, key: str) -> JSON:
    """The metadata of what makes the leaders, StatefulSet or Deployment (spec 5.3, next 3.3)."""
    meta = lws.metadata
    return with_strings(
        {"name": meta.name, "namespace": meta.namespace, "ownerReferences": owned_by_set(lws)},
        merged(
            inherited_labels(lws),
            {labels.NAME: meta.name, labels.REVISION: key, labels.ROLE: labels.ROLE_LEADER},
        ),
        merged(inherited_annotations(lws), {labels.REPLICAS: str(lws.spec.replicas)}),
    )


def owner(api_version: str, kind: str, meta: ObjectMeta) -> JSON:
    """An owner reference as every object of ours has it: controller, and blocking (spec 1.1)."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": meta.name,
        "uid": meta.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def owned_by_set(lws: LeaderWorkerSet) -> list[JSON]:
    """Owner references of what belongs to the set."""
    return [owner(LEADERWORKERSETS.api_version, LEADERWORKERSETS.kind, lws.metadata)]


def owned_by_pod(leader: Pod) -> list[JSON]:
    """Owner references of what belongs to a leader pod."""
    return [owner("v1", "Pod", leader.metadata)]


def topology_annotations(live: LeaderWorkerSet, policy: SubGroupPolicy | None) -> dict[str, str]:
    """Topology and subgroup annotations of a pod template (spec 1.3).

    Topology comes from the live set, the subgroup policy from the spec that the template belongs to.
    """
    out = {}
    exclusive = live.metadata.annotation(labels.EXCLUSIVE_TOPOLOGY)
    if exclusive:
        out[labels.EXCLUSIVE_TOPOLOGY] = exclusive
    if policy is not None and policy.sub_group_size is not None:
        out[labels.SUBGROUP_POLICY_TYPE] = policy.sub_group_policy_type
        out[labels.SUBGROUP_SIZE] = str(policy.sub_group_size)
        subgroup = live.metadata.annotation(labels.SUBGROUP_EXCLUSIVE_TOPOLOGY)
        if subgroup:
            out[labels.SUBGROUP_EXCLUSIVE_TOPOLOGY] = subgroup
    return out
