"""What a planner sees: objects as they were in the caches at one moment, frozen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import (
    ControllerRevision,
    Deployment,
    Node,
    Pod,
    PodGroup,
    Service,
    StatefulSet,
    controlled_by,
)
from lws.api.leaderworkerset.policies import DEFAULTS, NOTHING_CHOSEN, Chosen, SetPolicies
from lws.api.leaderworkerset.status import Failure, GroupRestarts, RolloutStatus, SuspectNode
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Applied
from lws.apimachinery.manifests import JSON
from lws.apimachinery.moments import EPOCH
from lws.planning.leaderworkerset.disruption import NOT_ASKED, BudgetsSeen
from lws.planning.leaderworkerset.grace import Healing
from lws.planning.leaderworkerset.groups import base_name
from lws.planning.leaderworkerset.groupstatus import Lookup
from lws.planning.leaderworkerset.members import MemberRecord
from lws.planning.leaderworkerset.nodes import NodesSeen, Reread
from lws.planning.leaderworkerset.prerequisites import NOTHING_SEEN, Seen
from lws.planning.leaderworkerset.records import NONE as NO_RECORDS
from lws.planning.leaderworkerset.records import Records
from lws.planning.leaderworkerset.revisions import Contents
from lws.planning.leaderworkerset.statuspacing import UNKNOWN, Pacing


@dataclass(frozen=True, slots=True)
class SetSnapshot:
    """One LeaderWorkerSet and what belongs to it.

    Attributes:
        lws: the set.
        leader_statefulset: the StatefulSet of its name, whoever owns it.
        leader_deployment: the Deployment of its name, whoever owns it.
        no_deployments: why the API server has no Deployments for us; empty if it has.
        statefulsets: every StatefulSet with its label, by name.
        leaders: every pod with its label and worker index 0.
        revisions: every ControllerRevision with its label.
        service: the Service of its name, if a Service with our label has it.
        applied: what our last apply left behind; None after a start.
        pacing: what is remembered of the statuses that we wrote.
        one_by_one: whether the StatefulSet controller was seen to ignore maxUnavailable.
        no_pod_groups: why the API server has no PodGroups for us, if a group waits for one; else empty (CD-44).
        chosen: what the set has chosen beyond the reference.
        records: what is remembered of its failures.
        news_age: for how many seconds some of that is not in the status; None if all is.
        told: what our last write of the status said beyond the reference.
        scheduling: what there is of typed scheduling.
        rollout: what the rollout has to remember.
        place: whether a group of this set may be moved off a node that is to be emptied now (resilience 6.3).
        holding: whether that counts among the moves of the cluster.
        budgets: what there is of PodDisruptionBudgets.
        suspects: nodes that its recreated groups avoid.
        lookup: looks up what explains trouble; None leaves status.groups as it is.
        unready_since: since when groups are known to be not as wanted of which no object tells, by index.
        contents: memo of revision contents.
    """

    lws: LeaderWorkerSet
    leader_statefulset: StatefulSet | None = None
    leader_deployment: Deployment | None = None
    no_deployments: str = ""
    statefulsets: Mapping[str, StatefulSet] = field(default_factory=dict)
    leaders: tuple[Pod, ...] = ()
    revisions: tuple[ControllerRevision, ...] = ()
    service: Service | None = None
    applied: Applied | None = None
    pacing: Pacing = UNKNOWN
    one_by_one: bool = False
    no_pod_groups: str = ""
    chosen: Chosen = NOTHING_CHOSEN
    records: Records = NO_RECORDS
    news_age: float | None = None
    told: JSON = field(default_factory=dict)
    scheduling: Seen = NOTHING_SEEN
    rollout: RolloutStatus | None = None
    place: bool = True
    holding: bool = False
    budgets: BudgetsSeen = NOT_ASKED
    suspects: tuple[SuspectNode, ...] = ()
    lookup: Lookup | None = None
    unready_since: Mapping[int, datetime] = field(default_factory=dict)
    contents: Contents = field(default_factory=Contents)

    @property
    def policies(self) -> SetPolicies:
        """What holds for the set."""
        return self.chosen.policies


@dataclass(frozen=True, slots=True)
class GroupSnapshot:
    """One group: what both pod reconcilers look at.

    Attributes:
        lws: the set, or None when it is gone.
        leader: the leader pod by its name, or None when it is gone.
        worker_statefulset: the StatefulSet that has the name of the group's workers, whoever owns it.
        leader_statefulset: the StatefulSet of the set's name.
        leader_deployment: the Deployment of the set's name.
        peers: the leaders of the set, if this one is known by a key, and gated or exhausted.
        terminating: how many groups of the set have pods, and no leader that lives.
        unprepared: the PodGroup of ``scheduling.k8s.io`` that this gated leader lacks; empty if it lacks none.
        group_pods: pods with the set's label and the group's index, terminating ones included (spec 9.3).
        workers: pods named ``<base>-<ordinal>``, by name, whoever owns them.
        revisions: every ControllerRevision with the set's label.
        service: the Service of the group's name.
        pod_group: the PodGroup that the leader's annotation names.
        no_pod_groups: why the API server has no PodGroups for us; empty if it has (CD-44).
        node: the node that the leader is bound to.
        record: what is remembered of the group's members (CD-01).
        going: the leader UID whose deletion we have already asked for.
        settled: by pod UID, how many restarts count no more; None at the first look.
        released: UIDs of workers that are there without our label, so that no cache shows them, by name.
        now: the time.
        policies: what the set has chosen.
        entry: how often the group failed, and until when it waits.
        noted: UIDs of leaders whose failure is recorded.
        healing: what is remembered of a group that is given time to get over failures; None before the first look.
        failure: what is recorded of one that it has not got over.
        nodes: nodes of the group's pods, None for one that does not exist.
        ended: pods of the group that are gone and tell why, by name.
        repairs: how often the number of workers was put back within an hour.
        silent: nodes of the group that nothing is heard of; None without any, or if the set does not ask for releases.
        reread: what a fresh read of its pods told in this pass, by UID.
        contents: memo of revision contents.
    """

    lws: LeaderWorkerSet | None
    leader: Pod | None
    worker_statefulset: StatefulSet | None = None
    leader_statefulset: StatefulSet | None = None
    leader_deployment: Deployment | None = None
    peers: tuple[Pod, ...] = ()
    terminating: int = 0
    unprepared: str = ""
    group_pods: tuple[Pod, ...] = ()
    workers: Mapping[str, Pod] = field(default_factory=dict)
    revisions: tuple[ControllerRevision, ...] = ()
    service: Service | None = None
    pod_group: PodGroup | None = None
    no_pod_groups: str = ""
    node: Node | None = None
    record: MemberRecord | None = None
    going: str = ""
    released: Mapping[str, str] = field(default_factory=dict)
    settled: Mapping[str, int] | None = None
    now: datetime = EPOCH
    policies: SetPolicies = DEFAULTS
    entry: GroupRestarts | None = None
    noted: frozenset[str] = frozenset()
    healing: Healing | None = None
    failure: Failure | None = None
    nodes: Mapping[str, Node | None] = field(default_factory=dict)
    ended: Mapping[str, Pod] = field(default_factory=dict)
    repairs: int = 0
    silent: NodesSeen | None = None
    reread: Mapping[str, Reread] = field(default_factory=dict)
    contents: Contents = field(default_factory=Contents)

    @property
    def worker_set_of_leader(self) -> StatefulSet | None:
        """The worker StatefulSet, if its controller is this very leader pod (CD-22)."""
        if self.leader is None or self.worker_statefulset is None:
            return None
        return self.worker_statefulset if controlled_by(self.worker_statefulset.metadata, self.leader) else None

    @property
    def served(self) -> bool:
        """Whether anything is done for the group: its set is there, or is held while its groups go on (CD-46)."""
        if self.lws is None:
            return False
        made_by = self.leader_deployment if self.lws.spec.hashed else self.leader_statefulset
        return not self.lws.metadata.deleting or (made_by is not None and not made_by.metadata.deleting)

    @property
    def base(self) -> str:
        """What the group's worker StatefulSet is named, and its workers before their ordinals; empty if it is gone."""
        return "" if self.leader is None else base_name(self.leader, self.worker_statefulset)

    @property
    def group_index(self) -> str:
        """The leader's group index label; empty when it has none or is gone."""
        return self.leader.metadata.label(labels.GROUP_INDEX) if self.leader is not None else ""
