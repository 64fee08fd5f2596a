"""Why one group is not ready."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.namelengths import too_long_for
from lws.api.leaderworkerset.objects import StatefulSet, controlled_by
from lws.planning.leaderworkerset.diagnosis.facts import Facts, GroupFacts, pod_reference, statefulset_reference
from lws.planning.leaderworkerset.diagnosis.findings import Finding, Reason
from lws.planning.leaderworkerset.diagnosis.objects import PodReport
from lws.planning.leaderworkerset.diagnosis.pods import diagnose_pod
from lws.planning.leaderworkerset.diagnosis.quoting import listed, quoted
from lws.planning.leaderworkerset.groups import (
    containers_ready,
    gated,
    is_hashed,
    marked,
    own_leaders,
    terminating_groups,
    workers_wanted,
)

_FOREGROUND: Final = "foregroundDeletion"
_LABEL_LIMIT: Final = "must be no more than 63"


def diagnose_group(facts: Facts, group: GroupFacts) -> tuple[Finding, ...]:
    """Everything that keeps a group from being ready, its leader first; empty when it is ready."""
    waits = _waits(facts, group)
    if group.state.ready:
        return waits
    return (*waits, *_of_group(facts, group))


def _waits(facts: Facts, group: GroupFacts) -> tuple[Finding, ...]:
    """A group that failed again and again waits, not ready, whatever its probes say (resilience 3.2)."""
    leader = group.leader
    words = "" if leader is None or leader.metadata.deleting else facts.lws.waits.get(leader.metadata.uid, "")
    if leader is None or not words:
        return ()
    remedy = f"Who deletes pod {leader.metadata.name} has it recreated at once."
    return (_of(group, Reason.CRASH_LOOP, f"the group {words}", remedy),)


def _of_group(facts: Facts, group: GroupFacts) -> Iterator[Finding]:
    leader = group.leader
    if leader is None:
        yield _no_leader(facts, group)
        return
    if marked(leader):
        yield _exhausted(facts, group, leader)
        return
    found = diagnose_pod(facts, leader, group.index)
    if is_hashed(leader) and not leader.metadata.deleting:
        found = _by_key(facts, group, leader, found)
    if leader.metadata.deleting:
        yield from _ending_group(facts, group, leader, found)
        return
    if found is None and not is_hashed(leader) and not own_leaders((leader,), _statefulset(facts)):
        text = "belongs to a previous leader StatefulSet and is about to be garbage-collected"
        yield _about(group, ("leader pod", leader.metadata.name), Reason.TERMINATING, text)
        return
    if found is not None:
        yield found
    if group.size > 1:
        yield from _workers(facts, group, leader, leader_waits=found is not None)
    elif found is None:
        yield _of(group, Reason.NOT_READY, "its readiness has not been counted yet")


def _exhausted(facts: Facts, group: GroupFacts, leader: PodReport) -> Finding:
    """Nothing brings such a group back but a person (next 5.5)."""
    name = leader.metadata.name
    text = "has exhausted the restart budget of its group (maxGroupRestarts), whose pods have ended and are kept"
    if leader.metadata.annotation(labels.RECOVER) == "true":
        remedy = "Its recovery is asked for: if this lasts, check that the controller runs, and its log."
    else:
        remedy = (
            "Look at its pods, then have it recreated with a full budget: "
            f"`kubectl annotate pod {name} -n {facts.lws.metadata.namespace} {labels.RECOVER}=true`."
        )
    return _about(group, ("leader pod", name), Reason.EXHAUSTED, text, remedy)


def _statefulset(facts: Facts) -> StatefulSet | None:
    return facts.leader_set if isinstance(facts.leader_set, StatefulSet) else None


def _by_key(facts: Facts, group: GroupFacts, leader: PodReport, found: Finding | None) -> Finding | None:
    """The finding about a leader that is ready with its group: while it waits for others, these are the cause."""
    if gated(leader):
        every = [pod for one in facts.groups for pod in one.pods]
        ending = terminating_groups([*every, *facts.strays])
        text = f"waits for {ending} terminating group(s) to be removed before it is scheduled"
        remedy = "With groupReplacementPolicy Immediate it would not wait."
        if not ending:
            text, remedy = "waits for its turn: a group that it may replace is not gone yet", ""
        return _about(group, ("leader pod", leader.metadata.name), Reason.GATED, text, remedy)
    return None if containers_ready(leader) and group.size > 1 else found


def _no_leader(facts: Facts, group: GroupFacts) -> Finding:
    """A StatefulSet stops at the first pod that it cannot create: the others have no event of their own."""
    if facts.lws.hashed:
        return _refused(facts, group, ("leader pod", "of a new group"), "does not exist", facts.refused_by_replicaset())
    subject = ("leader pod", f"{facts.lws.name}-{group.index}")
    if facts.leader_set is None:
        return _refused(facts, group, subject, "does not exist", "")
    reference = statefulset_reference(facts.leader_set)
    words = facts.failure(reference, subject[1])
    if not words and facts.failure(reference):
        text = f"does not exist: StatefulSet {facts.lws.name} cannot create other pods before it"
        return _about(group, subject, Reason.NOT_READY, text)
    return _refused(facts, group, subject, "does not exist", words, facts.lws.name)


def _ending_group(facts: Facts, group: GroupFacts, leader: PodReport, found: Finding | None) -> Iterator[Finding]:
    """A leader that is deleted in the foreground stays until its dependents are gone: they are the cause."""
    yield from _each(facts, group, group.workers)
    if found is not None and found.reason is not Reason.TERMINATING:
        yield found
    elif _FOREGROUND not in (leader.metadata.finalizers or ()) or not (group.workers or group.worker_set):
        if found is not None:
            yield found
    else:
        yield _waits_for_dependents(facts, group, leader)


def _waits_for_dependents(facts: Facts, group: GroupFacts, leader: PodReport) -> Finding:
    subject = ("leader pod", leader.metadata.name)
    left = [pod.metadata.name for pod in group.workers]
    workers = group.worker_set
    if left or workers is None:
        text = f"is terminating and waits for its workers: {listed(left)}"
        return _about(group, subject, Reason.TERMINATING, text)
    text = f"is terminating and waits for StatefulSet {workers.metadata.name} to be garbage-collected"
    words = _newest_refusal(facts, workers)
    if words:
        return _refused(facts, group, subject, text, words)
    remedy = (
        "If this lasts, an admission webhook may reject the garbage collector's update of that StatefulSet: "
        "check that every webhook for StatefulSets responds."
    )
    return _about(group, subject, Reason.TERMINATING, text, remedy)


def _newest_refusal(facts: Facts, workers: StatefulSet) -> str:
    """What the API server last refused about the StatefulSets of the set."""
    references = [statefulset_reference(one) for one in (workers, facts.leader_set) if one is not None]
    failed = [event for one in references for event in facts.warnings(one) if event.reason.startswith("Failed")]
    return max(failed, key=lambda event: event.time).message if failed else ""


def _workers(facts: Facts, group: GroupFacts, leader: PodReport, *, leader_waits: bool) -> Iterator[Finding]:
    workers = group.worker_set
    if workers is None:
        found = _no_worker_set(facts, group, leader, leader_waits=leader_waits)
        if found is not None:
            yield found
    elif not controlled_by(workers.metadata, leader):
        yield _not_of_leader(group, leader, workers)
    else:
        findings = list(_worker_pods(facts, group, workers))
        yield from findings
        if not findings and not leader_waits:
            text = "has not counted its pods as available yet"
            yield _about(group, ("StatefulSet", workers.metadata.name), Reason.NOT_READY, text)


def _no_worker_set(facts: Facts, group: GroupFacts, leader: PodReport, *, leader_waits: bool) -> Finding | None:
    name = group.base or leader.metadata.name
    words = facts.failure(pod_reference(leader))
    if words:
        return _refused(facts, group, ("worker StatefulSet", name), "does not exist", words)
    old = [pod.metadata.name for pod in group.workers if pod.metadata.deleting]
    if old:
        text = f"its workers start once the pods of the previous group have terminated: {listed(old)}"
        return _of(group, Reason.WAITING_FOR_NAMES, text)
    if leader_waits and (facts.lws.leader_ready_first or (facts.lws.topology and not leader.spec.node_name)):
        return None  # the leader's own finding says it
    if is_hashed(leader) and gated(leader):
        return None
    if facts.lws.leader_ready_first and not (containers_ready(leader) if is_hashed(leader) else leader.ready):
        return _of(group, Reason.WAITING_FOR_LEADER, "its workers start once the leader is ready")
    return _refused(facts, group, ("worker StatefulSet", name), "does not exist", "")


def _not_of_leader(group: GroupFacts, leader: PodReport, workers: StatefulSet) -> Finding:
    """The StatefulSet of the leader's name is an earlier leader's, nobody's, or somebody else's."""
    name, owner = workers.metadata.name, workers.metadata.controller
    if owner is not None and (owner.kind, owner.name) == ("Pod", leader.metadata.name):
        text = "belongs to the previous leader pod; the workers start once it has been garbage-collected"
        return _about(group, ("StatefulSet", name), Reason.WAITING_FOR_NAMES, text)
    whose = f"is controlled by {owner.kind} {owner.name}" if owner is not None else "has no owner"
    remedy = f"Delete or rename it: the group needs the name {name} for its own workers."
    return _about(group, ("StatefulSet", name), Reason.BLOCKED, f"is not the leader pod's: it {whose}", remedy)


def _worker_pods(facts: Facts, group: GroupFacts, workers: StatefulSet) -> Iterator[Finding]:
    wanted = 1 if workers.spec.replicas is None else workers.spec.replicas
    name = workers.metadata.name
    meant = workers_wanted(workers)
    if meant is not None and wanted != meant:
        who = f" ({group.scaled_by} scaled it)" if group.scaled_by else ""
        text = f"has {wanted} replicas{who}, but its group has {meant} workers"
        remedy = f"Scale it back: `kubectl scale statefulset {name} --replicas={meant}`."
        yield _about(group, ("StatefulSet", name), Reason.WORKERS_SCALED, text, remedy)
    if group.unlabelled:
        yield _lost_label(group)
    missing = wanted - len(group.workers) - len(group.unlabelled)
    if missing > 0:
        words = facts.failure(statefulset_reference(workers))
        yield _refused(facts, group, ("StatefulSet", name), f"lacks {missing} of its {wanted} pods", words, name)
    yield from _each(facts, group, group.workers)


def _each(facts: Facts, group: GroupFacts, pods: tuple[PodReport, ...]) -> Iterator[Finding]:
    for pod in pods:
        found = diagnose_pod(facts, pod, group.index)
        if found is not None:
            yield found


def _lost_label(group: GroupFacts) -> Finding:
    text = f"is there, but counts as missing, for it lost its label {labels.NAME}"
    remedy = "Put the label back, or delete the pod."
    return _about(group, ("worker pod", group.unlabelled[0]), Reason.LOST_LABEL, text, remedy)


def _refused(
    facts: Facts, group: GroupFacts, subject: tuple[str, str], text: str, words: str, creator: str = ""
) -> Finding:
    """Something does not exist; with the words of the event that tells why, if there is one.

    Where events were not read, it is told which StatefulSet's events, the ``creator``'s, are to be.
    """
    said = f"{text}: {quoted(words)}" if words else text
    if _LABEL_LIMIT in words:
        remedy = "Shorten the name of the set: with its highest group index it may have 51 characters."
        return _about(group, subject, Reason.NAME_TOO_LONG, said, remedy)
    if creator and not words and not facts.events_read:
        if too_long_for(facts.lws.name, group.size, group.index + 1):
            remedy = "Shorten the name of the set: with its highest group index it may have 51 characters."
            return _about(group, subject, Reason.NAME_TOO_LONG, said, remedy)
        return _about(group, subject, Reason.FAILED_CREATE, said, f"The events of StatefulSet {creator} say why.")
    return _about(group, subject, Reason.FAILED_CREATE if words else Reason.NOT_READY, said)


def _about(group: GroupFacts, subject: tuple[str, str], reason: Reason, text: str, remedy: str = "") -> Finding:
    return Finding(reason, text, remedy, group.index, *subject)


def _of(group: GroupFacts, reason: Reason, text: str, remedy: str = "") -> Finding:
    return Finding(reason, text, remedy, group.index)
