"""How much CPU and memory the operand gets (operator 5.2).

Guarantees: what is there tells the tier, so nothing is remembered. It is raised at once when the pods of sets exceed
its limit by a tenth, or when a pod of it was killed for its memory; it is lowered only together with another rollout,
and never below what a killed pod has shown to be needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lws.api.operand import names
from lws.api.operand.types import FIXED, LeaderWorkerSetOperatorSpec
from lws.apimachinery.manifests import JSON, annotations_of

FLOOR: Final = "operator.lws.x-k8s.io/sizing-floor"  # on the Deployment: the tier below which memory ran out
TIERS: Final[tuple[tuple[int, JSON], ...]] = (  # pods of sets up to which a tier is enough, and its resources
    (2_000, {"requests": {"cpu": "250m", "memory": "128Mi"}, "limits": {"memory": "1Gi"}}),
    (10_000, {"requests": {"cpu": "500m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}}),
    (10**9, {"requests": {"cpu": "1", "memory": "512Mi"}, "limits": {"memory": "4Gi"}}),
)
_MARGIN: Final = 1.1
_OOM: Final = "OOMKilled"


def decided(
    spec: LeaderWorkerSetOperatorSpec,
    deployment: JSON | None,
    pods: Sequence[JSON],
    count: int | None,
    *,
    rolling: bool,
) -> tuple[int, int] | None:
    """The tier to be in, and the floor under it; None if the size is fixed.

    Args:
        spec: what is asked for; explicit resources beat every tier.
        deployment: the operand's, if there is one.
        pods: of the operand.
        count: pods of sets; None if it is not known.
        rolling: whether another rollout is due, with which the tier may fall.
    """
    if spec.operand.sizing == FIXED or spec.operand.resources is not None:
        return None
    current = _tier_of(((deployment or {}).get("spec") or {}).get("template") or {})
    floor = _floor(deployment)
    killed = [tier for pod in pods if _killed(pod) and (tier := _tier_of(pod)) is not None]
    if killed:
        floor = max(floor, min(max(killed) + 1, len(TIERS) - 1))
    if current is None:
        return max(_needed(count or 0), floor), floor
    if count is None:
        return max(current, floor), floor
    raised = _needed(int(count / _MARGIN))
    return max(floor, raised, _needed(count) if rolling else current), floor


def resources(tier: int) -> JSON:
    """The resources of a tier."""
    return TIERS[tier][1]


def _needed(count: int) -> int:
    return next(tier for tier, (most, _) in enumerate(TIERS) if count <= most)


def _floor(deployment: JSON | None) -> int:
    value = annotations_of(deployment or {}).get(FLOOR) or "0"
    return min(int(value), len(TIERS) - 1) if value.isdigit() else 0


def _tier_of(template: JSON) -> int | None:
    """The tier whose resources the operand's container has; None if it has others."""
    containers = (template.get("spec") or {}).get("containers") or ()
    found = next((each.get("resources") for each in containers if each.get("name") == names.CONTAINER), None)
    return next((tier for tier, (_, amounts) in enumerate(TIERS) if amounts == found), None)


def _killed(pod: JSON) -> bool:
    statuses = (pod.get("status") or {}).get("containerStatuses") or ()
    ends = ((each.get(state) or {}).get("terminated") or {} for each in statuses for state in ("state", "lastState"))
    return any(each.get("reason") == _OOM for each in ends)
