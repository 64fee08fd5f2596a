"""What a DisaggregatedSet looks like to who watches over it: its roles counted, and how far its rollout has come.

Counted is what the caches hold, never what an earlier plan said. When a rollout moved last comes from the API, so that
a change of leader or a restart does not begin it anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from lws.api.disaggregatedset import labels
from lws.api.disaggregatedset.types import DisaggregatedSet
from lws.apimachinery.conditions import find
from lws.apimachinery.objects import Condition
from lws.planning.disaggregatedset import pace, status
from lws.planning.disaggregatedset.snapshots import Child, Snapshot

_AVAILABLE: Final = "Available"  # of a LeaderWorkerSet: all of its groups are ready


@dataclass(frozen=True, slots=True)
class Census:
    """A DisaggregatedSet at one moment. Groups are those of all slices.

    Attributes:
        desired: groups that each role is to have; an External role without a scaler is left out.
        ready: ready groups of each role, of every revision.
        updated: of the desired groups, those that are ready at the target revision.
        awaited: groups of the target revision that are not ready, for which a rollout in progress waits; 0 without one.
        last_progress: when the rollout in progress moved last, as the API writes it; empty without one.
        blocked: whether condition Blocked is True.
    """

    desired: Mapping[str, int]
    ready: Mapping[str, int]
    updated: int
    awaited: int
    last_progress: str
    blocked: bool

    @property
    def progress(self) -> float:
        """The share of the desired groups that are updated."""
        desired = sum(self.desired.values())
        return self.updated / desired if desired else 1.0


def take_census(snapshot: Snapshot) -> Census:
    """Count the groups of one set by its children's status; the cost follows the children."""
    spec = snapshot.ds.spec
    scales = {each.metadata.label(labels.ROLE): each.spec.replicas for each in snapshot.scalers}
    counts = {role.name: pace.wanted(role, scales) for role in spec.roles}
    desired = {role: count * spec.slices for role, count in counts.items() if count is not None}
    rolling = not snapshot.fault and any(child.replicas for view in snapshot.slices for child in view.old)
    target = [child for view in snapshot.slices for child in view.target.values()]
    blocked = find(snapshot.ds.status.conditions, status.BLOCKED)
    return Census(
        desired=desired,
        ready={role.name: _ready(snapshot.children, role.name) for role in spec.roles},
        updated=sum(min(count, _ready(target, role)) for role, count in desired.items()),
        awaited=sum(max(0, each.replicas - each.lws.status.ready_replicas) for each in target) if rolling else 0,
        last_progress=_last_progress(snapshot.ds, target) if rolling else "",
        blocked=blocked is not None and blocked.status == "True",
    )


def _ready(children: Sequence[Child], role: str) -> int:
    return sum(child.lws.status.ready_replicas for child in children if child.role == role)


def _last_progress(ds: DisaggregatedSet, target: list[Child]) -> str:
    """Of what the set and its target children tell, the latest.

    A step adds groups to a child, which ends its being available, until they are ready. Before there is a child, the
    rollout has come no further than its begin.
    """
    times = [ds.metadata.creation_timestamp, _turned(ds.status.conditions, status.PROGRESSING.type)]
    for child in target:
        times += [child.lws.metadata.creation_timestamp, _turned(child.lws.status.conditions, _AVAILABLE)]
    return max(filter(None, times), default="")


def _turned(conditions: tuple[Condition, ...], kind: str) -> str | None:
    condition = find(conditions, kind)
    return condition.last_transition_time if condition is not None else None
