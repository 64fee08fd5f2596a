"""A whole cluster as one LeaderWorkerSet sees it, for tests of planners."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from lws.api.leaderworkerset.objects import ControllerRevision, Pod, StatefulSet
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.actions import Applied, Plan
from lws.planning.leaderworkerset.sets import plan_leaderworkerset
from lws.planning.leaderworkerset.snapshots import SetSnapshot
from tests.planning import making


@dataclass
class World:
    """At rest unless changed: every group complete, ready and of the current revision, and the status says so."""

    lws: LeaderWorkerSet
    statefulset: StatefulSet | None = None
    leaders: list[Pod] = field(default_factory=list)
    workers: dict[str, StatefulSet] = field(default_factory=dict)
    revisions: list[ControllerRevision] = field(default_factory=list)
    service: Any = field(default_factory=making.service)
    applied: Applied | None = None

    @classmethod
    def at_rest(cls, **arguments: Any) -> World:
        """A set whose world is as desired, the status included."""
        owner = making.lws(**arguments)
        key, replicas = making.key_of(owner), owner.spec.replicas
        size = owner.spec.leader_worker_template.size
        user_partition = owner.spec.rollout_strategy.rolling_update_configuration.partition
        world = cls(
            owner,
            making.leader_set(key, replicas=replicas, partition=user_partition),
            [making.leader(index, key, size=size) for index in range(replicas)],
            {} if size == 1 else {f"{making.NAME}-{i}": making.worker_set(i, key, size=size) for i in range(replicas)},
            [making.revision(owner)],
        )
        world.settle()
        return world

    def settle(self) -> None:
        """Take over what the plan writes: the status, and the memory of the apply."""
        plan = self.plan()
        apply, status = making.applied(plan), making.status_of(plan)
        if apply is not None and self.statefulset is not None:
            self.applied = Applied.left(apply.digest, self.statefulset.metadata)
        if status is not None:
            self.write_status(status)

    def write_status(self, status: dict[str, Any]) -> None:
        """The set with this status."""
        read = type(self.lws.status).model_validate(status)
        self.lws = self.lws.model_copy(update={"status": read})

    def edit(self, **arguments: Any) -> None:
        """The user edits the set: a new generation, the same status."""
        arguments.setdefault("metadata", {"generation": self.lws.metadata.generation + 1})
        self.lws = making.lws(**arguments).model_copy(update={"status": self.lws.status})

    def snapshot(self) -> SetSnapshot:
        """What the planner sees."""
        return SetSnapshot(
            lws=self.lws,
            leader_statefulset=self.statefulset,
            statefulsets={**self.workers, **({self.lws.metadata.name: self.statefulset} if self.statefulset else {})},
            leaders=tuple(self.leaders),
            revisions=tuple(self.revisions),
            service=self.service,
            applied=self.applied,
        )

    def plan(self) -> Plan:
        """One pass."""
        return plan_leaderworkerset(self.snapshot(), making.NOW)
