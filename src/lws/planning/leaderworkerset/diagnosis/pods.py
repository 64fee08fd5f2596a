"""Why one pod is not ready."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from lws.planning.leaderworkerset.diagnosis import containers, scheduling
from lws.planning.leaderworkerset.diagnosis.facts import Facts, pod_reference
from lws.planning.leaderworkerset.diagnosis.findings import Finding, Reason
from lws.planning.leaderworkerset.diagnosis.objects import PodReport
from lws.planning.leaderworkerset.diagnosis.quoting import after_colon, listed
from lws.planning.leaderworkerset.groups import is_leader
from lws.planning.leaderworkerset.nodes import MOUNTS, NOT_RELEASED

OUT_OF_SERVICE = "node.kubernetes.io/out-of-service=nodeshutdown:NoExecute"
_PROPAGATION = ("foregroundDeletion", "orphan")


def diagnose_pod(facts: Facts, pod: PodReport, group: int | None = None) -> Finding | None:
    """Why a pod is not ready, or None when it is ready and stays."""
    found = _judge(facts, pod)
    if found is None:
        return None
    noun = "leader pod" if is_leader(pod) else "worker pod"
    node = "" if found.reason in (Reason.GATED, Reason.UNSCHEDULABLE) else pod.spec.node_name
    return replace(found, group=group, noun=noun, name=pod.metadata.name, node=node)


def _judge(facts: Facts, pod: PodReport) -> Finding | None:
    ending = pod.metadata.deleting
    if pod.ready and not ending:
        return None
    lost = _lost_node(facts, pod)
    if lost is not None:
        return lost
    if ending:
        return _ending(pod)
    if pod.status.phase in ("Failed", "Succeeded"):
        return _finished(pod)
    if not pod.spec.node_name:
        return scheduling.unscheduled(facts, pod)
    return containers.of_containers(facts, pod)


def _lost_node(facts: Facts, pod: PodReport) -> Finding | None:
    name = pod.spec.node_name
    if name not in facts.nodes:
        return None
    node, kept = facts.nodes[name], _kept(facts, pod)
    stays = f", and is not released: {kept}" if kept else ""
    if node is None:
        remedy = f"Delete the pod with --force if the machine of node {name} is gone."
        return Finding(Reason.NODE_LOST, f"is on node {name}, which no longer exists{stays}", remedy)
    condition = node.not_ready
    if condition is None:
        return None
    since = f" since {condition.last_transition_time}" if condition.last_transition_time else ""
    remedy = (
        f"If the machine is gone, delete Node {name}; if it is shut down for good, "
        f"`kubectl taint node {name} {OUT_OF_SERVICE}`."
    )
    if kept:  # the same in fewer words: a message of the status has little room
        remedy = f"If its machine is off, delete Node {name}, or taint it {OUT_OF_SERVICE.partition('=')[0]}."
    return Finding(Reason.NODE_LOST, f"is on node {name}, which is not ready{since}{stays}", remedy)


def _kept(facts: Facts, pod: PodReport) -> str:
    """Why a pod is not let go from its lost node, by what is known or by the event that told it (resilience 6.2)."""
    if pod.metadata.name in facts.kept:
        return facts.kept[pod.metadata.name]
    told = (each.message for each in facts.warnings(pod_reference(pod)) if each.reason == NOT_RELEASED)
    why = (note.partition(": ")[2].partition("; ")[0] for note in told)
    return next((each for each in why if each.startswith(MOUNTS)), "")


def _ending(pod: PodReport) -> Finding:
    """Kubernetes writes the deadline into ``deletionTimestamp``: it began a grace period earlier."""
    began = began_ending(pod)
    grace = pod.metadata.deletion_grace_period_seconds or 0
    text = f"has been terminating since {began} (grace period {grace} s)"
    finalizers = [one for one in pod.metadata.finalizers or () if one not in _PROPAGATION]
    if finalizers:
        remedy = "The controller that set a finalizer must remove it: check that it runs."
        return Finding(Reason.TERMINATING, f"{text}, held by finalizers {listed(finalizers)}", remedy)
    return Finding(Reason.TERMINATING, text)


def began_ending(pod: PodReport) -> str:
    """When the deletion of a pod was asked for; its ``deletionTimestamp`` is when its grace is over."""
    stamp = pod.metadata.deletion_timestamp or ""
    try:
        deadline = datetime.fromisoformat(stamp)
    except ValueError:
        return stamp
    start = deadline - timedelta(seconds=pod.metadata.deletion_grace_period_seconds or 0)
    return start.isoformat(timespec="seconds").replace("+00:00", "Z")


def _finished(pod: PodReport) -> Finding:
    """A pod that the kubelet gave up, or whose containers all ended."""
    status = pod.status
    said = ": ".join(part for part in (status.reason, status.message) if part)
    ended = [(one.name, how) for one in status.container_statuses or () if (how := one.terminated) is not None]
    bad = next(((name, how) for name, how in ended if how.exit_code), None)
    if not said and bad is not None:
        said = f"container {bad[0]} {containers.exited(bad[1])}"
    return Finding(Reason.CRASH_LOOP, f"has {status.phase.lower()}{after_colon(said)}")
