"""The diagnosis of a whole set."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.policykeys import PAUSED as PAUSED_VALUE
from lws.api.leaderworkerset.policykeys import ROLLOUT
from lws.planning.leaderworkerset.diagnosis.facts import QUEUE, Facts
from lws.planning.leaderworkerset.diagnosis.findings import Finding, Reason
from lws.planning.leaderworkerset.diagnosis.groups import diagnose_group
from lws.planning.leaderworkerset.diagnosis.objects import ObjectReference
from lws.planning.leaderworkerset.diagnosis.pods import diagnose_pod
from lws.planning.leaderworkerset.diagnosis.quoting import after_colon, groups_named, listed, quoted

_WHOLE: Final = "scale down, or use gang scheduling, so that one of them fits."
PAUSED: Final = "kubectl-lws/partition-before-pause"
"""Annotation of a set that an earlier `kubectl lws rollout pause` holds: the user's partition before that."""


def diagnose(facts: Facts) -> tuple[Finding, ...]:
    """Everything that is not as wanted: of the set, then of its groups by index, then of its rollout."""
    return (*_set(facts), *_groups(facts), *_strays(facts), *_rollout(facts))


def waits(findings: Iterable[Finding]) -> bool:
    """Whether anything is to come: an update that a partition holds back is as its user wants it."""
    return any(found.reason is not Reason.ROLLOUT_HELD for found in findings)


def owner_notice(facts: Facts) -> str:
    """Who writes this set, as a sentence; empty if nobody controls it.

    What is changed on such a set is undone or dropped by its owner's next write.
    """
    owner = facts.lws.owner
    return f"{facts.lws.name} is owned by {owner.kind} {owner.name}: change it there." if owner is not None else ""


def _set(facts: Facts) -> Iterator[Finding]:
    lws = facts.lws
    if lws.metadata.deleting:
        held = [one for one in lws.metadata.finalizers or () if one not in ("foregroundDeletion", "orphan")]
        tail = f", held by finalizers {listed(held)}" if held else ""
        yield Finding(Reason.DELETING, f"The set is being deleted, together with its groups{tail}")
    for condition in lws.conditions:
        if condition.type == "Blocked" and condition.status == "True":
            yield Finding(Reason.BLOCKED, f"The set is blocked: {quoted(condition.message)}")
    for foreign in facts.foreign:
        remedy = f"Delete or rename it: the set needs the name {foreign.name}."
        yield Finding(
            Reason.BLOCKED, f"{foreign.kind} {foreign.name} does not belong to the set: {foreign.why}", remedy
        )
    yield from _leader_set(facts)


def _leader_set(facts: Facts) -> Iterator[Finding]:
    lws, found = facts.lws, facts.leader_set
    refused = facts.failure(ObjectReference("LeaderWorkerSet", lws.name, lws.metadata.uid), lws.name)
    if lws.unseen and refused:
        text = f"The last edit (generation {lws.metadata.generation}) cannot be applied{after_colon(refused)}"
        yield Finding(Reason.NOT_APPLIED, text, "Fix the spec, or the policy that rejects it.")
    elif lws.unseen:
        seen = f"generation {lws.metadata.generation}, seen {lws.observed_generation}"
        text = f"The controller has not acted on the last edit yet ({seen})"
        yield Finding(Reason.NOT_APPLIED, text, "If this lasts, check that the controller runs, and its log.")
    if found is None:
        tail = "" if lws.unseen else after_colon(refused)
        yield Finding(Reason.FAILED_CREATE, f"The leader {lws.leaders_by} {lws.name} does not exist{tail}")
        return
    owner = found.metadata.controller
    if found.metadata.deleting:
        text = f"The leader {lws.leaders_by} {lws.name} is being deleted; a new one is created when it is gone"
        yield Finding(Reason.TERMINATING, text)
    elif (
        owner is not None
        and owner.uid != lws.metadata.uid
        and (owner.kind, owner.name)
        == (
            "LeaderWorkerSet",
            lws.name,
        )
    ):
        text = (
            f"{lws.leaders_by} {lws.name} belongs to a previous set of this name and is about to be garbage-collected"
        )
        yield Finding(Reason.TERMINATING, text)


