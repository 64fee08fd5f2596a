"""What the planner sees: a DisaggregatedSet and what belongs to it, at one moment (disaggregatedset 5, DD-20)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from lws.api.disaggregatedset import labels
from lws.api.disaggregatedset.resources import DISAGGREGATEDSETS
from lws.api.disaggregatedset.types import DisaggregatedSet, DisaggregatedSetRoleScaler
from lws.api.leaderworkerset.objects import Service
from lws.api.leaderworkerset.types import LeaderWorkerSet
from lws.apimachinery.objects import ObjectMeta

_INT32: Final = range(-(2**31), 2**31)
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Child:
    """A LeaderWorkerSet that the set controls."""

    lws: LeaderWorkerSet

    @property
    def name(self) -> str:
        """Its name, whoever chose it."""
        return self.lws.metadata.name

    @property
    def role(self) -> str:
        """The role that it serves."""
        return self.lws.metadata.label(labels.ROLE)

    @property
    def revision(self) -> str:
        """The revision that it runs."""
        return self.lws.metadata.label(labels.REVISION)

    @property
    def legacy(self) -> bool:
        """Whether release 0.9.0 made it, before there were slices."""
        return not self.lws.metadata.label(labels.SLICE)

    @property
    def slice(self) -> int | None:
        """The slice that it belongs to; None for a label that is no slice's."""
        return slice_of(self.lws.metadata)

    @property
    def replicas(self) -> int:
        """Groups that it is to have."""
        return self.lws.spec.replicas

    @property
    def going(self) -> bool:
        """Whether its deletion has begun."""
        return self.lws.metadata.deleting

    @property
    def recorded(self) -> int | None:
        """Its replicas when the rollout began that made it old; None when nobody wrote them down."""
        text = self.lws.metadata.annotation(labels.INITIAL_REPLICAS)
        if text is None or not re.fullmatch(r"[+-]?[0-9]{1,19}", text, re.ASCII) or int(text) not in _INT32:
            return None
        return int(text)

    @property
    def initial(self) -> int:
        """Replicas that a rollout takes as its beginning (DD-07)."""
        return max(self.recorded or 0, self.replicas)

    @property
    def observed(self) -> bool:
        """Whether its status describes its spec as it stands (DD-27)."""
        return self.lws.status.observed_generation in (0, self.lws.metadata.generation)

    @property
    def settled(self) -> bool:
        """Whether all its groups are ready."""
        return self.observed and self.lws.status.ready_replicas == self.replicas


@dataclass(frozen=True)
class Snapshot:
    """One DisaggregatedSet and what belongs to it.

    Attributes:
        ds: the set.
        target: the revision of its spec, or the one that means the same (DD-23).
        fault: why there is none: a template that nobody can read.
        children: every LeaderWorkerSet with its label and itself as the controller.
        services: every Service with its label, whoever owns it.
        scalers: every scaler with its label and itself as the controller.
        foreign_sets: LeaderWorkerSets of others under names that the set would give.
        foreign_scalers: scalers of others under such names.
    """

    ds: DisaggregatedSet
    target: str
    fault: str = ""
    children: tuple[Child, ...] = ()
    services: tuple[Service, ...] = ()
    scalers: tuple[DisaggregatedSetRoleScaler, ...] = ()
    foreign_sets: Mapping[str, ObjectMeta] = field(default_factory=dict)
    foreign_scalers: Mapping[str, ObjectMeta] = field(default_factory=dict)

    @cached_property
    def slices(self) -> tuple[SliceView, ...]:
        """Every slice that the set is to have."""
        members: dict[int | None, list[Child]] = {}
        for child in self.children:
            members.setdefault(child.slice, []).append(child)
        return tuple(SliceView.of(self, index, members.get(index, [])) for index in range(self.ds.spec.slices))

    @cached_property
    def child_uids(self) -> frozenset[str]:
        """Who else of the set's may own a Service."""
        return frozenset(child.lws.metadata.uid for child in self.children)

    def controls(self, meta: ObjectMeta) -> bool:
        """Whether the object is the set's own, or one of its children's."""
        owner = meta.controller
        return owner is not None and (owner.uid == self.ds.metadata.uid or owner.uid in self.child_uids)

    def inherited(self, meta: ObjectMeta) -> bool:
        """Whether an earlier set of this name left the object; the garbage collector is about to take it."""
        owner = meta.controller
        return owner is not None and (owner.kind, owner.name) == (DISAGGREGATEDSETS.kind, self.ds.metadata.name)


@dataclass(frozen=True, slots=True)
class SliceView:
    """The children of one slice.

    Attributes:
        index: which slice.
        target: children at the target revision, by role; of two for one role the one that bears the slice's label.
        old: every other child that is there to stay.
        going: children whose deletion has begun; they hold their names, and nothing is expected of them (DD-22).
    """

    index: int
    target: Mapping[str, Child]
    old: tuple[Child, ...]
    going: tuple[Child, ...]

    @classmethod
    def of(cls, snapshot: Snapshot, index: int, children: Sequence[Child]) -> SliceView:
        """The slice of these children."""
        roles = {role.name: place for place, role in enumerate(snapshot.ds.spec.roles)}
        target: dict[str, Child] = {}
        old, going = [], []
        for child in sorted(children, key=lambda each: (each.legacy, roles.get(each.role, len(roles)), each.role)):
            if child.going:
                going.append(child)
            elif child.revision == snapshot.target and child.role in roles and child.role not in target:
                target[child.role] = child
            else:
                old.append(child)
        return cls(index, target, tuple(old), tuple(going))

    @property
    def names(self) -> frozenset[str]:
        """Names that the slice's children have."""
        return frozenset(child.name for child in (*self.target.values(), *self.old, *self.going))

    @property
    def generations(self) -> tuple[tuple[Child, ...], ...]:
        """The old children by revision, the newest first; a revision is as old as its youngest child."""
        groups: dict[tuple[str, bool], list[Child]] = {}
        for child in self.old:
            groups.setdefault((child.revision, child.legacy), []).append(child)
        ages = {key: max(each.lws.metadata.creation_timestamp or "" for each in found) for key, found in groups.items()}
        return tuple(tuple(groups[key]) for key in sorted(groups, key=lambda key: (ages[key], key), reverse=True))


def slice_of(meta: ObjectMeta) -> int | None:
    """The slice that an object's label names: 0 without a label, None for a label that is no plain number."""
    text = meta.label(labels.SLICE)
    if not text:
        return 0
    return int(text) if _DECIMAL.fullmatch(text) else None
