"""Workload and PodGroups of ``scheduling.k8s.io``: what must be there before pods are (next 7.4, 7.5).

One planner makes them for every level and identity. A Workload comes first, alone: its PodGroups name it by UID, and
the event of its creation brings the pass that makes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from lws.api.leaderworkerset import labels, scheduling
from lws.api.leaderworkerset.objects import Pod, SchedulingPodGroup, Workload
from lws.api.leaderworkerset.resources import LEADERWORKERSETS, SCHEDULING_PODGROUPS, WORKLOADS
from lws.api.leaderworkerset.scheduling import LEADER, LWS, REPLICA, ROLE, WORKER
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.api.rules import member
from lws.apimachinery.actions import Action, Create, Delete, EmitEvent, Patch, Reference
from lws.apimachinery.conditions import Wanted
from lws.apimachinery.integers import natural
from lws.apimachinery.manifests import JSON
from lws.apimachinery.objects import ObjectMeta
from lws.planning.leaderworkerset.groups import lives, revision_key
from lws.planning.leaderworkerset.metadata import owned_by_set

CREATED: Final = "WorkloadSchedulingCreated"
REMEDY: Final = f"see condition {CREATED} of the set, and spec.scheduling"
READY: Final = ("SchedulingPrerequisitesCreated", "scheduling prerequisites created")
API_NOT_AVAILABLE: Final = "APINotAvailable"
UNSUPPORTED: Final = "UnsupportedProviderCapability"
INVALID: Final = "InvalidSchedulingConfiguration"
WORKLOAD_FAILED: Final = "WorkloadCreateFailed"
POD_GROUP_FAILED: Final = "PodGroupCreateFailed"
CLEANUP_BLOCKED: Final = "PodGroupCleanupBlocked"
LONGEST_MESSAGE: Final = 1024  # bytes of a condition's message (ND-17)
_NOT_COMPARED: Final = ("priority", "preemptionPolicy")  # what others may fill in


@dataclass(frozen=True, slots=True)
class Seen:
    """What there is of typed scheduling.

    Attributes:
        supported: whether a provider of the Workload API is configured.
        unavailable: why the API server has no Workloads or PodGroups for us; empty if it has.
        workloads: those with the set's label.
        groups: PodGroups with the set's label, by name.
        in_use: names of PodGroups that pods of the namespace name.
    """

    supported: bool = False
    unavailable: str = ""
    workloads: tuple[Workload, ...] = ()
    groups: Mapping[str, SchedulingPodGroup] = field(default_factory=dict)
    in_use: frozenset[str] = frozenset()


NOTHING_SEEN: Final = Seen()


@dataclass(frozen=True, slots=True)
class Problem:
    """Why pods of the set cannot be made: reason of the condition and of the event, and its words."""

    reason: str
    message: str

    @property
    def event(self) -> EmitEvent:
        """Tells of it, once for the same words (ND-17)."""
        return EmitEvent("Warning", self.reason, "Reconcile", self.message, once=f"{self.reason}/{self.message}")


@dataclass(frozen=True, slots=True)
class Prerequisites:
    """What is to be done before pods are made.

    Attributes:
        actions: in this order.
        problem: why the rest of the pass is not to be done.
        complete: whether it may be, once the actions have succeeded.
    """

    actions: tuple[Action, ...] = ()
    problem: Problem | None = None
    complete: bool = True


def condition(problem: Problem | None) -> Wanted:
    """What the set's condition is to say (next 7.5)."""
    if problem is None:
        return Wanted(CREATED, *READY)
    message = problem.message.encode()[:LONGEST_MESSAGE].decode(errors="ignore")
    return Wanted(CREATED, problem.reason, message, "False")


