"""How many replicas a role is to have, and how fast it may move (disaggregatedset 6.1, 6.2)."""

from __future__ import annotations

from collections.abc import Mapping

from lws.api.disaggregatedset.types import Role
from lws.apimachinery.intstr import scaled
from lws.planning.disaggregatedset.snapshots import SliceView
from lws.planning.disaggregatedset.step import RoleState

DEFAULT: tuple[int, int] = (1, 0)


def wanted(role: Role, scales: Mapping[str, int]) -> int | None:
    """Replicas per slice; None for an External role that has no scaler."""
    return scales.get(role.name) if role.external else role.replicas


def pace(role: Role, replicas: int) -> tuple[int, int]:
    """Surge and unavailable replicas. A role without a configuration is replaced one by one, new before old."""
    strategy = role.spec.rollout_strategy if role.spec is not None else None
    if strategy is None or "rolling_update_configuration" not in strategy.model_fields_set:
        return DEFAULT
    configuration = strategy.rolling_update_configuration
    unavailable = _resolved(configuration.max_unavailable, replicas, up=False)
    surge = _resolved(configuration.max_surge, replicas, up=True)
    return (surge, unavailable) if surge > 0 or unavailable > 0 else DEFAULT


def states(roles: tuple[Role, ...], view: SliceView, scales: Mapping[str, int]) -> dict[str, RoleState]:
    """The numbers of a slice's rollout: roles in their order, then removed ones by name (DD-01, DD-32).

    Every External role has a scale here: without one, no rollout moves (DD-08).
    """
    found = {}
    for role in roles:
        count = wanted(role, scales) or 0
        new = view.target[role.name].replicas if role.name in view.target else 0
        surge, unavailable = pace(role, count)
        initial, old = _old(view, role.name)
        found[role.name] = RoleState(initial, old, new, max(count, new) if role.external else count, surge, unavailable)
    for name in sorted({child.role for child in view.old} - found.keys()):
        initial, old = _old(view, name)
        found[name] = RoleState(initial, old, 0, 0, *DEFAULT)
    return found


def _old(view: SliceView, role: str) -> tuple[int, int]:
    children = [child for child in view.old if child.role == role]
    return sum(child.initial for child in children), sum(child.replicas for child in children)


def _resolved(value: int | str, total: int, *, up: bool) -> int:
    """An unreadable value, which admission refuses, counts as 0."""
    try:
        return max(0, scaled(value, total, up))
    except ValueError:
        return 0
