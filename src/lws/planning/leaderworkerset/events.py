"""The events about a LeaderWorkerSet, byte for byte (spec 12)."""

from __future__ import annotations

from typing import Final
from zlib import crc32

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import EmitEvent, Fold, Reference
from lws.apimachinery.durations import format_duration
from lws.apimachinery.names import parent_and_ordinal
from lws.planning.leaderworkerset.nodes import NOT_RELEASED

CREATING_REVISION = "CreatingRevision"
GROUPS_PROGRESSING = "GroupsProgressing"
GROUPS_UPDATING = "GroupsUpdating"
ALL_GROUPS_READY = "AllGroupsReady"
FAILED_CREATE = "FailedCreate"
FAILED_UPDATE = "FailedUpdate"
RECREATE_GROUP = "RecreateGroup"
NAME_TOO_LONG = "NameTooLong"
ROLLOUT_WAITING = "RolloutWaiting"
UNADMITTED = "Unadmitted"
LOST_LABEL = "LostLabel"
GROUP_FAILED = "GroupFailed"
RESTART_BUDGET_EXCEEDED = "ReplicaRestartBudgetExceeded"
INVALID_RESTART_COUNTS = "InvalidGroupRestartCounts"
REPLACEMENT_DEFERRED = "GroupReplacementDeferred"
REPLACEMENT_ADMITTED = "GroupReplacementAdmitted"
GROUP_BACK_OFF = "GroupBackOff"
GROUP_HEALING = "GroupHealing"
GROUP_HEALED = "GroupHealed"
INVALID_POLICY = "InvalidPolicy"
ROLLOUT_STALLED = "RolloutStalled"
ROLLED_BACK = "RolledBack"
ROLL_BACK_REFUSED = "RollBackRefused"
WORKERS_SCALED = "WorkersScaled"
SURGE_UNSCHEDULABLE = "SurgeUnschedulable"
EVACUATE_GROUP = "EvacuateGroup"
NO_ROOM = "NoRoomToEvacuate"
LEFT_ON_NODE = "LeftOnNode"
DRAIN_BLOCKED = "DrainBlocked"
BUDGET_WITHHELD = "DisruptionBudgetWithheld"
RELEASED = "ReleasedFromLostNode"

CREATE = "Create"
UPDATE = "Update"
DELETE = "Delete"

STATEFULSET = "statefulset"
DEPLOYMENT = "deployment"

SINGLE_STEPS: Final = 6  # steps of a rollout within a minute that have an event each (CD-83)
SINGLE_GROUPS: Final = 2  # groups of a set within a minute, likewise


def revision_created(key: str, revision: Reference) -> EmitEvent:
    """Event 1: the first revision of a set."""
    note = f"Creating revision with key {key} for a newly created LeaderWorkerSet"
    return EmitEvent("Normal", CREATING_REVISION, CREATE, note, revision)


def revision_adopted(key: str, revision: Reference) -> EmitEvent:
    """Event 2: the leader StatefulSet's key had no revision."""
    note = f"Creating missing revision with key {key} for existing LeaderWorkerSet"
    return EmitEvent("Normal", CREATING_REVISION, CREATE, note, revision)


def revision_updated(key: str, revision: Reference) -> EmitEvent:
    """Event 3: the live spec is an update."""
    note = f"Creating revision with key {key} for updated LWS"
    return EmitEvent("Normal", CREATING_REVISION, CREATE, note, revision)


def leader_set_created(name: str, revision: Reference, kind: str = STATEFULSET) -> EmitEvent:
    """Event 4."""
    return EmitEvent("Normal", GROUPS_PROGRESSING, CREATE, f"Created leader {kind} {name}", revision)


def leader_set_failed(
    name: str, *, existed: bool, error: str = "{error}", once: str = "", kind: str = STATEFULSET
) -> EmitEvent:
    """Event 5, or 6 if the object existed."""
    if existed:
        note = f"Failed to update leader {kind} {name}: {error}"
        return EmitEvent("Warning", FAILED_UPDATE, UPDATE, note, once=once)
    return EmitEvent("Warning", FAILED_CREATE, CREATE, f"Failed to create leader {kind} {name}: {error}", once=once)


def partition_fell(old: int, new: int, revision: Reference) -> EmitEvent:
    """Event 7: groups from ``new`` to ``old - 1`` are released."""
    note = f"Updating replica {new}" if old - 1 == new else f"Updating replicas {new} to {old - 1} (inclusive)"
    fold = Fold(GROUPS_UPDATING, new, old - 1, "Updating replicas {low} to {high} (inclusive)", SINGLE_STEPS)
    return EmitEvent("Normal", GROUPS_UPDATING, UPDATE, note, revision, fold=fold)


