"""The state of a group: leader pod plus worker StatefulSet (spec 7.2, next 3, CD-04, CD-06, CD-19, CD-22, CD-24)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import ControllerRevision, Deployment, Pod, StatefulSet, controlled_by
from lws.apimachinery.integers import natural
from lws.apimachinery.names import parent_and_ordinal

HASH = "Hash"  # `lws.api.leaderworkerset.types.HASH`, without the models, for `kubectl lws`

if TYPE_CHECKING:
    from lws.api.leaderworkerset.types import LeaderWorkerSet
    from lws.planning.leaderworkerset.revisions import Contents


_KEY_DIGITS = 40  # of a group key, which groups with identity Hash have for an index


@dataclass(frozen=True, slots=True)
class GroupState:
    """What a rollout needs to know of a group.

    Attributes:
        present: its leader is there and, if it has workers, their StatefulSet.
        ready: it is present and all of it is ready.
        updated: it is present and all of it is of the current revision.
        waiting: its leader is there and no node for it: held by a scheduling gate, or unschedulable.
    """

    present: bool = False
    ready: bool = False
    updated: bool = False
    waiting: bool = False

    @property
    def good(self) -> bool:
        """Ready and of the current revision."""
        return self.ready and self.updated

    @property
    def outdated(self) -> bool:
        """Ready, and of another revision: what a rollout takes down."""
        return self.ready and not self.updated

    @property
    def free(self) -> bool:
        """Whether replacing it takes down nothing that runs or will run by itself: of another revision, and waiting."""
        return self.waiting and not self.updated


ABSENT = GroupState()


def pod_ready(pod: Pod) -> bool:
    """Whether the pod's Ready condition is True; its phase is not looked at (spec 5.5 step 10)."""
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions or ())


def containers_ready(pod: Pod) -> bool:
    """Whether the pod's ContainersReady condition is True, whatever its readiness gates say."""
    return any(c.type == "ContainersReady" and c.status == "True" for c in pod.status.conditions or ())


def running_and_ready(pod: Pod) -> bool:
    """Phase Running and condition Ready True."""
    return pod.status.phase == "Running" and pod_ready(pod)


def marked(leader: Pod) -> bool:
    """Whether this leader's group has exhausted its restart budget (next 5.3)."""
    return leader.metadata.annotation(labels.RESTART_BUDGET_EXHAUSTED) == "true"


def waiting_for_room(pod: Pod) -> bool:
    """Whether the pod is held by a scheduling gate, or found no node."""
    waits = ("SchedulingGated", "Unschedulable")
    conditions = pod.status.conditions or ()
    return any(each.type == "PodScheduled" and each.status == "False" and each.reason in waits for each in conditions)


def workers_ready(statefulset: StatefulSet) -> bool:
    """All replicas available and of one revision, and as many of them as the group wants (CD-39)."""
    status = statefulset.status
    wanted = 1 if statefulset.spec.replicas is None else statefulset.spec.replicas
    return (
        not workers_scaled(statefulset)
        and status.available_replicas == wanted
        and status.current_revision == status.update_revision
    )


def workers_scaled(statefulset: StatefulSet) -> bool:
    """Whether somebody changed the number of workers: it is not what the size in its own template makes it.

    The set's size does not come in: StatefulSets of older releases may differ from it, and are kept (spec 5.6).
    """
    wanted, replicas = workers_wanted(statefulset), statefulset.spec.replicas
    return wanted is not None and replicas is not None and replicas != wanted


def workers_wanted(statefulset: StatefulSet) -> int | None:
    """How many workers the size in its own template makes; None if that does not tell."""
    annotations = statefulset.spec.template.metadata.annotations
    size = None if annotations is None else natural(annotations.size, lowest=1)
    return None if size is None else size - 1


def revision_key(obj: Pod | StatefulSet | Deployment) -> str:
    """The revision key that an object carries; empty if it carries none."""
    return obj.metadata.label(labels.REVISION)


