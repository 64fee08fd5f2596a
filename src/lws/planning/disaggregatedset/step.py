"""The next step of a coordinated rollout, as the reference takes it (disaggregatedset 6.3).

Old and new groups of every role move in proportion: the new side climbs levels that all roles share, the old side
drains by the fraction that the slowest role has drained. `lws.planning.disaggregatedset.guard` decides which part of
a step may be taken at once. All numbers are replicas in one slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

Counts: TypeAlias = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class RoleState:
    """One role in a rollout.

    Attributes:
        initial: old replicas when the rollout began (I).
        old: replicas of all old revisions now (O).
        new: replicas of the target revision now (N).
        target: replicas that are wanted in the end (T); 0 for a role that was removed.
        surge: replicas allowed above the target (S).
        unavailable: replicas that may be missing (U).
    """

    initial: int
    old: int
    new: int
    target: int
    surge: int = 1
    unavailable: int = 0

    @property
    def batch(self) -> int:
        """How many replicas may move at once."""
        return self.surge or max(1, self.unavailable)

    @property
    def ceiling(self) -> int:
        """How many replicas the role may have while it moves."""
        return self.target + self.surge

    @property
    def settled_floor(self) -> int:
        """Old replicas that must stay as long as new ones are missing; 0 for a role that grows."""
        return max(0, self.target - self.unavailable - self.new) if self.initial >= self.target else 0


class Step(NamedTuple):
    """Replicas of every role after a step; `next_step` may ask for more old replicas than there are, never fewer."""

    old: Counts
    new: Counts


def next_step(roles: Sequence[RoleState]) -> Step | None:
    """The step that follows from this state; None when the rollout is finished, or stuck."""
    old, new = tuple(role.old for role in roles), tuple(role.new for role in roles)
    updated = all(role.new >= role.target for role in roles)
    levels = _levels(roles)
    if (updated and not any(old)) or levels == 0:
        return None
    if any(role.old > role.initial for role in roles):
        return Step(tuple(min(role.initial, role.old) for role in roles), new)
    if updated:
        return Step((0,) * len(roles), new)
    raised = rise(roles)
    within = all(role.old + up <= role.ceiling for role, up in zip(roles, raised, strict=True) if role.target)
    if raised != new and within:
        return Step(old, raised)
    drained = _together(roles, _proportional(roles, levels), new)
    if _falls(roles, drained):
        return Step(drained, new)
    forced = _forced(roles, raised)
    return Step(_together(roles, forced, raised), raised) if _falls(roles, forced) else None


def rise(roles: Sequence[RoleState]) -> Counts:
    """New replicas of every role at the next level that all roles reach together (rule 4)."""
    levels = _levels(roles)
    reached = min((role.new * levels // role.target for role in roles if role.target), default=levels)
    level = min(levels, reached) + 1
    return tuple(max(role.new, min(role.target, -(-level * role.target // (levels or 1)))) for role in roles)


def _levels(roles: Sequence[RoleState]) -> int:
    return max((-(-max(role.initial, role.target) // role.batch) for role in roles), default=0)


def _proportional(roles: Sequence[RoleState], levels: int) -> Counts:
    """Rule 6: one level further than the role that has drained most."""
    level = 1 + max((_drained_level(role, levels) for role in roles if role.initial), default=0)
    wanted = (max(0, role.initial - level * role.initial // levels) for role in roles)
    return tuple(max(role.settled_floor, min(role.old, kept)) for role, kept in zip(roles, wanted, strict=True))


def _drained_level(role: RoleState, levels: int) -> int:
    return (role.initial - role.old) * levels // role.initial


def _forced(roles: Sequence[RoleState], raised: Counts) -> Counts:
    """Rule 7: what has to go for the next level to fit under the ceiling."""
    kept = []
    for role, up in zip(roles, raised, strict=True):
        floor = max(0, role.target - role.unavailable - up) if role.initial >= role.target else 0
        kept.append(max(floor, 0, min(role.old, role.ceiling - up)))
    return tuple(kept)


def _together(roles: Sequence[RoleState], old: Counts, new: Counts) -> Counts:
    """No role of the old revision is left without the others: all go at once, or one replica of each stays."""
    present = [count for role, count in zip(roles, old, strict=True) if role.initial]
    if all(present) or not any(present):
        return old
    shrinking = (pair for pair in zip(roles, new, strict=True) if pair[0].initial >= pair[0].target)
    if all(up >= role.target - role.unavailable for role, up in shrinking):
        return (0,) * len(roles)
    return tuple(max(1, count) if role.initial else count for role, count in zip(roles, old, strict=True))


def _falls(roles: Sequence[RoleState], old: Counts) -> bool:
    return any(count < role.old for role, count in zip(roles, old, strict=True))