def surge_deleted(name: str, wanted: int, present: int) -> EmitEvent:
    """Event 8: the StatefulSet shrinks from ``present`` to ``wanted`` replicas."""
    if wanted == present - 1:
        note = f"deleting surge replica {name}-{wanted}"
    else:
        note = f"deleting surge replicas from {name}-{wanted} to {name}-{present - 1}"
    return EmitEvent("Normal", GROUPS_PROGRESSING, DELETE, note)


def service_failed(error: str = "{error}", once: str = "") -> EmitEvent:
    """Event 9."""
    return EmitEvent(
        "Warning", FAILED_CREATE, CREATE, f"Failed to create headless service for error: {error}", once=once
    )


def condition_set(reason: str, message: str, ready: int, total: int) -> EmitEvent:
    """Event 10."""
    note = f"{message}, with {ready} groups ready of total {total} groups"
    return EmitEvent("Normal", reason, UPDATE, note)


def worker_set_created(leader: Reference) -> EmitEvent:
    """Event 11."""
    note = f"Created worker statefulset for leader pod {leader.name}"
    name, index = parent_and_ordinal(leader.name)
    several = f"Created worker statefulsets for {{count}} leader pods, {name}-{{low}} to {name}-{{high}}"
    fold = Fold("worker statefulsets", index, index, several, SINGLE_GROUPS)
    return EmitEvent("Normal", GROUPS_PROGRESSING, CREATE, note, leader, fold=fold)


def worker_set_failed(leader: Reference, error: str = "{error}", once: str = "") -> EmitEvent:
    """Event 12."""
    note = f"Failed to create worker statefulset for leader pod {leader.name}: {error}"
    return EmitEvent("Warning", FAILED_CREATE, CREATE, note, leader, once=once)


def pod_group_failed(leader: Reference, error: str = "{error}") -> EmitEvent:
    """Event 15 (CD-44)."""
    note = f"Failed to create pod group for leader pod {leader.name}: {error}"
    return EmitEvent("Warning", FAILED_CREATE, CREATE, note, leader)


def pod_group_not_updated(leader: Reference, once: str) -> EmitEvent:
    """We may not patch PodGroups; an addition to the reference's events (CD-32)."""
    note = (
        f"Failed to update pod group for leader pod {leader.name}: {{error}}; until the verb patch on podgroups is "
        "granted (config/volcano), groups whose workers wait for their leader may be placed in part, and a corrected "
        "queue takes effect for new groups only"
    )
    return EmitEvent("Warning", FAILED_UPDATE, UPDATE, note, leader, once=f"{once}/{FAILED_UPDATE}/podgroups")


def replacement_deferred(leader: Reference, block: int | str) -> EmitEvent:
    """A leader keeps its gate: for a number of groups, or for the group of an index (next 4.3, ND-03)."""
    what = f"{block} terminating group(s)" if isinstance(block, int) else f"previous group {block} pods"
    note = f"Leader pod {leader.name} waits for {what} to be removed before scheduling"
    once = f"{leader.uid}/{REPLACEMENT_DEFERRED}/{block}"
    return EmitEvent("Normal", REPLACEMENT_DEFERRED, UPDATE, note, leader, once=once)


def replacement_admitted(leader: Reference) -> EmitEvent:
    """A leader loses its gate (next 4.3)."""
    note = f"Leader pod {leader.name} admitted for scheduling"
    return EmitEvent("Normal", REPLACEMENT_ADMITTED, UPDATE, note, leader)


def foreign_worker_set(leader: Reference, error: str, once: str) -> EmitEvent:
    """Somebody else's StatefulSet has the name that a group's workers need (next 3.6 step 14)."""
    return EmitEvent("Warning", FAILED_CREATE, CREATE, error, leader, once=once)


def mistaken_annotation(leader: Reference) -> EmitEvent:
    """Event 13: the cluster ignores StatefulSet start ordinals, so groups would nest endlessly."""
    note = (
        f"leader pod {leader.namespace}/{leader.name} contains mistake annotation '{labels.LEADER_NAME}': "
        "requires Kubernetes ≥v1.27 or v1.26 with StatefulSetStartOrdinal feature"
    )
    return EmitEvent("Warning", FAILED_CREATE, CREATE, note, leader, once=leader.uid)


def name_too_long(note: str, once: str) -> EmitEvent:
    """Groups that can never be whole; an addition to the reference's events (CD-40)."""
    return EmitEvent("Warning", NAME_TOO_LONG, CREATE, note, once=once)