def is_leader(pod: Pod) -> bool:
    """Whether the pod leads a group: its worker index is exactly ``0`` (spec 4.1).

    A pod that is named like a worker is none, whatever was written into its label (L5).
    """
    meta = pod.metadata
    if meta.label(labels.WORKER_INDEX) != labels.LEADER_INDEX:
        return False
    leader_name = meta.annotation(labels.LEADER_NAME)
    if not leader_name:
        return True
    parent, ordinal = parent_and_ordinal(meta.name)
    if is_hashed(pod):
        return meta.controller is None or meta.controller.name != parent or ordinal < 1
    return parent != leader_name or ordinal < 1


def is_hashed(pod: Pod) -> bool:
    """Whether the pod's group is known by a key and not by an index (next 3)."""
    return pod.metadata.annotation(labels.GROUP_IDENTITY) == HASH


def gated(pod: Pod) -> bool:
    """Whether the pod carries our gate."""
    return any(gate.name == labels.REPLACEMENT_GATE for gate in pod.spec.scheduling_gates or ())


def lives(leader: Pod) -> bool:
    """Whether a group has this leader still: it is not being deleted."""
    return not leader.metadata.deleting


def leads(leader: Pod) -> bool:
    """Whether it lives and its group is not about to be terminated for good (next 4.2)."""
    return lives(leader) and not marked(leader)


def group_of(pod: Pod) -> str:
    """The group of a pod of a set: its label, else what it is named after."""
    meta = pod.metadata
    owner = meta.controller
    return meta.label(labels.GROUP_INDEX) or (meta.name if is_leader(pod) or owner is None else owner.name)


def passing(pod: Pod) -> bool:
    """Whether the pod goes when its group does: somebody controls it, or deletes it (ND-22)."""
    return pod.metadata.deleting or pod.metadata.controller is not None


def terminating_groups(pods: Iterable[Pod]) -> int:
    """How many of the groups of these pods, all of a set, have no leader that lives (T of next 4.2).

    A pod that was let go by what made it stays for good; nobody waits for that one.
    """
    groups: dict[str, bool] = {}
    for pod in filter(passing, pods):
        group = group_of(pod)
        groups[group] = groups.get(group, False) or (is_leader(pod) and leads(pod))
    return sum(not led for led in groups.values())


def base_name(leader: Pod, workers: StatefulSet | None = None) -> str:
    """What the worker StatefulSet of this leader is named, and its workers before their ordinals.

    By key it is the leader's host name. One that has another, as an older release named it, keeps it (ND-04).
    """
    if not is_hashed(leader):
        return leader.metadata.name
    if workers is not None and controlled_by(workers.metadata, leader):
        return workers.metadata.name
    return leader.spec.hostname or leader.metadata.name


def leaders_by_number(leaders: Iterable[Pod]) -> dict[int, Pod]:
    """The leaders that are known by a key, ending ones included, by a number that stays theirs: its first digits."""
    return {_number(leader, at): leader for at, leader in enumerate(filter(is_hashed, leaders))}


def _number(leader: Pod, at: int) -> int:
    try:
        return int(leader.metadata.label(labels.GROUP_KEY)[:8], 16)
    except ValueError:
        return at  # admitted without the webhook


def workers_of(leader: Pod, statefulsets: Mapping[str, StatefulSet]) -> StatefulSet | None:
    """The StatefulSet that has the name of this leader's workers, whoever owns it."""
    if is_hashed(leader):
        named = statefulsets.get(leader.metadata.name)
        if named is not None and controlled_by(named.metadata, leader):
            return named
    return statefulsets.get(base_name(leader))


def group_index(leader: Pod, set_name: str) -> int | None:
    """The index of a leader's group: its label, else the ordinal of its name, else None (CD-24)."""
    index = natural(leader.metadata.label(labels.GROUP_INDEX))
    if index is not None:
        return index
    parent, ordinal = parent_and_ordinal(leader.metadata.name)
    return ordinal if parent == set_name and ordinal >= 0 else None