class _DriftError(Exception):
    """Something is not as wanted, and cannot be changed."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.problem = Problem(reason, message)


def plan(
    lws: LeaderWorkerSet, section: JSON, seen: Seen, leaders: tuple[Pod, ...], key: str, groups: int
) -> Prerequisites:
    """The Workload, then the PodGroups of a set; nothing for a set that asks for nothing of the kind.

    Args:
        lws: the set.
        section: normal form of its ``leaderWorkerTemplate``.
        seen: what there is.
        leaders: every leader pod of it.
        key: the revision of the groups that are to be made.
        groups: how many of them are made by index, from 0 on; none for groups that are known by a key.
    """
    level = scheduling.level_of(lws.raw_spec)
    if not level:
        return Prerequisites()
    try:
        _check(seen, section)
        workload = _own_workload(lws, seen)
        if workload is None:
            return Prerequisites((_create_workload(lws),), complete=False)
        actions: list[Action] = [*_workload_follows(lws, workload)]
        wanted = _wanted(lws, workload, level, leaders, key, groups)
        for name, body in wanted.items():
            actions += _pod_group(lws, level, seen.groups.get(name), body)
        actions += _unused(lws, seen, wanted)
        return Prerequisites(tuple(actions))
    except _DriftError as error:
        return Prerequisites(problem=error.problem)


def groups_of(leader: Pod) -> tuple[str, ...]:
    """The PodGroups without which a gated leader and its workers would find no place."""
    notes = leader.metadata.annotations or {}
    level, workload = notes.get(labels.SCHEDULING_LEVEL, ""), notes.get(labels.WORKLOAD_NAME, "")
    if level not in (LWS, REPLICA, ROLE) or not workload:
        return ()
    index, key = leader.metadata.label(labels.GROUP_INDEX), revision_key(leader)
    roles = (LEADER, WORKER) if level == ROLE else ("",)
    return tuple(scheduling.pod_group_name(workload, level, index, key, role) for role in roles)


def _check(seen: Seen, section: JSON) -> None:
    if not seen.supported:
        raise _DriftError(UNSUPPORTED, "spec.scheduling requires a configured scheduler provider")
    if seen.unavailable:
        raise _DriftError(API_NOT_AVAILABLE, seen.unavailable)
    if not scheduling.is_placed(section):
        why = "spec.scheduling is for pods of the default scheduler: a template names another in schedulerName"
        raise _DriftError(UNSUPPORTED, why)


def _own_workload(lws: LeaderWorkerSet, seen: Seen) -> Workload | None:
    meta, name = lws.metadata, scheduling.workload_name(lws.metadata.name, lws.metadata.uid)
    own = [each for each in seen.workloads if _is_ours(lws, each)]
    where = f"{meta.namespace}/{meta.name}"
    if len(own) > 1:
        why = f'multiple Workloads are controlled by LeaderWorkerSet {where} UID "{meta.uid}"'
        raise _DriftError(INVALID, why)
    if own and own[0].metadata.name != name:
        found = f"{meta.namespace}/{own[0].metadata.name}"
        raise _DriftError(INVALID, f'owned Workload {found} does not have the expected UID-qualified name "{name}"')
    if not own and any(each.metadata.name == name for each in seen.workloads):
        why = f"Workload {meta.namespace}/{name} already exists but is not controlled by this LeaderWorkerSet UID"
        raise _DriftError(INVALID, why)
    return own[0] if own else None


def _is_ours(lws: LeaderWorkerSet, workload: Workload) -> bool:
    reference = member(workload.spec or {}, "controllerRef")
    return _controlled(workload.metadata, lws) and reference.get("name") == lws.metadata.name


def _controlled(meta: ObjectMeta, lws: LeaderWorkerSet) -> bool:
    return meta.controller is not None and meta.controller.uid == lws.metadata.uid


def _create_workload(lws: LeaderWorkerSet) -> Create:
    meta = lws.metadata
    body: JSON = {
        "apiVersion": WORKLOADS.api_version,
        "kind": WORKLOADS.kind,
        "metadata": {
            "name": scheduling.workload_name(meta.name, meta.uid),
            "namespace": meta.namespace,
            "labels": {labels.NAME: meta.name},
            "ownerReferences": owned_by_set(lws),
        },
        "spec": {
            "controllerRef": {"apiGroup": LEADERWORKERSETS.group, "kind": LEADERWORKERSETS.kind, "name": meta.name},
            "podGroupTemplates": scheduling.templates(lws.raw_spec),
        },
    }
    return Create(WORKLOADS, body, required=True, owner=Reference.to(LEADERWORKERSETS, meta))


def _workload_follows(lws: LeaderWorkerSet, workload: Workload) -> Iterator[Patch]:
    """Only the counts of a Workload may change."""
    where = f"{workload.metadata.namespace}/{workload.metadata.name}"
    wanted = {each["name"]: each for each in scheduling.templates(lws.raw_spec)}
    found = {each.get("name"): each for each in (workload.spec or {}).get("podGroupTemplates") or ()}
    if wanted.keys() != found.keys():
        raise _DriftError(INVALID, f"Workload {where} has immutable PodGroup template set drift")
    for name, template in wanted.items():
        if _compared(template) != _compared(found[name]):
            why = f'Workload {where} has immutable scheduling configuration drift in template "{name}"'
            raise _DriftError(INVALID, why)
    if any(_count(template) != _count(found[name]) for name, template in wanted.items()):
        counted = [_with_count(found[name], _count(template)) for name, template in wanted.items()]
        meta = workload.metadata
        yield Patch(WORKLOADS, meta.namespace, meta.name, meta.uid, {"spec": {"podGroupTemplates": counted}})


def _wanted(
    lws: LeaderWorkerSet, workload: Workload, level: str, leaders: tuple[Pod, ...], key: str, groups: int
) -> dict[str, JSON]:
    """PodGroups by name: of the set, or of each group that is to be made or has a leader that lives."""
    made = scheduling.templates(lws.raw_spec)
    size = lws.spec.leader_worker_template.size
    if level == LWS:
        name = scheduling.pod_group_name(workload.metadata.name, level, "", "")
        return {name: _body(lws, workload, level, name, made[0], {})} if lws.spec.replicas else {}
    sizes = {(str(index), key): size for index in range(groups)}
    for leader in leaders:
        if lives(leader) and groups_of(leader):
            own = natural(leader.metadata.annotation(labels.SIZE), lowest=1) or size
            sizes[leader.metadata.label(labels.GROUP_INDEX), revision_key(leader)] = own
    found = {}
    for (index, revision), pods in sizes.items():
        for template in made:
            role = template["name"] if level == ROLE else ""
            name = scheduling.pod_group_name(workload.metadata.name, level, index, revision, role)
            ours = {labels.GROUP_INDEX: index, labels.REVISION: revision, **({labels.ROLE: role} if role else {})}
            sized = _with_count(template, scheduling.members(template["name"], 1, pods))
            found[name] = _body(lws, workload, level, name, sized, ours)
    return found


def _body(
    lws: LeaderWorkerSet, workload: Workload, level: str, name: str, template: JSON, ours: Mapping[str, str]
) -> JSON:
    meta = workload.metadata
    second = {"apiVersion": WORKLOADS.api_version, "kind": WORKLOADS.kind, "name": meta.name, "uid": meta.uid}
    return {
        "apiVersion": SCHEDULING_PODGROUPS.api_version,
        "kind": SCHEDULING_PODGROUPS.kind,
        "metadata": {
            "name": name,
            "namespace": meta.namespace,
            "labels": {labels.NAME: lws.metadata.name, labels.LEVEL: level, **ours},
            "ownerReferences": [*owned_by_set(lws), second],
        },
        "spec": {
            "workloadRef": {"workloadName": meta.name, "templateName": template["name"]},
            **{key: value for key, value in template.items() if key != "name"},
        },
    }


def _pod_group(lws: LeaderWorkerSet, level: str, found: SchedulingPodGroup | None, body: JSON) -> Iterator[Action]:
    where = f"{body['metadata']['namespace']}/{body['metadata']['name']}"
    if found is None:
        yield Create(SCHEDULING_PODGROUPS, body, required=True, owner=Reference.to(LEADERWORKERSETS, lws.metadata))
        return
    meta = found.metadata
    if meta.deleting:
        raise _DriftError(CLEANUP_BLOCKED, f"PodGroup {where} is still terminating")
    if not _controlled(meta, lws) or _compared(found.spec or {}) != _compared(body["spec"]):
        raise _DriftError(INVALID, f"PodGroup {where} has immutable scheduling configuration drift")
    change: JSON = {}
    if level == LWS and _count(found.spec) != _count(body["spec"]):
        change["spec"] = {"schedulingPolicy": body["spec"]["schedulingPolicy"]}
    wanted = body["metadata"]["labels"]
    if any(meta.label(key) != value for key, value in wanted.items()):
        change["metadata"] = {"labels": wanted}
    if change:
        yield Patch(SCHEDULING_PODGROUPS, meta.namespace, meta.name, meta.uid, change)


def _unused(lws: LeaderWorkerSet, seen: Seen, wanted: Mapping[str, JSON]) -> Iterator[Delete]:
    """PodGroups that nothing wants and no pod names."""
    for name, group in sorted(seen.groups.items()):
        meta = group.metadata
        if name not in wanted and name not in seen.in_use and _controlled(meta, lws) and not meta.deleting:
            yield Delete(SCHEDULING_PODGROUPS, meta.namespace, name, meta.uid)


def _count(spec: Any) -> Any:
    return member(member(spec or {}, "schedulingPolicy"), "gang").get("minCount")


def _with_count(template: JSON, count: Any) -> JSON:
    if _count(template) is None:
        return template
    return {**template, "schedulingPolicy": {"gang": {**template["schedulingPolicy"]["gang"], "minCount": count}}}


def _compared(spec: JSON) -> JSON:
    """What cannot change: all but the count and what others fill in; no disruption mode is ``single``."""
    out = {key: value for key, value in _with_count(spec, 0).items() if key not in _NOT_COMPARED and value}
    out.setdefault("disruptionMode", {"single": {}})
    return out
