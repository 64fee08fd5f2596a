"""What admission makes of a pod of a LeaderWorkerSet (spec 4): identity, placement, gang, environment.

Everything is decided from the pod alone: its name, labels and annotations; a group that is known by a key gets that by
chance (next 3.4). A pod of another kind passes unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final, TypeAlias

import msgspec

from lws.api.leaderworkerset import gangs, hashleaders, scheduling
from lws.api.leaderworkerset import labels as keys
from lws.api.leaderworkerset.affinity import with_avoided_hosts, with_exclusive_terms
from lws.api.leaderworkerset.environment import with_group_variables
from lws.api.leaderworkerset.groupkeys import group_key, subgroup_key
from lws.api.leaderworkerset.tpu import with_tpu_variables
from lws.apimachinery.integers import atoi
from lws.apimachinery.manifests import (
    JSON,
    annotations_of,
    labels_of,
    name_of,
    namespace_of,
    with_annotations,
    with_labels,
    with_spec,
)
from lws.apimachinery.names import parent_and_ordinal
from lws.errors import AdmissionError

LEADER_EXCLUDED: Final = "LeaderExcluded"
UNIQUE_PER_REPLICA: Final = "UniquePerReplica"
NO_ORDINAL: Final = -1

Avoided: TypeAlias = Callable[[JSON], Sequence[str]]


def nowhere(_: JSON) -> Sequence[str]:
    """No host is to be avoided."""
    return ()


class MalformedPodError(AdmissionError):
    """A member of the pod that admission reads has not the type that the API gives it."""


def mutate_pod(
    pod: JSON,
    *,
    gang: Collection[str],
    draw: Callable[[], str] | None = None,
    typed: bool = False,
    avoided: Avoided = nowhere,
) -> JSON:
    """The pod as it is to be stored; the one given is never altered.

    Args:
        pod: the manifest under review.
        gang: names of the schedulers that start gangs (spec 4.5); none without gang scheduling.
        typed: whether pods join their PodGroups of ``scheduling.k8s.io`` (next 7.6).
        avoided: tells which hosts the pod had better avoid, once its place in its group is known (resilience 6.5).
        draw: gives `hashleaders.DRAWN` characters of chance; asked for a group's new key only.

    Raises:
        MalformedPodError: the manifest is no pod.
        AdmissionError: the pod's place in its group cannot be told; the text is the one of spec 4.
    """
    _check_shape(pod)
    if keys.NAME not in labels_of(pod):
        return pod
    size = _group_size(pod)
    leads = labels_of(pod).get(keys.WORKER_INDEX) == keys.LEADER_INDEX
    placed = _in_gang(_leader(pod, draw), gang) if leads else _worker(pod, size)
    placed = with_avoided_hosts(_in_pod_group(placed) if typed else placed, avoided(placed))
    try:
        placed = with_tpu_variables(placed, size)
    except ValueError as error:  # a malformed quantity
        raise MalformedPodError(f"quantity of {keys.TPU_RESOURCE}: {error}") from error
    return with_group_variables(placed)


def _group_size(pod: JSON) -> int:
    size = annotations_of(pod).get(keys.SIZE)
    if size is None:
        raise AdmissionError(f"size annotation is unexpectedly missing for pod {name_of(pod)}")
    return atoi(size)


def _ordinal(pod: JSON) -> int:
    ordinal = parent_and_ordinal(name_of(pod))[1]
    if ordinal == NO_ORDINAL:
        raise AdmissionError(f"parsing pod ordinal for pod {name_of(pod)}")
    return ordinal


def _leader(pod: JSON, draw: Callable[[], str] | None) -> JSON:
    """Spec 4.2, with next 3.4."""
    hashed = hashleaders.is_hashed(pod)
    pod = _hash_identity(pod, draw) if hashed else _ordinal_identity(pod)
    marks, group = annotations_of(pod), labels_of(pod)[keys.GROUP_KEY]
    pod = with_exclusive_terms(pod, marks.get(keys.EXCLUSIVE_TOPOLOGY, ""), keys.GROUP_KEY, group)
    if _wants_subgroup(pod) and marks.get(keys.SUBGROUP_POLICY_TYPE) != LEADER_EXCLUDED:
        pod = _in_subgroup(pod, group if hashed else name_of(pod), 0)
    return hashleaders.gated(pod) if hashed else pod


def _hash_identity(pod: JSON, draw: Callable[[], str] | None) -> JSON:
    return hashleaders.identified(pod, draw() if draw is not None and hashleaders.lacks_key(pod) else "")


def _ordinal_identity(pod: JSON) -> JSON:
    if keys.GROUP_INDEX not in labels_of(pod):
        pod = with_labels(pod, {keys.GROUP_INDEX: str(_ordinal(pod))})
    if annotations_of(pod).get(keys.SUBDOMAIN_POLICY) == UNIQUE_PER_REPLICA:
        pod = with_spec(pod, {"subdomain": name_of(pod)})
    if keys.GROUP_KEY in labels_of(pod):
        return pod
    return with_labels(pod, {keys.GROUP_KEY: group_key(namespace_of(pod), name_of(pod))})


def _worker(pod: JSON, size: int) -> JSON:
    """Spec 4.3."""
    ordinal = _ordinal(pod)
    pod = with_labels(pod, {keys.WORKER_INDEX: str(ordinal)})
    if _wants_subgroup(pod):
        marks = annotations_of(pod)
        index = _subgroup_index(pod, size, atoi(marks[keys.SUBGROUP_SIZE]), ordinal)
        hashed = hashleaders.is_hashed(pod)
        group = labels_of(pod).get(keys.GROUP_KEY, "") if hashed else marks.get(keys.LEADER_NAME, "")
        pod = _in_subgroup(pod, group, index)
    return pod


def _wants_subgroup(pod: JSON) -> bool:
    return keys.SUBGROUP_SIZE in annotations_of(pod) and not labels_of(pod).get(keys.SUBGROUP_INDEX)


def _subgroup_index(pod: JSON, size: int, subgroup_size: int, ordinal: int) -> int:
    if subgroup_size < 1:
        raise AdmissionError(f"subgroup size must be at least 1 for pod {name_of(pod)}")
    leader_is_extra = (size - 1) % subgroup_size == 0 and size % subgroup_size != 0
    # Ordinal 0 is no worker's, but must not give a negative index if it comes.
    return max(0, ordinal - 1) // subgroup_size if leader_is_extra else ordinal // subgroup_size


def _in_subgroup(pod: JSON, group: str, index: int) -> JSON:
    key = subgroup_key(group, index)
    pod = with_labels(pod, {keys.SUBGROUP_INDEX: str(index), keys.SUBGROUP_KEY: key})
    topology = annotations_of(pod).get(keys.SUBGROUP_EXCLUSIVE_TOPOLOGY, "")
    return with_exclusive_terms(pod, topology, keys.SUBGROUP_KEY, key)


def _in_gang(leader: JSON, schedulers: Collection[str]) -> JSON:
    """Spec 4.5; workers have the mark from their template, if they are members (CD-33)."""
    own = gangs.group_name(labels_of(leader))
    mark = annotations_of(leader).get(keys.POD_GROUP_NAME)
    ganged = gangs.is_ganged((leader.get("spec") or {}).get("schedulerName"), schedulers)
    return with_annotations(leader, {keys.POD_GROUP_NAME: own}) if ganged and gangs.may_be_marked(mark, own) else leader


def _in_pod_group(pod: JSON) -> JSON:
    """Pods of other schedulers are in none (ND-28)."""
    try:
        name = scheduling.group_of_pod(labels_of(pod), annotations_of(pod))
    except ValueError as error:
        raise AdmissionError(str(error)) from error
    placed = ((pod.get("spec") or {}).get("schedulerName") or "") in scheduling.SCHEDULERS
    return with_spec(pod, {"schedulingGroup": {"podGroupName": name}}) if name and placed else pod


class _Loose(msgspec.Struct, rename="camel"):
    """Members that the mutation reads, by type; others may be anything."""


class _Env(_Loose):
    name: str | None = None
    value: str | None = None


class _Resources(_Loose):
    limits: dict[str, str | int | float | None] | None = None
    requests: dict[str, str | int | float | None] | None = None


class _Container(_Loose):
    env: list[_Env] | None = None
    resources: _Resources | None = None


class _Term(_Loose):
    topology_key: str | None = None


class _Terms(_Loose):
    required: list[_Term] | None = msgspec.field(default=None, name="requiredDuringSchedulingIgnoredDuringExecution")


class _NodeAffinity(_Loose):
    preferred: list[Any] | None = msgspec.field(default=None, name="preferredDuringSchedulingIgnoredDuringExecution")


class _Affinity(_Loose):
    node_affinity: _NodeAffinity | None = None
    pod_affinity: _Terms | None = None
    pod_anti_affinity: _Terms | None = None


class _Gate(_Loose):
    name: str | None = None


class _Spec(_Loose):
    hostname: str | None = None
    scheduling_gates: list[_Gate] | None = None
    subdomain: str | None = None
    scheduler_name: str | None = None
    affinity: _Affinity | None = None
    containers: list[_Container] | None = None
    init_containers: list[_Container] | None = None


class _Metadata(_Loose):
    name: str | None = None
    namespace: str | None = None
    labels: dict[str, str | None] | None = None
    annotations: dict[str, str | None] | None = None


class _Pod(_Loose):
    metadata: _Metadata | None = None
    spec: _Spec | None = None


def _check_shape(pod: Any) -> None:
    try:
        msgspec.convert(pod, _Pod)
    except msgspec.ValidationError as error:
        raise MalformedPodError(f"no pod: {error}") from error
