"""Says in words what a LeaderWorkerSet waits for. Pure: a picture in, sentences out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.types import LEADER_READY
from lws.cli.kubectl.picture import Group, Picture, label
from lws.planning.leaderworkerset.rollout import Budget

JSON: TypeAlias = dict[str, Any]


def explain(picture: Picture) -> tuple[str, ...]:
    """What the set waits for, most important first; empty when every group is ready and of the current revision."""
    return (*_set_findings(picture), *_group_findings(picture), *_rollout_findings(picture))


def _set_findings(picture: Picture) -> Iterator[str]:
    lws, meta = picture.lws, picture.lws.metadata
    for condition in lws.status.conditions:
        if condition.type == "Blocked" and condition.status == "True":
            yield f"It is blocked: {condition.message}"
    if meta.deleting:
        yield "It is being deleted; its groups go with it."
    if lws.status.observed_generation < meta.generation:
        yield (
            f"The controller has not acted on the last edit yet (generation {meta.generation}, "
            f"seen {lws.status.observed_generation}): is the controller running, and does it log errors?"
        )
    if picture.leader_set is None:
        yield f"The leader StatefulSet {meta.name} does not exist{_event_tail(picture, meta.name)}."
    elif picture.leader_set.metadata.deleting:
        yield f"The leader StatefulSet {meta.name} is being deleted; it is made anew when it is gone."
    placeless = sorted(pod["metadata"]["name"] for pod in picture.pods if not label(pod, labels.WORKER_INDEX))
    if placeless:
        yield (
            f"Pods such as {placeless[0]} ({len(placeless)} in all) were admitted without the webhook and do not know "
            "their place: see that its configurations are there and that the API server reaches it, then delete them."
        )


def _group_findings(picture: Picture) -> Iterator[str]:
    for group in picture.groups():
        if not group.state.ready:
            yield f"Group {group.index}: {_why_group(picture, group)}"


def _why_group(picture: Picture, group: Group) -> str:
    name = f"{picture.lws.metadata.name}-{group.index}"
    if group.leader is None:
        return f"leader pod {name} does not exist{_event_tail(picture, picture.lws.metadata.name)}."
    reason = why_pod(group.leader)
    if reason:
        return f"leader pod {name} {reason}."
    if group.size == 1:
        return "its readiness has not been counted yet."
    if group.worker_set is None:
        return _why_no_workers(picture, group, name)
    return _why_workers(picture, group, name)


def _why_no_workers(picture: Picture, group: Group, name: str) -> str:
    lws = picture.lws
    topology = lws.metadata.annotation(labels.EXCLUSIVE_TOPOLOGY)
    old = [pod["metadata"]["name"] for pod in group.workers if pod["metadata"].get("deletionTimestamp")]
    if lws.spec.startup_policy == LEADER_READY and not _ready(group.leader):
        return "its workers start when the leader is ready (startupPolicy LeaderReady)."
    if topology and not (group.leader or {}).get("spec", {}).get("nodeName"):
        return f"its workers start when the leader is on a node, whose {topology} they share."
    if old:
        return f"its workers start when pods of the earlier group have ended: {', '.join(old)}."
    return f"worker StatefulSet {name} does not exist{_event_tail(picture, lws.metadata.name)}."


def _why_workers(picture: Picture, group: Group, name: str) -> str:
    reasons = [f"{pod['metadata']['name']} {reason}" for pod in group.workers if (reason := why_pod(pod)) is not None]
    missing = group.size - 1 - len(group.workers)
    if missing > 0:
        reasons.append(f"{missing} of {group.size - 1} worker pods do not exist{_event_tail(picture, name)}")
    return "; ".join(reasons) + "." if reasons else f"StatefulSet {name} has not counted its pods as available yet."


def why_pod(pod: JSON) -> str | None:
    """Why a pod is not ready, as the rest of a sentence; None when it is."""
    status, meta = pod.get("status") or {}, pod["metadata"]
    if meta.get("deletionTimestamp"):
        held = f", held by finalizers {', '.join(meta['finalizers'])}" if meta.get("finalizers") else ""
        return f"is ending since {meta['deletionTimestamp']}{held}"
    waiting = _waiting_container(status)
    if waiting:
        return waiting
    if status.get("phase") in ("Failed", "Succeeded"):
        return f"has {status['phase'].lower()}{_colon(status.get('message') or status.get('reason'))}"
    conditions = {c.get("type"): c for c in status.get("conditions") or ()}
    scheduled = conditions.get("PodScheduled", {})
    if scheduled.get("status") == "False":
        return f"finds no node{_colon(scheduled.get('message') or scheduled.get('reason'))}"
    if not pod.get("spec", {}).get("nodeName"):
        return (
            f"has not been looked at by scheduler {pod.get('spec', {}).get('schedulerName', 'default-scheduler')} yet"
        )
    if conditions.get("Ready", {}).get("status") == "True":
        return None
    return f"runs on {pod['spec']['nodeName']} and is not ready{_colon(conditions.get('Ready', {}).get('message'))}"


def _waiting_container(status: JSON) -> str | None:
    for container in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (container.get("state") or {}).get("waiting") or {}
        reason = waiting.get("reason")
        if reason and reason not in ("ContainerCreating", "PodInitializing"):
            restarts = container.get("restartCount", 0)
            times = f" after {restarts} restarts" if restarts else ""
            return f"waits in {reason}{times} (container {container['name']}){_colon(waiting.get('message'))}"
    return None


def _rollout_findings(picture: Picture) -> Iterator[str]:
    groups = picture.groups()
    old = [group.index for group in groups if group.state.present and not group.state.updated]
    if not old or picture.leader_set is None:
        return
    rolling = picture.lws.spec.rollout_strategy.rolling_update_configuration
    held = [index for index in old if index < rolling.partition]
    moving = [index for index in old if index >= rolling.partition]
    if held:
        yield (
            f"Groups {_ranges(held)} keep their revision because of rollingUpdateConfiguration.partition "
            f"{rolling.partition}; lower it, or `kubectl lws rollout resume {picture.lws.metadata.name}`."
        )
    if moving:
        down = [group.index for group in groups if not group.state.ready]
        budget = Budget.of(picture.lws)
        pace = f"{budget.allowed_unavailable} may be down and {budget.max_surge} extra at once"
        waits = f"; it waits for groups {_ranges(down)}." if down else "."
        yield f"The rolling update has groups {_ranges(moving)} still to replace, {pace}{waits}"


def _event_tail(picture: Picture, subject: str) -> str:
    """The newest warning about ``subject``, as the end of a sentence."""
    about = [event for event in picture.events if (event.get("involvedObject") or {}).get("name") == subject]
    about.sort(key=lambda event: str(event.get("lastTimestamp") or event.get("eventTime") or ""))
    return f": {str(about[-1].get('message', '')).rstrip('.')}" if about else ""


def _ready(pod: JSON | None) -> bool:
    conditions = ((pod or {}).get("status") or {}).get("conditions") or ()
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in conditions)


def _colon(text: Any) -> str:
    return f": {str(text).rstrip('.')}" if text else ""


def _ranges(indices: list[int]) -> str:
    """``0-2, 5`` for 0, 1, 2, 5."""
    parts: list[list[int]] = []
    for index in sorted(indices):
        if parts and parts[-1][1] == index - 1:
            parts[-1][1] = index
        else:
            parts.append([index, index])
    return ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in parts)