def rollout_waiting(note: str, once: str) -> EmitEvent:
    """A rollout that cannot go on by itself; an addition to the reference's events (CD-48)."""
    return EmitEvent("Warning", ROLLOUT_WAITING, UPDATE, note, once=once)


def unadmitted(note: str, once: str) -> EmitEvent:
    """Pods that no webhook has seen; an addition to the reference's events (CD-49)."""
    return EmitEvent("Warning", UNADMITTED, CREATE, note, once=once)


def restart_budget_exceeded(leader: Reference, group: str) -> EmitEvent:
    """The failure for which no restart is left (next 5.4)."""
    note = f"Restart budget exhausted; terminated group {group} and stopped automatic recovery"
    return EmitEvent("Warning", RESTART_BUDGET_EXCEEDED, DELETE, note, leader)


def invalid_restart_counts(lws: LeaderWorkerSet, error: str) -> EmitEvent:
    """Counts that nothing can be read from; an addition to the reference's events (ND-14)."""
    value = lws.metadata.annotation(labels.GROUP_RESTART_COUNTS) or ""
    once = f"{lws.metadata.uid}/{INVALID_RESTART_COUNTS}/{crc32(value.encode()):08x}"
    note = f"{error}; groups are not recreated until annotation {labels.GROUP_RESTART_COUNTS} is corrected or removed"
    return EmitEvent("Warning", INVALID_RESTART_COUNTS, UPDATE, note, once=once)


def group_failed(group: str, how: str, number: int, culprit: Reference | None, leader_uid: str) -> EmitEvent:
    """Event 20: what failed, and how often the group has failed; 0 for what does not count (resilience 2.2)."""
    counted = f"recreation {number}" if number else "not counted"
    note = f"Group {group} failed: {how}; {counted}"
    return EmitEvent("Warning", GROUP_FAILED, DELETE, note, culprit, once=f"{leader_uid}/{GROUP_FAILED}")


def group_backs_off(group: str, words: str, culprit: Reference | None, leader_uid: str) -> EmitEvent:
    """A group that waits to be recreated; an addition to the reference's events (resilience 3.2)."""
    note = f"Group {group} {words}"
    return EmitEvent("Warning", GROUP_BACK_OFF, DELETE, note, culprit, once=f"{leader_uid}/{GROUP_BACK_OFF}")


def group_healing(group: str, how: str, seconds: float, culprit: Reference | None, once: str) -> EmitEvent:
    """A group that is given time to get over a failure; an addition to the reference's events (resilience 7)."""
    note = f"Group {group} failed: {how}; recreated unless it is ready again in {format_duration(seconds)}"
    return EmitEvent("Warning", GROUP_HEALING, UPDATE, note, culprit, once=f"{once}/{GROUP_HEALING}")


def group_healed(group: str, how: str, seconds: float, culprit: Reference | None, once: str) -> EmitEvent:
    """A group that got over a failure; an addition to the reference's events (resilience 7)."""
    took = f" after {format_duration(float(round(seconds)))}" if seconds >= 1 else ""
    note = f"Group {group} is ready again{took}, and not recreated: {how}"
    return EmitEvent("Normal", GROUP_HEALED, UPDATE, note, culprit, once=f"{once}/{GROUP_HEALED}")


def lost_label(pod: str, uid: str) -> EmitEvent:
    """A member that is there and counts as missing; an addition to the reference's events (resilience 2.3)."""
    note = (
        f"Pod {pod} lost its label {labels.NAME} and counts as missing, but its group is left alone while it is there: "
        "put the label back, or delete the pod"
    )
    return EmitEvent("Warning", LOST_LABEL, UPDATE, note, once=uid)


def invalid_policy(key: str, value: str, why: str, uid: str) -> EmitEvent:
    """An annotation that counts as unset, told once per value (resilience 1.3)."""
    note = f"Annotation {key} is passed over: {value!r} {why}"
    return EmitEvent("Warning", INVALID_POLICY, UPDATE, note, once=f"{uid}/{INVALID_POLICY}/{key}={value}")


def workers_scaled(workers: Reference, found: int, wanted: int) -> EmitEvent:
    """A number of workers that was put back; an addition to the reference's events (resilience 4)."""
    note = f"StatefulSet {workers.name} was scaled to {found} workers; its group has {wanted}, which was put back"
    return EmitEvent("Warning", WORKERS_SCALED, UPDATE, note, workers)


def rollout_stalled(note: str, once: str) -> EmitEvent:
    """A rollout past its deadline; an addition to the reference's events (resilience 5)."""
    return EmitEvent("Warning", ROLLOUT_STALLED, UPDATE, note, once=once)


