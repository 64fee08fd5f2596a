"""Why a pod has no node: gates, the scheduler's words, and who holds the topology domains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lws.api.leaderworkerset import labels
from lws.apimachinery.integers import natural
from lws.planning.leaderworkerset.diagnosis import gangs
from lws.planning.leaderworkerset.diagnosis.facts import QUEUE, WORKLOAD, Facts, Holder
from lws.planning.leaderworkerset.diagnosis.findings import Finding, Reason
from lws.planning.leaderworkerset.diagnosis.objects import PodReport
from lws.planning.leaderworkerset.diagnosis.quoting import after_colon, listed, quoted

_KUEUE: Final = "kueue.x-k8s.io/"


def unscheduled(facts: Facts, pod: PodReport) -> Finding:
    """Why a pod without a node has none."""
    if pod.spec.scheduling_gates:
        return _gated(facts, pod)
    waiting = gangs.waiting_member(facts, pod)
    if waiting is not None:
        return waiting
    scheduled = pod.condition("PodScheduled")
    if scheduled is None or scheduled.status != "False":
        scheduler = pod.spec.scheduler_name or "default-scheduler"
        return Finding(
            Reason.UNSCHEDULABLE,
            f"has not been considered by scheduler {scheduler} yet",
            "" if scheduler == "default-scheduler" else f"Check that scheduler {scheduler} runs.",
        )
    text = f"finds no node{after_colon(scheduled.message or scheduled.reason)}"
    held = _held_domains(facts, pod)
    return Finding(Reason.TOPOLOGY_HELD, text, held) if held else Finding(Reason.UNSCHEDULABLE, text)


def _gated(facts: Facts, pod: PodReport) -> Finding:
    gates = [gate.name for gate in pod.spec.scheduling_gates or ()]
    text = f"is held by scheduling gates {listed(gates)}"
    if any(gate.startswith(_KUEUE) for gate in gates):
        return _queued(facts, pod, text)
    return Finding(Reason.GATED, text, "The controller that set a gate must remove it.")


def _queued(facts: Facts, pod: PodReport, text: str) -> Finding:
    """A pod that Kueue holds: its Workload has the cause in words."""
    queue, name = pod.metadata.label(QUEUE), pod.metadata.label(WORKLOAD)
    where = f" (LocalQueue {queue})" if queue else ""
    if not name or name not in facts.workloads:
        look = f"kubectl describe workload {name}".rstrip()
        return Finding(Reason.GATED, f"{text}{where}: Kueue has not admitted it", f"`{look}` has the cause.")
    workload = facts.workloads[name]
    if workload is None:
        return Finding(Reason.GATED, f"{text}{where}: Kueue has no Workload {name} for it", _no_workload(facts, pod))
    finished = workload.condition("Finished")
    if finished is not None and finished.status == "True":
        why = finished.reason or finished.message
        remedy = f"Delete it, and Kueue makes one that fits: `kubectl delete workload {name}`."
        return Finding(Reason.GATED, f"{text}{where}: its Workload {name} is Finished ({why})", remedy)
    for kind in ("QuotaReserved", "Admitted", "Evicted"):
        condition = workload.condition(kind)
        if condition is not None and condition.status == ("True" if kind == "Evicted" else "False"):
            return Finding(Reason.GATED, f"{text}{where}: Workload {name}: {quoted(condition.message)}")
    return Finding(Reason.GATED, f"{text}{where}: Workload {name} is waiting in the queue")


def _no_workload(facts: Facts, pod: PodReport) -> str:
    """Kueue makes no Workload for the groups of a surge that is a percentage (CD-90)."""
    index = natural(pod.metadata.label(labels.GROUP_INDEX))
    if index is not None and index >= facts.lws.replicas:
        return f"Kueue takes a percentage in maxSurge for 0: write a number, such as {facts.lws.max_surge or 1}."
    return "Check that Kueue runs and that its pod integration is enabled for this namespace."


def _held_domains(facts: Facts, pod: PodReport) -> str:
    """Who occupies the domains of exclusive placement, for the leader that needs one to itself."""
    key = facts.lws.topology
    if not key or pod.metadata.label(labels.WORKER_INDEX) != labels.LEADER_INDEX:
        return ""
    asked = f"Annotation {labels.EXCLUSIVE_TOPOLOGY} requires a {key} of its own for each group"
    if facts.domains is not None and not facts.domains:
        return f"{asked}, and no node has that label: fix the annotation, or label the nodes."
    own = (facts.lws.metadata.namespace, facts.lws.name, pod.metadata.label(labels.GROUP_INDEX))
    others = [one for one in facts.holders if (one.namespace, one.set_name, one.group) != own]
    holders: dict[str, str] = {}
    for one in others:
        holders.setdefault(one.domain, f"{one.domain} by group {one.group} of {one.namespace}/{one.set_name}")
    if not holders:
        return f"{asked}."
    free = sorted(facts.domains - set(holders)) if facts.domains is not None else []
    rest = f"; {listed(free)} has no other group, but the pod does not fit there" if free else ""
    taken = listed(holders[domain] for domain in sorted(holders))
    return f"{asked}; taken: {taken}{rest}.{_outranked(pod, others)}"


def _outranked(pod: PodReport, others: Sequence[Holder]) -> str:
    """Priority alone frees no domain: the scheduler preempts on one node, and a group holds several (spec 13.1)."""
    mine = pod.spec.priority
    if mine is None:
        return ""
    lower = {one.domain for one in others if one.priority is not None and one.priority < mine}
    if not lower:
        return ""
    return (
        f" Priority {mine} does not help it: the scheduler preempts on one node only, so groups of lower priority "
        f"stay in {listed(sorted(lower))}. Scale down or delete their sets."
    )
