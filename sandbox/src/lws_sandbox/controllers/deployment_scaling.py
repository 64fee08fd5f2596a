"""How many replicas the sets of a Deployment shall have: pure functions (``pkg/controller/deployment``)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, TypeAlias

from lws.apimachinery.intstr import scaled
from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.objects import annotations_of, meta, name_of

DESIRED: Final = "deployment.kubernetes.io/desired-replicas"
MAXIMUM: Final = "deployment.kubernetes.io/max-replicas"

Sizes: TypeAlias = tuple[tuple[JSON, int], ...]
"""Replica sets and the replicas that they shall have; what keeps its size is only to note the deployment's."""


def replicas_of(obj: JSON) -> int:
    """`spec.replicas`, 1 when absent."""
    replicas = obj["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def limits(deployment: JSON) -> tuple[int, int]:
    """(surge, unavailable) in pods; both zero would never end, so one may then be missing."""
    rolling = (deployment["spec"].get("strategy") or {}).get("rollingUpdate") or {}
    total = replicas_of(deployment)
    surge = scaled(rolling.get("maxSurge", "25%"), total, round_up=True)
    unavailable = scaled(rolling.get("maxUnavailable", "25%"), total, round_up=False)
    return surge, unavailable if surge or unavailable else 1


def recreates(deployment: JSON) -> bool:
    """Whether old pods all end before new ones come."""
    return (deployment["spec"].get("strategy") or {}).get("type") == "Recreate"


def notes(deployment: JSON) -> dict[str, str]:
    """What a replica set notes of the deployment's size."""
    total = replicas_of(deployment)
    return {DESIRED: str(total), MAXIMUM: str(total if recreates(deployment) else total + limits(deployment)[0])}


def first_size(deployment: JSON, replicasets: Sequence[JSON]) -> int:
    """The size of a replica set that is made now."""
    total, running = replicas_of(deployment), sum(replicas_of(item) for item in replicasets)
    if recreates(deployment):
        return 0 if running else total
    return max(0, min(total, total + limits(deployment)[0] - running))


def is_scaling(deployment: JSON, replicasets: Sequence[JSON]) -> bool:
    """Whether some active set notes another size of the deployment than it has now: it was scaled since."""
    wanted = replicas_of(deployment)
    noted = (annotations_of(item).get(DESIRED) for item in replicasets if replicas_of(item))
    return any(each is not None and int(each) != wanted for each in noted)


def scale(deployment: JSON, newest: JSON | None, old: Sequence[JSON]) -> Sizes:
    """Follow a scaling of the deployment, whatever rollout is under way; a paused one is scaled too."""
    every = [*old, *([] if newest is None else [newest])]
    active = [item for item in every if replicas_of(item)]
    total = replicas_of(deployment)
    if len(active) <= 1:
        latest = active[0] if active else newest or max(old, key=_created, default=None)
        return () if latest is None or replicas_of(latest) == total else ((latest, total),)
    if newest is not None and _saturated(deployment, newest):
        return tuple((item, 0) for item in old if replicas_of(item))
    return () if recreates(deployment) else _proportional(deployment, active)


def roll(deployment: JSON, newest: JSON, old: Sequence[JSON]) -> Sizes:
    """One step of a rollout: the new set up as far as the surge allows, else the old ones down as far as may be."""
    total, current = replicas_of(deployment), replicas_of(newest)
    if recreates(deployment):
        down = tuple((item, 0) for item in old if replicas_of(item))
        gone = not any((item.get("status") or {}).get("replicas") for item in old)
        return down or (((newest, total),) if gone and current != total else ())
    surge, unavailable = limits(deployment)
    running = sum(replicas_of(item) for item in old)
    up = total if current > total else min(total, max(current, total + surge - running))
    if up != current:
        return ((newest, up),)
    return _shrink(newest, old, total - unavailable)


def _shrink(newest: JSON, old: Sequence[JSON], minimum: int) -> Sizes:
    """First pods of old sets that are not available, then available ones; the oldest set first."""
    sizes = {id(item): replicas_of(item) for item in old}
    budget = sum(sizes.values()) + _available(newest) - minimum
    if not sum(sizes.values()) or budget <= 0:
        return ()
    ordered = sorted(old, key=_created)
    for item in ordered:
        broken = max(0, min(budget, sizes[id(item)] - _available(item)))
        sizes[id(item)] -= broken
        budget -= broken
    spare = _available(newest) + sum(_available(item) for item in old) - minimum
    for item in ordered:
        going = max(0, min(spare, sizes[id(item)]))
        sizes[id(item)] -= going
        spare -= going
    return tuple((item, sizes[id(item)]) for item in ordered if sizes[id(item)] != replicas_of(item))


def _proportional(deployment: JSON, active: Sequence[JSON]) -> Sizes:
    """Each set grows or shrinks by its share of what the deployment's greatest size has changed by."""
    total = replicas_of(deployment)
    greatest = total + limits(deployment)[0] if total else 0
    change = greatest - sum(replicas_of(item) for item in active)
    by_age = sorted(active, key=_created, reverse=change > 0)
    ordered = sorted(by_age, key=replicas_of, reverse=True)
    sizes, done = [], 0
    for item in ordered:
        share = _share(deployment, item, greatest, change, done)
        sizes.append(replicas_of(item) + share)
        done += share
    if change:
        sizes[0] = max(0, sizes[0] + change - done)
    return tuple(
        (item, size)
        for item, size in zip(ordered, sizes, strict=True)
        if size != replicas_of(item) or annotations_of(item).get(DESIRED) != str(total)
    )


def _share(deployment: JSON, item: JSON, greatest: int, change: int, done: int) -> int:
    current = replicas_of(item)
    if change in (0, done):
        return 0
    if not replicas_of(deployment):
        fraction = -current
    else:
        noted = int(annotations_of(item).get(MAXIMUM) or 0) or int(
            (deployment.get("status") or {}).get("replicas") or 0
        )
        fraction = (_rounded(current * greatest / noted) if noted else current) - current
    return min(fraction, change - done) if change > 0 else max(fraction, change - done)


def _rounded(value: float) -> int:
    """To the nearest integer, halves away from zero."""
    return math.floor(abs(value) + 0.5) * (1 if value >= 0 else -1)


def _saturated(deployment: JSON, item: JSON) -> bool:
    total = replicas_of(deployment)
    noted = annotations_of(item).get(DESIRED)
    return replicas_of(item) == total == _available(item) and noted == str(total)


def _available(item: JSON) -> int:
    return int((item.get("status") or {}).get("availableReplicas") or 0)


def _created(item: JSON) -> tuple[str, str]:
    return meta(item).get("creationTimestamp") or "", name_of(item)