def _groups(facts: Facts) -> Iterator[Finding]:
    """Groups of a set without a leader StatefulSet of its own are not worth a word each."""
    if facts.leader_set is None:
        return
    halves = _half_placed(facts)
    hint = f"{groups_named(halves).capitalize()} are placed in part and hold resources that the others need: {_WHOLE}"
    for group in facts.groups:
        for found in diagnose_group(facts, group):
            held = found.reason is Reason.UNSCHEDULABLE and len(halves) > 1 and group.index in halves
            yield replace(found, remedy=hint) if held else found


def _half_placed(facts: Facts) -> list[int]:
    """Groups of which some pods have a node and others wait for one."""
    placed = {group.index: {bool(pod.spec.node_name) for pod in group.pods} for group in facts.groups}
    return [index for index, states in placed.items() if len(states) == 2]


def _strays(facts: Facts) -> Iterator[Finding]:
    ending = [pod for pod in facts.strays if pod.metadata.deleting]
    for pod in ending:
        found = diagnose_pod(facts, pod)
        if found is not None:
            yield found
    living = [pod for pod in facts.strays if not pod.metadata.deleting]
    unplaced = [pod.metadata.name for pod in living if not pod.metadata.label(labels.WORKER_INDEX)]
    if unplaced:
        text = f"Pods without a worker index ({listed(unplaced)}) were admitted without the webhook"
        remedy = (
            "Check that the webhook configurations exist and that the API server reaches the webhook, then delete "
            "these pods."
        )
        yield Finding(Reason.UNADMITTED, text, remedy)


def _rollout(facts: Facts) -> Iterator[Finding]:
    lws = facts.lws
    old = [group.index for group in facts.groups if group.state.present and not group.state.updated]
    if not old or facts.leader_set is None:
        return
    held = [index for index in old if index < lws.partition]
    moving = [index for index in old if index >= lws.partition]
    if held:
        keeps = "keep their revision" if len(held) > 1 else "keeps its revision"
        text = f"{groups_named(held).capitalize()} {keeps}: rollingUpdateConfiguration.partition is {lws.partition}"
        yield Finding(Reason.ROLLOUT_HELD, text, _release(facts))
    if moving:
        down = [group.index for group in facts.groups if not group.state.ready]
        pace = f"maxUnavailable {lws.allowed_unavailable}, maxSurge {lws.max_surge}"
        waits = f"; it is waiting for {groups_named(down)}" if down else ""
        if _paused(facts):
            waits = "; it is paused"
        text = f"The rolling update has yet to replace {groups_named(moving)} ({pace}){waits}"
        yield Finding(Reason.ROLLOUT, text, _release(facts) if _paused(facts) else _queue_remedy(facts, down))


def _paused(facts: Facts) -> bool:
    return facts.lws.metadata.annotation(ROLLOUT) == PAUSED_VALUE


def _release(facts: Facts) -> str:
    paused = facts.lws.metadata.annotation(PAUSED) is not None or _paused(facts)
    command = f"`kubectl lws rollout resume {facts.lws.name}`"
    return f"It is paused: {command} lets it go on." if paused else "Lower the partition to update them."


def _queue_remedy(facts: Facts, down: list[int]) -> str:
    """Kueue makes no Workload for the groups of a surge that is a percentage (CD-90)."""
    lws = facts.lws
    queued = QUEUE in (lws.metadata.labels or {})
    surge_waits = any(index >= lws.replicas for index in down)
    if not (queued and lws.max_surge and surge_waits):
        return ""
    return f"Kueue takes a percentage in maxSurge for 0: write a number, such as {lws.max_surge}."
