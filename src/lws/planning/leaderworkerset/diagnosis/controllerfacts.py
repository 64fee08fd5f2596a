"""The facts of a diagnosis out of what the controller caches; of events, only those about PodGroups are among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import Pod
from lws.api.leaderworkerset.types import LEADER_READY, UNIQUE_PER_REPLICA
from lws.apimachinery.integers import natural
from lws.planning.leaderworkerset.diagnosis.facts import Facts, GangFacts, GroupFacts, SetFacts
from lws.planning.leaderworkerset.groups import ABSENT, GroupState, base_name, is_leader, size_of, workers_of
from lws.planning.leaderworkerset.nodes import mounts, node_lost
from lws.planning.leaderworkerset.rollout import Budget

if TYPE_CHECKING:
    from lws.planning.leaderworkerset.groupstatus import Lookup
    from lws.planning.leaderworkerset.snapshots import SetSnapshot


def of_set(snapshot: SetSnapshot) -> Facts:
    """The set, without its groups."""
    lws, budget = snapshot.lws, Budget.of(snapshot.lws)
    spec, status = lws.spec, lws.status
    facts = SetFacts(
        metadata=lws.metadata,
        replicas=spec.replicas,
        size=spec.leader_worker_template.size,
        leader_ready_first=spec.startup_policy == LEADER_READY,
        subdomain_per_group=spec.network_config.subdomain_policy == UNIQUE_PER_REPLICA,
        partition=budget.partition,
        allowed_unavailable=budget.allowed_unavailable,
        max_surge=budget.max_surge,
        observed_generation=status.observed_generation,
        ready=status.ready_replicas,
        updated=status.updated_replicas,
        present=status.replicas,
        conditions=status.conditions,
        hashed=spec.hashed,
    )
    made_by = snapshot.leader_deployment if spec.hashed else snapshot.leader_statefulset
    return Facts(facts, made_by, events_read=False)


def missing(index: int) -> GroupFacts:
    """A group that has no leader."""
    return GroupFacts(index, ABSENT)


def group(
    snapshot: SetSnapshot,
    facts: Facts,
    index: int,
    leader: Pod,
    pods: Sequence[Pod],
    state: GroupState,
    lookup: Lookup,
    now: datetime,
) -> tuple[Facts, GroupFacts]:
    """One group, and the facts of the set with what explains its trouble; nodes only if they are lost."""
    workers = sorted((pod for pod in pods if not is_leader(pod)), key=_worker_index)
    size = size_of(leader, snapshot.lws, snapshot.revisions, snapshot.contents)
    worker_set = workers_of(leader, snapshot.statefulsets)
    unlabelled = tuple(lookup.unlabelled(leader.metadata.name))
    base = base_name(leader, worker_set)
    found = GroupFacts(index, state, size, leader, tuple(workers), worker_set, base=base, unlabelled=unlabelled)
    seen = lookup.nodes([pod.spec.node_name for pod in pods if pod.spec.node_name])
    nodes = {name: node for name, node in seen.items() if node_lost(node, now)}
    domains, holders = None, facts.holders
    waiting = [pod for pod in pods if not pod.spec.node_name]
    if facts.lws.topology and waiting:
        domains, holders = lookup.topology(facts.lws.topology)
    return replace(
        facts,
        groups=(found,),
        nodes=nodes,
        domains=domains,
        holders=holders,
        gangs=_gangs(waiting, lookup),
        kept=_kept(snapshot, pods, lookup),
    ), found


def _kept(snapshot: SetSnapshot, pods: Sequence[Pod], lookup: Lookup) -> dict[str, str]:
    """Pods that the set does not want to be let go from a lost node, for they may write to a claim."""
    release = snapshot.policies.release_lost_nodes_after
    if not release.seconds or release.any_claim:
        return {}
    found = {pod.metadata.name: lookup.claims(pod.metadata.uid) for pod in pods}
    return {name: mounts(claims) for name, claims in found.items() if claims}


def _gangs(waiting: Sequence[Pod], lookup: Lookup) -> dict[str, GangFacts | None]:
    if lookup.gang is None:
        return {}
    names = {pod.metadata.annotation(labels.POD_GROUP_NAME) or "" for pod in waiting} - {""}
    return {name: lookup.gang(name) for name in sorted(names)}


def _worker_index(pod: Pod) -> int:
    index = natural(pod.metadata.label(labels.WORKER_INDEX))
    return -1 if index is None else index
