"""How many pods a PodDisruptionBudget lets go at this moment."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from lws.apimachinery.intstr import scaled
from lws.apimachinery.manifests import JSON
from lws_sandbox.controllers.objects import is_terminating, meta, set_condition
from lws_sandbox.controllers.pods import is_finished, is_ready

_ENTRY_LIFETIME = 120.0  # seconds for which a granted eviction counts as underway


def budget_status(budget: JSON, pods: Sequence[JSON], expected: int, disrupted: dict[str, str], now: datetime) -> JSON:
    """The status of a budget.

    Args:
        budget: the live object.
        pods: the pods that it selects.
        expected: how many pods their controllers want.
        disrupted: pods whose eviction was granted and is underway, with the time of the grant.
        now: the time of day.
    """
    spec, before = budget.get("spec") or {}, budget.get("status") or {}
    living = [pod for pod in pods if not is_finished(pod)]
    names = set(disrupted)
    healthy = sum(is_ready(pod) and not is_terminating(pod) and meta(pod)["name"] not in names for pod in living)
    desired = _desired(spec, expected, len(living))
    total = expected if spec.get("maxUnavailable") is not None or _is_percent(spec) else len(living)
    allowed = max(0, healthy - desired) if total else 0
    enough = {"status": "True", "reason": "SufficientPods"} if allowed else _insufficient()
    entry = {
        "type": "DisruptionAllowed",
        "message": "",
        "observedGeneration": meta(budget).get("generation", 0),
        **enough,
    }
    status: JSON = {
        "observedGeneration": meta(budget).get("generation", 0),
        "disruptionsAllowed": allowed,
        "currentHealthy": healthy,
        "desiredHealthy": desired,
        "expectedPods": total,
        "conditions": set_condition(before.get("conditions") or [], entry, now),
    }
    if disrupted:
        status["disruptedPods"] = disrupted
    return status


def underway(budget: JSON, pods: Sequence[JSON], now: datetime) -> dict[str, str]:
    """Of the evictions granted, those whose pod is still there and not yet ending; each counts for two minutes."""
    granted: dict[str, str] = (budget.get("status") or {}).get("disruptedPods") or {}
    waiting = {meta(pod)["name"] for pod in pods if not is_terminating(pod)}
    return {name: at for name, at in granted.items() if name in waiting and _recent(at, now)}


def _recent(at: str, now: datetime) -> bool:
    return (now - datetime.fromisoformat(at)).total_seconds() < _ENTRY_LIFETIME


def _insufficient() -> JSON:
    return {"status": "False", "reason": "InsufficientPods"}


def _is_percent(spec: JSON) -> bool:
    return isinstance(spec.get("minAvailable"), str)


def _desired(spec: JSON, expected: int, living: int) -> int:
    if spec.get("maxUnavailable") is not None:
        return max(0, expected - scaled(spec["maxUnavailable"], expected, round_up=True))
    minimum = spec.get("minAvailable")
    if minimum is None:
        minimum = 1
    return scaled(minimum, expected if isinstance(minimum, str) else living, round_up=True)
