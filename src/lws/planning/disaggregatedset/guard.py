"""The guarded step: the reference's step, cut to what keeps capacity and ceiling (disaggregatedset 12.1, DD-05).

Guarantees, for a rollout whose new replicas are ready before each step:
    * no role falls below min(initial, target) - unavailable replicas, old and new together;
    * no role rises above max(initial, target) + surge;
    * it ends with every role at its target and nothing old.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from lws.planning.disaggregatedset.step import Counts, RoleState, Step, next_step, rise


def guarded_step(roles: Sequence[RoleState]) -> Step | None:
    """The step to take; None when there is none. Never fewer new replicas than there are, nor more old ones."""
    capped = [replace(role, new=min(role.new, role.target)) for role in roles]
    step = _guarded(capped)
    if step is None:
        return None
    old = tuple(min(role.old, count) for role, count in zip(roles, step.old, strict=True))
    new = tuple(max(role.new, count) for role, count in zip(roles, step.new, strict=True))
    return Step(old, new)


def floor(role: RoleState) -> int:
    """Replicas, old and new, that a rollout must leave the role."""
    return max(0, min(role.initial, role.target) - role.unavailable)


def fill(roles: Sequence[RoleState]) -> Counts:
    """New replicas as far as every role's own ceiling allows (rule 7)."""
    return tuple(max(role.new, min(role.target, role.ceiling - role.old)) for role in roles)


def _guarded(roles: Sequence[RoleState]) -> Step | None:
    wanted = next_step(roles)
    if wanted is None:
        return None
    old, new = tuple(role.old for role in roles), tuple(role.new for role in roles)
    if all(role.new == role.target for role in roles):
        return wanted
    if wanted.old == old and _fits(roles, wanted.new):
        return wanted
    drained = _safe(roles, wanted.old)
    if drained != old:
        return Step(drained, new)
    raised = _within(roles, wanted.new if wanted.new != new else rise(roles))
    if raised != new:
        return Step(old, raised)
    drained = _safe(roles, (0,) * len(roles))
    if drained != old:
        return Step(drained, new)
    raised = fill(roles)
    return Step(old, raised) if raised != new else wanted


def _fits(roles: Sequence[RoleState], new: Counts) -> bool:
    """Whether no role that grows would exceed its ceiling."""
    return all(
        role.old + count <= role.ceiling
        for role, count in zip(roles, new, strict=True)
        if count > role.new and role.target
    )


def _safe(roles: Sequence[RoleState], old: Counts) -> Counts:
    """The drain as far as the floor lets it go; a role of the old revision is not left without the others."""
    kept = [min(role.old, max(count, floor(role) - role.new)) for role, count in zip(roles, old, strict=True)]
    present = [count for role, count in zip(roles, kept, strict=True) if role.initial]
    if any(present) and not all(present):
        kept = [
            min(1, role.old) if role.initial and not count else count for role, count in zip(roles, kept, strict=True)
        ]
    return tuple(kept)


def _within(roles: Sequence[RoleState], new: Counts) -> Counts:
    """The rise as far as the ceiling lets it go; a role that was added has no old replicas beside it."""
    return tuple(
        max(role.new, min(count, role.ceiling - role.old)) if role.initial else count
        for role, count in zip(roles, new, strict=True)
    )