def rolled_back(bad: str, good: str, revision: Reference) -> EmitEvent:
    """The earlier revision's template was written back; an addition to the reference's events (resilience 5)."""
    note = f"The rollout of revision {bad} stalled: the template of revision {good} was written back"
    return EmitEvent("Warning", ROLLED_BACK, UPDATE, note, revision)


def roll_back_refused(bad: str, good: str, revision: Reference) -> EmitEvent:
    """The earlier revision's template is not admitted; an addition to the reference's events (resilience 5)."""
    note = f"The rollout of revision {bad} stalled, and the template of revision {good} is refused: {{error}}"
    return EmitEvent("Warning", ROLL_BACK_REFUSED, UPDATE, note, revision)


def surge_unschedulable(once: str) -> EmitEvent:
    """Surge without capacity; an addition to the reference's events (resilience 5)."""
    note = "Groups of the new revision find no room: groups are taken down one by one, as if maxUnavailable were 1"
    return EmitEvent("Warning", SURGE_UNSCHEDULABLE, UPDATE, note, once=once)


def group_made_in_advance(groups: str, nodes: str, once: str) -> EmitEvent:
    """A move begins; an addition to the reference's events (resilience 6.3)."""
    note = f"Nodes to be emptied: {nodes}. {groups} is moved once an extra group is ready"
    return EmitEvent("Normal", EVACUATE_GROUP, CREATE, note, once=once)


def group_moved(group: str, nodes: str, pods: str, leader: Reference) -> EmitEvent:
    """Pods of a group are deleted for the sake of their nodes; likewise (resilience 6.3, 6.4)."""
    note = f"Nodes to be emptied: {nodes}. Deleted {pods} to move group {group}"
    return EmitEvent("Normal", EVACUATE_GROUP, DELETE, note, leader)


def no_room_to_evacuate(group: str, why: str, then: str, once: str) -> EmitEvent:
    """A move for which there is no room; likewise (resilience 6.3)."""
    note = f"Group {group} cannot be moved: {why}; {then}"
    return EmitEvent("Warning", NO_ROOM, UPDATE, note, once=once)


def left_on_node(pod: Reference, node: str) -> EmitEvent:
    """A pod that somebody placed on a node that was to be emptied; likewise (resilience 6.3)."""
    note = f"Pod {pod.name} came to node {node} after that was to be emptied for a minute, and is left there"
    return EmitEvent("Warning", LEFT_ON_NODE, UPDATE, note, pod, once=f"{pod.uid}/{LEFT_ON_NODE}")


def drain_blocked(pod: Reference, node: str, name: str, group: str) -> EmitEvent:
    """A pod that is kept as evidence keeps its node from being emptied; likewise (resilience 6.4)."""
    note = (
        f"Pod {pod.name} of group {group}, whose restart budget is exhausted, is kept on node {node} and blocks its "
        f"drain: `kubectl lws restart {name} --group {group}` recreates the group"
    )
    return EmitEvent("Warning", DRAIN_BLOCKED, UPDATE, note, pod, once=f"{pod.uid}/{DRAIN_BLOCKED}")


def budget_withheld(why: str, uid: str) -> EmitEvent:
    """The closed budget is not there though the set asks for it; likewise (resilience 6.4)."""
    note = f"No closed PodDisruptionBudget is kept, so that a drain may evict pods of several groups at once: {why}"
    return EmitEvent(
        "Warning", BUDGET_WITHHELD, CREATE, note, once=f"{uid}/{BUDGET_WITHHELD}/{crc32(why.encode()):08x}"
    )


def released(pod: Reference, node: str, since: str) -> EmitEvent:
    """A pod that was let go from a lost node; an addition to the reference's events (resilience 6.2)."""
    note = f"Pod {pod.name} was deleted without waiting for node {node}, of which nothing has been heard since {since}"
    return EmitEvent("Warning", RELEASED, DELETE, note, pod)


def not_released(pod: Reference, node: str, why: str, rule: str) -> EmitEvent:
    """A pod that stays on a lost node, told once per rule that forbids its release (resilience 6.2)."""
    note = f"Pod {pod.name} is not released from lost node {node}: {why}"
    return EmitEvent("Warning", NOT_RELEASED, DELETE, note, pod, once=f"{pod.uid}/{NOT_RELEASED}/{rule}")


def group_recreated(failed_pod: str, leader: Reference, group: str) -> EmitEvent:
    """Event 14. It says "Worker" even if the leader itself failed."""
    note = f"Worker pod {failed_pod} failed, deleted leader pod {leader.name} to recreate group {group}"
    return EmitEvent("Normal", RECREATE_GROUP, DELETE, note, leader)
