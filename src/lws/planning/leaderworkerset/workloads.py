"""Workload and PodGroups of ``scheduling.k8s.io``: what must be there before pods are (next 7.4, 7.5, 7.8).

One planner makes them for every level and identity. A Workload comes first, alone: its PodGroups name it by UID, and
the event of its creation brings the pass that makes them. A set of which a parent says so has no Workload of its own:
its PodGroups are made of a template of the parent's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from lws.api.leaderworkerset import labels, scheduling
from lws.api.leaderworkerset.objects import Pod, SchedulingPodGroup, Workload
from lws.api.leaderworkerset.resources import LEADERWORKERSETS
from lws.api.leaderworkerset.scheduling import LEADER, LWS, REPLICA, ROLE, WORKER
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.api.leaderworkerset.workloadapi import WorkloadApi
from lws.api.rules import member
from lws.apimachinery.actions import Action, Create, Delete, Patch, Reference
from lws.apimachinery.integers import natural
from lws.apimachinery.manifests import JSON
from lws.planning.leaderworkerset import typedgangs
from lws.planning.leaderworkerset.groups import lives, revision_key
from lws.planning.leaderworkerset.metadata import owned_by_set
from lws.planning.leaderworkerset.prerequisites import (
    API_NOT_AVAILABLE,
    CLEANUP_BLOCKED,
    INVALID,
    PARENT_NOT_READY,
    UNSUPPORTED,
    Prerequisites,
    Seen,
    UnpreparedError,
    controlled,
)
from lws.planning.leaderworkerset.snapshots import SetSnapshot

_NOT_COMPARED: Final = ("priority", "preemptionPolicy")  # what others may fill in


def plan(snapshot: SetSnapshot, key: str, groups: int) -> Prerequisites:
    """The Workload, then the PodGroups of a set; nothing for a set that asks for nothing of the kind.

    Args:
        snapshot: the set, and what there is.
        key: the revision of the groups that are to be made.
        groups: how many of them are made by index, from 0 on; none for groups that are known by a key.
    """
    lws, seen = snapshot.lws, snapshot.scheduling
    level = scheduling.level_of(lws.raw_spec)
    if not level:
        return Prerequisites()
    try:
        if not seen.supported:
            raise UnpreparedError(UNSUPPORTED, "spec.scheduling requires a configured scheduler provider")
        if seen.unavailable:
            raise UnpreparedError(API_NOT_AVAILABLE, seen.unavailable)
        if seen.gangs is not None:
            return Prerequisites(tuple(typedgangs.plan(snapshot, seen.gangs, level, key, groups)))
        _check(seen, snapshot.contents.sections(lws), lws, level)
        source = _parents(lws, seen) if scheduling.template_of_parent(lws.metadata.annotations) else _own(lws, seen)
        if source is None:
            return Prerequisites((_create_workload(lws, seen.api),), complete=False)
        actions: list[Action] = [*_workload_follows(seen.api, source)]
        wanted = _wanted(snapshot, source, level, key, groups)
        for name, body in wanted.items():
            actions += _pod_group(lws, seen.api, level, seen.groups.get(name), body)
        actions += _unused(lws, seen, wanted)
        return Prerequisites(tuple(actions))
    except UnpreparedError as error:
        return Prerequisites(problem=error.problem)


@dataclass(frozen=True, slots=True)
class _Source:
    """The Workload that PodGroups are made of.

    Attributes:
        workload: it.
        templates: of its PodGroups, in the form of v1beta1.
        ours: whether it is the set's own.
    """

    workload: Workload
    templates: tuple[JSON, ...]
    ours: bool


def groups_of(leader: Pod) -> tuple[str, ...]:
    """The PodGroups without which a gated leader and its workers would find no place."""
    notes = leader.metadata.annotations or {}
    level, workload = notes.get(labels.SCHEDULING_LEVEL, ""), notes.get(labels.WORKLOAD_NAME, "")
    if level not in (LWS, REPLICA, ROLE) or not workload:
        return ()
    index, key = leader.metadata.label(labels.GROUP_INDEX), revision_key(leader)
    roles = (LEADER, WORKER) if level == ROLE else ("",)
    return tuple(scheduling.pod_group_name(workload, level, index, key, role) for role in roles)


def _check(seen: Seen, section: JSON, lws: LeaderWorkerSet, level: str) -> None:
    if not scheduling.is_placed(section):
        why = "spec.scheduling is for pods of the default scheduler: a template names another in schedulerName"
        raise UnpreparedError(UNSUPPORTED, why)
    if not seen.api.counts_change and scheduling.is_gang_of_all(lws.raw_spec, level):
        raise UnpreparedError(UNSUPPORTED, scheduling.gang_of_all_unsupported(seen.api.version))


def _parents(lws: LeaderWorkerSet, seen: Seen) -> _Source:
    """The Workload of a parent, and its one template that all PodGroups of the set are made of (next 7.8)."""
    name, parent = scheduling.template_of_parent(lws.metadata.annotations), seen.parent
    if parent is None or parent.workload is None:
        raise UnpreparedError(PARENT_NOT_READY, "" if parent is None else parent.problem)
    found = _templates(seen.api, parent.workload)
    if name not in found:
        where = f"{lws.metadata.namespace}/{parent.workload.metadata.name}"
        raise UnpreparedError(INVALID, f'Workload {where} has no PodGroup template "{name}"')
    return _Source(parent.workload, (found[name],), ours=False)


def _templates(api: WorkloadApi, workload: Workload) -> dict[str, JSON]:
    return {each.get("name", ""): each for each in api.read(workload.spec).get("podGroupTemplates") or ()}


def _own(lws: LeaderWorkerSet, seen: Seen) -> _Source | None:
    meta, name = lws.metadata, scheduling.workload_name(lws.metadata.name, lws.metadata.uid)
    own = [each for each in seen.workloads if _is_ours(lws, each)]
    where = f"{meta.namespace}/{meta.name}"
    if len(own) > 1:
        why = f'multiple Workloads are controlled by LeaderWorkerSet {where} UID "{meta.uid}"'
        raise UnpreparedError(INVALID, why)
    if own and own[0].metadata.name != name:
        found = f"{meta.namespace}/{own[0].metadata.name}"
        why = f'owned Workload {found} does not have the expected UID-qualified name "{name}"'
        raise UnpreparedError(INVALID, why)
    if not own and any(each.metadata.name == name for each in seen.workloads):
        why = f"Workload {meta.namespace}/{name} already exists but is not controlled by this LeaderWorkerSet UID"
        raise UnpreparedError(INVALID, why)
    return _Source(own[0], tuple(scheduling.templates(lws.raw_spec)), ours=True) if own else None


def _is_ours(lws: LeaderWorkerSet, workload: Workload) -> bool:
    reference = member(workload.spec or {}, "controllerRef")
    return controlled(workload.metadata, lws) and reference.get("name") == lws.metadata.name


def _create_workload(lws: LeaderWorkerSet, api: WorkloadApi) -> Create:
    meta = lws.metadata
    reference = {"apiGroup": LEADERWORKERSETS.group, "kind": LEADERWORKERSETS.kind, "name": meta.name}
    spec = {"controllerRef": reference, "podGroupTemplates": scheduling.templates(lws.raw_spec)}
    body: JSON = {
        "apiVersion": api.workloads.api_version,
        "kind": api.workloads.kind,
        "metadata": {
            "name": scheduling.workload_name(meta.name, meta.uid),
            "namespace": meta.namespace,
            "labels": {labels.NAME: meta.name},
            "ownerReferences": owned_by_set(lws),
        },
        "spec": api.written(spec),
    }
    return Create(api.workloads, body, required=True, owner=Reference.to(LEADERWORKERSETS, meta))


def _workload_follows(api: WorkloadApi, source: _Source) -> Iterator[Patch]:
    """Only the counts of a Workload may change, and not even they in an older version."""
    if not source.ours:
        return
    meta = source.workload.metadata
    where = f"{meta.namespace}/{meta.name}"
    wanted = {each["name"]: each for each in source.templates}
    found = _templates(api, source.workload)
    if wanted.keys() != found.keys():
        raise UnpreparedError(INVALID, f"Workload {where} has immutable PodGroup template set drift")
    for name, template in wanted.items():
        if _compared(template, api) != _compared(found[name], api):
            why = f'Workload {where} has immutable scheduling configuration drift in template "{name}"'
            raise UnpreparedError(INVALID, why)
    if api.counts_change and any(_count(template) != _count(found[name]) for name, template in wanted.items()):
        counted = [_with_count(found[name], _count(template)) for name, template in wanted.items()]
        yield Patch(api.workloads, meta.namespace, meta.name, meta.uid, {"spec": {"podGroupTemplates": counted}})


def _wanted(snapshot: SetSnapshot, source: _Source, level: str, key: str, groups: int) -> dict[str, JSON]:
    """PodGroups by name: of the set, or of each group that is to be made or has a leader that lives."""
    lws, api = snapshot.lws, snapshot.scheduling.api
    workload, size = scheduling.workload_name(lws.metadata.name, lws.metadata.uid), lws.spec.leader_worker_template.size
    if level == LWS:
        name = scheduling.pod_group_name(workload, level, "", "")
        return {name: _body(lws, api, source, level, name, source.templates[0], {})} if lws.spec.replicas else {}
    made = {(str(index), key): (size, workload) for index in range(groups)}
    for leader in snapshot.leaders:
        if lives(leader) and groups_of(leader):
            own = natural(leader.metadata.annotation(labels.SIZE), lowest=1) or size
            noted = scheduling.noted_workload(workload, leader.metadata.annotation(labels.WORKLOAD_NAME))
            made[leader.metadata.label(labels.GROUP_INDEX), revision_key(leader)] = own, noted
    found = {}
    for (index, revision), (pods, noted) in made.items():
        for template in source.templates:
            role = template["name"] if level == ROLE else ""
            name = scheduling.pod_group_name(noted, level, index, revision, role)
            ours = {labels.GROUP_INDEX: index, labels.REVISION: revision, **({labels.ROLE: role} if role else {})}
            count = scheduling.members(template["name"], 1, pods) if source.ours else _count(template)
            found[name] = _body(lws, api, source, level, name, _with_count(template, count), ours)
    return found


def _body(
    lws: LeaderWorkerSet,
    api: WorkloadApi,
    source: _Source,
    level: str,
    name: str,
    template: JSON,
    ours: Mapping[str, str],
) -> JSON:
    meta = source.workload.metadata
    second = {"apiVersion": api.workloads.api_version, "kind": api.workloads.kind, "name": meta.name, "uid": meta.uid}
    return {
        "apiVersion": api.groups.api_version,
        "kind": api.groups.kind,
        "metadata": {
            "name": name,
            "namespace": meta.namespace,
            "labels": {labels.NAME: lws.metadata.name, labels.LEVEL: level, **ours},
            "ownerReferences": [*owned_by_set(lws), *([second] if source.ours else ())],
        },
        "spec": {
            "workloadRef": {"workloadName": meta.name, "templateName": template["name"]},
            **{key: value for key, value in template.items() if key != "name"},
        },
    }


def _pod_group(
    lws: LeaderWorkerSet, api: WorkloadApi, level: str, found: SchedulingPodGroup | None, body: JSON
) -> Iterator[Action]:
    where = f"{body['metadata']['namespace']}/{body['metadata']['name']}"
    if found is None:
        written = {**body, "spec": api.written(body["spec"])}
        yield Create(api.groups, written, required=True, owner=Reference.to(LEADERWORKERSETS, lws.metadata))
        return
    meta, spec = found.metadata, api.read(found.spec)
    if meta.deleting:
        raise UnpreparedError(CLEANUP_BLOCKED, f"PodGroup {where} is still terminating")
    if not controlled(meta, lws) or _compared(spec, api) != _compared(body["spec"], api):
        raise UnpreparedError(INVALID, f"PodGroup {where} has immutable scheduling configuration drift")
    change: JSON = {}
    if level == LWS and _count(spec) != _count(body["spec"]):
        change["spec"] = {"schedulingPolicy": body["spec"]["schedulingPolicy"]}
    wanted = body["metadata"]["labels"]
    if any(meta.label(key) != value for key, value in wanted.items()):
        change["metadata"] = {"labels": wanted}
    if change:
        yield Patch(api.groups, meta.namespace, meta.name, meta.uid, change)


def _unused(lws: LeaderWorkerSet, seen: Seen, wanted: Mapping[str, JSON]) -> Iterator[Delete]:
    """PodGroups that nothing wants and no pod names."""
    for name, group in sorted(seen.groups.items()):
        meta = group.metadata
        if name not in wanted and name not in seen.in_use and controlled(meta, lws) and not meta.deleting:
            yield Delete(seen.api.groups, meta.namespace, name, meta.uid)


def _count(spec: Any) -> Any:
    return member(member(spec or {}, "schedulingPolicy"), "gang").get("minCount")


def _with_count(template: JSON, count: Any) -> JSON:
    if _count(template) is None:
        return template
    return {**template, "schedulingPolicy": {"gang": {**template["schedulingPolicy"]["gang"], "minCount": count}}}


def _compared(spec: JSON, api: WorkloadApi) -> JSON:
    """What cannot change: all but the count and what others fill in or drop; no disruption mode is ``single``."""
    passed_over = {*_NOT_COMPARED, *api.optional}
    out = {key: value for key, value in _with_count(spec, 0).items() if key not in passed_over and value}
    out.setdefault("disruptionMode", {"single": {}})
    return out