def group_name(leader: Pod) -> str:
    """How status and events name a leader's group: by its index, or the beginning of its key (resilience 1.6)."""
    return shown_group(leader.metadata.label(labels.GROUP_INDEX))


def shown_group(index: str) -> str:
    """A group's index as it is shown; of a key its beginning."""
    return index[:8] if len(index) == _KEY_DIGITS else index


def size_of(
    leader: Pod, lws: LeaderWorkerSet, revisions: Iterable[ControllerRevision], contents: Contents | None = None
) -> int:
    """How many pods the group of this leader has (CD-04).

    The size annotation of the leader, which was set together with its key; else its revision's; else the live one.
    """
    from lws.planning.leaderworkerset.revisions import find_by_key, revision_spec  # the model: not for `kubectl lws`

    size = natural(leader.metadata.annotation(labels.SIZE), lowest=1)
    if size is not None:
        return size
    revision = find_by_key(lws, revisions, revision_key(leader))
    source = lws if revision is None else revision_spec(lws, revision, contents)
    return source.spec.leader_worker_template.size


def own_leaders(leaders: Iterable[Pod], statefulset: StatefulSet | None) -> tuple[Pod, ...]:
    """The leaders that count: not ending, and not left behind by an earlier leader StatefulSet (CD-30).

    One without a controller counts, for the present StatefulSet will adopt it.
    """
    if statefulset is None:
        return ()
    uids = (None, statefulset.metadata.uid)
    return tuple(pod for pod in leaders if not pod.metadata.deleting and _controller_uid(pod) in uids)


def _controller_uid(pod: Pod) -> str | None:
    return None if pod.metadata.controller is None else pod.metadata.controller.uid


def leaders_by_index(leaders: Iterable[Pod], set_name: str) -> dict[int, Pod]:
    """The leader pods that bear the name of their index; others are nobody's leader."""
    found = {}
    for pod in leaders:
        index = group_index(pod, set_name)
        if index is not None and pod.metadata.name == f"{set_name}-{index}":
            found[index] = pod
    return found


def state_of(leader: Pod, size: int, workers: StatefulSet | None, key: str) -> GroupState:
    """The state of the group that this leader leads.

    ``workers`` is what `workers_of` finds; it counts only if its controller is this leader (CD-22).
    """
    waiting = waiting_for_room(leader)
    if size == 1:
        return GroupState(True, running_and_ready(leader), revision_key(leader) == key, waiting)
    if workers is None or not controlled_by(workers.metadata, leader):
        return GroupState(waiting=waiting and revision_key(leader) != key)
    return GroupState(
        present=True,
        ready=running_and_ready(leader) and workers_ready(workers),
        updated=revision_key(leader) == key and revision_key(workers) == key,
        waiting=waiting,
    )


def states(
    key: str,
    lws: LeaderWorkerSet,
    leaders: Iterable[Pod],
    statefulsets: Mapping[str, StatefulSet],
    revisions: Sequence[ControllerRevision],
    contents: Contents | None = None,
    waiting: Collection[str] = (),
) -> dict[int, GroupState]:
    """States of the groups that have a leader, by index (spec 7.2); every other group is `ABSENT`.

    So the cost follows the leaders that exist, and not the number of them that somebody asked for. Groups whose leaders
    are ``waiting`` to be recreated are not ready (resilience 3.2).
    """
    found = {
        index: state_of(leader, size_of(leader, lws, revisions, contents), statefulsets.get(leader.metadata.name), key)
        for index, leader in leaders_by_index(leaders, lws.metadata.name).items()
    }
    held = {index for index in found if f"{lws.metadata.name}-{index}" in waiting}
    return {index: replace(state, ready=False) if index in held else state for index, state in found.items()}
