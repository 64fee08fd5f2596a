"""Partition and replicas of the leader StatefulSet (spec 7, CD-13, CD-14).

Everything here is arithmetic on numbers and group states. ``R`` is the wanted number of groups, ``N`` and ``P`` are
replicas and partition of the leader StatefulSet as it is, ``Q`` is the user's partition, ``U`` and ``S`` the resolved
maxUnavailable and maxSurge. Groups come by index, those that exist; so no step takes longer because somebody wrote a
large number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lws.api.leaderworkerset import labels
from lws.api.leaderworkerset.objects import StatefulSet
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.integers import natural
from lws.apimachinery.intstr import scaled
from lws.errors import TerminalError
from lws.planning.leaderworkerset.groups import ABSENT, GroupState


@dataclass(frozen=True, slots=True)
class Budget:
    """The numbers of spec 7.1, resolved against the current number of replicas."""

    replicas: int
    max_unavailable: int = 1
    max_surge: int = 0
    partition: int = 0

    @classmethod
    def of(cls, lws: LeaderWorkerSet) -> Budget:
        """Resolve the live object: maxUnavailable rounded down, maxSurge rounded up and at most the replicas.

        Raises:
            TerminalError: a text that is no percentage, which only a missing webhook lets in.
        """
        replicas = lws.spec.replicas
        rolling = lws.spec.rollout_strategy.rolling_update_configuration
        try:
            unavailable = scaled(rolling.max_unavailable, replicas, round_up=False)
            surge = scaled(rolling.max_surge, replicas, round_up=True)
        except ValueError as error:
            message = f"spec.rolloutStrategy.rollingUpdateConfiguration: {error}"
            raise TerminalError(message, "correct maxUnavailable and maxSurge: an integer, or a text as 25%") from error
        return cls(replicas, max(0, unavailable), min(replicas, max(0, surge)), max(0, rolling.partition))

    @property
    def statefulset_max_unavailable(self) -> int:
        """What the leader StatefulSet itself is told at least: max(1, U + S)."""
        return max(1, self.max_unavailable + self.max_surge)

    @property
    def allowed_unavailable(self) -> int:
        """U, or 1 when U and S resolve to nothing, or the rollout would stand still for ever (CD-13)."""
        if not self.max_unavailable and not self.max_surge and self.replicas:
            return 1
        return self.max_unavailable

    @property
    def least_ready(self) -> int:
        """R - U: how many groups, those of the surge included, a rollout leaves ready if it finds as many."""
        return self.replicas - self.allowed_unavailable

    @property
    def burst(self) -> int:
        """The most groups that may exist: R + S."""
        return self.replicas + self.max_surge

    def wanted_replicas(self, unready: int) -> int:
        """How many groups to keep while ``unready`` of the wanted ones are not both ready and updated (spec 7.3)."""
        if unready <= self.max_surge:
            return self.replicas + max(0, unready - self.allowed_unavailable)
        return self.burst


@dataclass(frozen=True, slots=True)
class LeaderNumbers:
    """What the leader StatefulSet says now. Absent members read as the server defaults them (CD-09)."""

    replicas: int
    partition: int
    recorded_replicas: int | None
    max_unavailable: int | None = None

    @classmethod
    def of(cls, statefulset: StatefulSet) -> LeaderNumbers:
        """Read a live leader StatefulSet."""
        spec = statefulset.spec
        rolling = spec.update_strategy.rolling_update if spec.update_strategy is not None else None
        return cls(
            replicas=1 if spec.replicas is None else spec.replicas,
            partition=0 if rolling is None or rolling.partition is None else rolling.partition,
            recorded_replicas=natural(statefulset.metadata.annotation(labels.REPLICAS)),
            max_unavailable=rolling.max_unavailable if rolling and isinstance(rolling.max_unavailable, int) else None,
        )


@dataclass(frozen=True, slots=True)
class Decision:
    """What the leader StatefulSet is to say, and how that was found.

    ``case`` names the row of spec 7.4. ``unready`` is set in cases 4 and 5; step, tail, floor and below in case 5.
    """

    case: str
    partition: int
    replicas: int
    unready: int | None = None
    step: int | None = None
    tail: int | None = None
    floor: int | None = None
    below: int | None = None


def decide(
    budget: Budget, now: LeaderNumbers | None, groups: Mapping[int, GroupState], *, armed: bool, surging: bool
) -> Decision:
    """The decision table of spec 7.4: first match wins, and the partition is at least the user's.

    Args:
        budget: the resolved numbers.
        now: the leader StatefulSet, or None when there is none.
        groups: states of the groups that exist, by index; those from N on are ignored.
        armed: whether a new revision is being made in this pass.
        surging: whether a revision other than the current one exists; without one nothing needs surge (CD-14).
    """
    replicas = budget.replicas
    at_least = budget.partition
    if now is None:
        return Decision("1", max(0, at_least), replicas)
    if armed:
        partition = max(now.replicas, at_least)
        if now.replicas < replicas:
            return Decision("2a", partition, replicas)
        return Decision("2b", partition, _wanted(budget, replicas, surging=surging))
    if now.partition == 0 and now.replicas == replicas:
        return Decision("3a", max(0, at_least), replicas)
    if now.replicas < replicas:
        return Decision("3b", max(now.partition, at_least), replicas)
    groups = {index: state for index, state in groups.items() if index < now.replicas}
    unready = count_unready(groups, replicas)
    wanted = _wanted(budget, unready, surging=surging)
    if now.recorded_replicas is not None and now.recorded_replicas != replicas:
        return Decision("4", max(min(now.partition, budget.burst), at_least), wanted, unready)
    if surging and budget.partition < budget.replicas:
        wanted = _kept(budget, now, groups, wanted)
    return _advance(budget, now, groups, unready, wanted)


def count_unready(groups: Mapping[int, GroupState], replicas: int) -> int:
    """How many of the wanted groups are absent, unready or not updated."""
    return replicas - sum(1 for index, group in groups.items() if index < replicas and group.good)


def _wanted(budget: Budget, unready: int, *, surging: bool) -> int:
    """Replicas with the surge, if there is anything for it to cover: not if no group is to be updated (CD-43)."""
    return budget.wanted_replicas(unready) if surging and budget.partition < budget.replicas else budget.replicas


def _advance(
    budget: Budget, now: LeaderNumbers, groups: Mapping[int, GroupState], unready: int, wanted: int
) -> Decision:
    """Case 5: how far the partition may fall (spec 7.5)."""
    step = budget.allowed_unavailable + budget.max_surge - (budget.burst - now.replicas)
    tail = _good_tail(groups, now.replicas)
    floor = _floor(groups, now.replicas - tail, step)
    below = floor - sum(1 for index, group in groups.items() if index < floor and (group.ready or group.free))
    partition = floor + below
    top = min(partition, now.replicas - 1)
    if floor <= top:
        last = max((at for at, group in groups.items() if floor <= at <= top and group.outdated), default=floor - 1)
        partition = partition if last == top else last + 1
    partition = max(partition, _affordable(budget, groups, wanted))
    partition = max(min(partition, now.partition), budget.partition)
    return Decision("5", partition, wanted, unready, step, tail, floor, below)


def _kept(budget: Budget, now: LeaderNumbers, groups: Mapping[int, GroupState], wanted: int) -> int:
    """The surge is not taken down below what leaves R - U groups ready, be it that its lower ones are not (CD-82)."""
    if wanted >= now.replicas:
        return wanted
    staying = [at for at, group in groups.items() if group.ready and (group.updated or at < now.partition)]
    lacking = budget.least_ready - sum(at < wanted for at in staying)
    surge = sorted(at for at in staying if wanted <= at < budget.burst)
    return wanted if lacking <= 0 or not surge else surge[min(lacking, len(surge)) - 1] + 1


def _affordable(budget: Budget, groups: Mapping[int, GroupState], replicas: int) -> int:
    """The lowest partition that takes down no more ready groups than leaves R - U of them (CD-82).

    Groups that are down already have used their share of the budget up, wherever they are; those that wait for room and
    are to be replaced anyway have not (CD-36).
    """
    kept = {at: group for at, group in groups.items() if at < replicas}
    spare = max(0, sum(group.ready or group.free for group in kept.values()) - budget.least_ready)
    outdated = sorted((at for at, group in kept.items() if group.outdated), reverse=True)
    return outdated[spare] + 1 if spare < len(outdated) else 0


def _floor(groups: Mapping[int, GroupState], end: int, step: int) -> int:
    """How far down from ``end`` the step reaches; groups that wait for room cost none of it (CD-36)."""
    for index in sorted((at for at, group in groups.items() if at < end and group.free), reverse=True):
        above = end - 1 - index
        if above > step:
            break
        step -= above
        end = index
    return max(0, end - step)


def _good_tail(groups: Mapping[int, GroupState], replicas: int) -> int:
    """Length of the longest run of good groups at the end."""
    tail = 0
    while groups.get(replicas - 1 - tail, ABSENT).good:
        tail += 1
    return tail
